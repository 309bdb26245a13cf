// The noise: it begins very softly, comes up slowly, and goes away within a moment.

const SOFTEST = 0.003; // 50 dB below full
const RISE_SECONDS = 8;
const FALL_SECONDS = 0.3;

export class Noise {
  #context = null;
  #gain = null;
  #source = null;

  /** Play the noise at `address`; `onFull` is called once it is as loud as it is to be. Call it on a tap. */
  async play(address, onFull) {
    this.#context = new AudioContext({ sampleRate: 48_000 }); // before any other wait: a tap unlocks it
    const context = this.#context;
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    const noise = await context.decodeAudioData(await answer.arrayBuffer());
    if (this.#context !== context) return; // stopped meanwhile
    await context.resume();
    this.#gain = new GainNode(context, { gain: SOFTEST });
    this.#source = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
    this.#source.connect(this.#gain).connect(context.destination);
    const now = context.currentTime;
    this.#gain.gain.setValueAtTime(SOFTEST, now);
    this.#gain.gain.exponentialRampToValueAtTime(1, now + RISE_SECONDS);
    this.#source.start();
    const rise = new ConstantSourceNode(context, { offset: 0 }); // ends by the sound's own clock
    rise.connect(context.destination);
    rise.addEventListener("ended", () => this.#context === context && onFull());
    rise.start();
    rise.stop(now + RISE_SECONDS);
  }

  /** Let it fade away. */
  stop() {
    const context = this.#context;
    this.#context = null;
    if (context === null) return;
    this.#gain?.gain.cancelScheduledValues(context.currentTime);
    this.#gain?.gain.setTargetAtTime(0, context.currentTime, FALL_SECONDS / 5);
    this.#gain = this.#source = null;
    setTimeout(() => context.close(), FALL_SECONDS * 1000);
  }
}
