// Plays blocks at their positions, in step with the server's clock.

const SAMPLE_RATE = 48000;
const MARGIN = 3840; // frames, 80 ms behind the server: an answer to the patient arrives before its place is played
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
  }

  /** `samples`: interleaved 16-bit stereo. Their buffer is given away. */
  write(position, samples) {
    this.#ring.port.postMessage({ position, samples }, [samples.buffer]);
  }

  /** Keep to the clock of a server's state. */
  follow({ playing, position }) {
    if (!playing) {
      this.#offsets = [];
      this.#ring.port.postMessage({ end: position });
      return;
    }
    this.#offsets.push(position - this.#context.currentTime * SAMPLE_RATE);
    this.#offsets = this.#offsets.slice(-STATES);
    // The state that travelled fastest is the one that tells the time best.
    this.#ring.port.postMessage({ offset: Math.round(Math.max(...this.#offsets)) - MARGIN });
  }

  /** After a lost connection the clock may have moved: read it afresh. */
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
