// What the device is asked for while music plays: to stay awake, and to show play and pause where it shows what plays.

export class Device {
  #playing = false;
  #lock = null;

  /** `onMove(playing)`: the patient presses play or pause on a headset or on the locked screen. */
  constructor(onMove) {
    document.addEventListener("visibilitychange", () => this.#keepAwake()); // a lock is given up when the page is hidden
    if (!("mediaSession" in navigator)) return;
    navigator.mediaSession.setActionHandler("play", () => onMove(true));
    navigator.mediaSession.setActionHandler("pause", () => onMove(false));
  }

  /** `title`: what plays, for the locked screen. */
  show(playing, title) {
    if ("mediaSession" in navigator) {
      if (navigator.mediaSession.metadata?.title !== title) navigator.mediaSession.metadata = new MediaMetadata({ title });
      navigator.mediaSession.playbackState = playing ? "playing" : "paused";
    }
    if (this.#playing === playing) return;
    this.#playing = playing;
    this.#keepAwake();
  }

  clear() {
    this.#playing = false;
    this.#keepAwake();
    if (!("mediaSession" in navigator)) return;
    navigator.mediaSession.metadata = null;
    navigator.mediaSession.playbackState = "none";
  }

  async #keepAwake() {
    if (this.#playing && document.visibilityState === "visible") {
      // A device that is low on power refuses; the music plays all the same.
      this.#lock ??= (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
      this.#lock?.addEventListener("release", () => (this.#lock = null));
    }
    if (!this.#playing) {
      this.#lock?.release();
      this.#lock = null;
    }
  }
}
