// Plays blocks at their positions, in step with the server's clock.

const SAMPLE_RATE = 48000;
const MARGIN = 3840; // frames, 80 ms behind the server: an answer to the patient arrives before its place is played
const RUNNING_SECONDS = 0.1; // a clock that has come so far is running
const START_MS = 8000; // more than a sound card needs to start
const STATES = 16; // how many states the clock is read from
const VOLUME_SECONDS = 0.03; // time constant of the volume's steps
const HUSH_SECONDS = 0.25; // of a fade that cannot wait for the server
const CLOSE_SECONDS = 0.1; // and of the last one

/** There is no sound to be had here; `key` is that of the sentence which says why. */
export class NoSound extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

export class Player {
  #context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "balanced" });
  #volume = this.#context.createGain();
  #ring = null;
  #offsets = [];
  #awake = () => this.wake();

  /** Make it in the tap, before any `await`: only there browsers allow sound to begin. */
  constructor(volume) {
    if ("audioSession" in navigator) navigator.audioSession.type = "playback"; // iOS: also where the ringer is off
    this.#context.resume();
    this.#volume.gain.value = gainOf(volume);
    this.#volume.connect(this.#context.destination);
    this.#context.addEventListener("statechange", this.#awake);
    document.addEventListener("visibilitychange", this.#awake);
    document.addEventListener("pointerdown", this.#awake);
  }

  /** Load the audio thread's part; blocks and states may come once this is done. Throws `NoSound`. */
  async prepare() {
    if (!this.#context.audioWorklet) throw new NoSound("patient.no_worklet");
    await this.#context.audioWorklet.addModule(new URL("./ring-worklet.js", import.meta.url)).catch(() => {
      throw new NoSound("patient.error.unreachable"); // a worker that keeps the file may not be at work yet
    });
    this.#ring = new AudioWorkletNode(this.#context, "ring", { numberOfInputs: 0, outputChannelCount: [2] });
    this.#ring.connect(this.#volume);
    await this.#running();
  }

  // `resume()` answers before the sound card has started, and until then the clock stands still.
  async #running() {
    const deadline = performance.now() + START_MS;
    while (this.#context.currentTime < RUNNING_SECONDS) {
      if (performance.now() > deadline) throw new NoSound("patient.no_sound");
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  /** Whether the system has put the sound to sleep, as for a call; a touch wakes it where the system allows it. */
  get isAsleep() {
    return this.#context.state !== "running";
  }

  /** `samples`: interleaved 16-bit stereo. Their buffer is given away. */
  write(position, samples) {
    this.#ring.port.postMessage({ position, samples }, [samples.buffer]);
  }

  /** What was written from `position` on is no longer true. */
  cut(position) {
    this.#ring.port.postMessage({ cut: position });
  }

  /** Keep to the clock of a server's state. */
  follow({ playing, position }) {
    if (!playing) {
      this.forgetClock(); // what was sent plays out by the old one, and there the ring stands still
      return;
    }
    this.#offsets.push(position - this.#context.currentTime * SAMPLE_RATE);
    this.#offsets = this.#offsets.slice(-STATES);
    // The state that travelled fastest is the one that tells the time best.
    this.#ring.port.postMessage({ offset: Math.round(Math.max(...this.#offsets)) - MARGIN });
  }

  /** Read the server's clock afresh: it has stood still, or may have. */
  forgetClock() {
    this.#offsets = [];
  }

  /** `volume`: 0 to 1. */
  setVolume(volume) {
    this.#fade(gainOf(volume), VOLUME_SECONDS);
  }

  /** Silence now, until `setVolume`: the server cannot be asked for it. */
  hush() {
    this.#fade(0, HUSH_SECONDS);
  }

  /** Wake the sound again where the system put it to sleep. */
  wake() {
    if (this.isAsleep && document.visibilityState === "visible") this.#context.resume().catch(() => {}); // a call goes on
  }

  /** Let the last fade be heard, then give the sound card back. */
  async close() {
    this.#context.removeEventListener("statechange", this.#awake);
    document.removeEventListener("visibilitychange", this.#awake);
    document.removeEventListener("pointerdown", this.#awake);
    this.#fade(0, CLOSE_SECONDS);
    await new Promise((done) => setTimeout(done, 6 * CLOSE_SECONDS * 1000));
    await this.#context.close();
  }

  #fade(gain, timeConstant) {
    this.#volume.gain.setTargetAtTime(gain, this.#context.currentTime, timeConstant);
  }
}

// Loudness as it is heard goes roughly with the square of the slider.
function gainOf(volume) {
  return volume ** 2;
}
