// Plays blocks at their positions, in step with the server's clock.

const SAMPLE_RATE = 48000;
const MARGIN = 3840; // frames, 80 ms behind the server: an answer to the patient arrives before its place is played
const RUNNING_SECONDS = 0.1; // a clock that has come so far is running
const START_MS = 8000; // more than a sound card needs to start
const STATES = 16; // how many states the clock is read from
const VOLUME_SECONDS = 0.03; // time constant of the volume's steps
const CLOSE_SECONDS = 0.1; // and of the last fade

export class Player {
  #context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "balanced" });
  #volume = this.#context.createGain();
  #ring = null;
  #offsets = [];

  /** Make it in the tap, before any `await`: only there browsers allow sound to begin. */
  constructor(volume) {
    this.#context.resume();
    this.#volume.gain.value = gainOf(volume);
    this.#volume.connect(this.#context.destination);
  }

  /** Load the audio thread's part; blocks and states may come once this is done. */
  async prepare() {
    if (!this.#context.audioWorklet) {
      throw new Error("This browser plays here only over https:// or from http://127.0.0.1.");
    }
    await this.#context.audioWorklet.addModule(new URL("./ring-worklet.js", import.meta.url));
    this.#ring = new AudioWorkletNode(this.#context, "ring", { numberOfInputs: 0, outputChannelCount: [2] });
    this.#ring.connect(this.#volume);
    await this.#running();
  }

  // `resume()` answers before the sound card has started, and until then the clock stands still.
  async #running() {
    const deadline = performance.now() + START_MS;
    while (this.#context.currentTime < RUNNING_SECONDS) {
      if (performance.now() > deadline) throw new Error("The sound of this device does not start.");
      await new Promise((done) => setTimeout(done, 20));
    }
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
    this.#volume.gain.setTargetAtTime(gainOf(volume), this.#context.currentTime, VOLUME_SECONDS);
  }

  /** Wake the sound again where the system put it to sleep. */
  wake() {
    return this.#context.resume();
  }

  /** Let the last fade be heard, then give the sound card back. */
  async close() {
    this.#volume.gain.setTargetAtTime(0, this.#context.currentTime, CLOSE_SECONDS);
    await new Promise((done) => setTimeout(done, 6 * CLOSE_SECONDS * 1000));
    await this.#context.close();
  }
}

// Loudness as it is heard goes roughly with the square of the slider.
function gainOf(volume) {
  return volume ** 2;
}
