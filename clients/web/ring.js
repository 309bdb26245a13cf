// A ring of stereo samples addressed by position, and the play-head that reads it.
// Pure: it knows no clock and no Web Audio, so that a test can run it anywhere.

const FADE = 240; // frames, 5 ms: how fast sound comes and goes at the edges of a hole or a jump
const TOLERANCE = 240; // frames, 5 ms: nobody hears it, and a message's travel time varies as much
const SETTLED = 48; // frames, 1 ms: a correction goes on until this little is left
const RESYNC = 4800; // frames, 100 ms: more than this is jumped over instead of being edited away
const GRACE = 4800; // frames, 100 ms: how long what is no longer true may be heard until what is true comes
const EDIT_EVERY = 2400; // frames between single-frame edits: 0.04 % in speed, 0.7 cent in pitch

export class Ring {
  #capacity;
  #left;
  #right;
  #positions; // the position that each slot holds
  #head = null; // the position that is read next
  #offset = null; // where the head belongs: at `now + offset`
  #limit = 0; // nothing is true from here on; the head stands still here
  #hole = -1; // the last missing position that was seen ahead
  #gain = 0;
  #drift = 0; // the sign of the correction under way
  #edit = 0; // frames until the next edit
  #tail = { left: new Float32Array(FADE), right: new Float32Array(FADE), at: FADE };

  /** `capacity`: frames that can be held; more than the server's lead. */
  constructor(capacity) {
    this.#capacity = capacity;
    this.#left = new Float32Array(capacity);
    this.#right = new Float32Array(capacity);
    this.#positions = new Float64Array(capacity).fill(-1);
  }

  /** Lay interleaved 16-bit stereo samples down where they belong; what was there is replaced. */
  write(position, samples) {
    const frames = samples.length >> 1;
    if (position < this.#head && this.#head < position + frames) this.#leave();
    for (let i = 0; i < frames; i++) {
      const slot = (position + i) % this.#capacity;
      this.#left[slot] = samples[2 * i] / 32768;
      this.#right[slot] = samples[2 * i + 1] / 32768;
      this.#positions[slot] = position + i;
    }
    this.#limit = Math.max(this.#limit, position + frames);
  }

  /**
   * What was laid down from `position` on is no longer true. Where the head is there already, it reads on for a moment:
   * what is true now is on its way, and is faded over to; only where it does not come, the head stops.
   */
  cut(position) {
    this.#limit = Math.min(this.#limit, Math.max(position, this.#head + GRACE));
  }

  /** From now on, the frame `now` of the sound card belongs to the position `now + offset`. */
  follow(offset) {
    this.#offset = offset;
  }

  /** Fill both channels with what is to be heard from the sound card's frame `now` on. */
  read(now, left, right) {
    if (this.#offset === null || !this.#align(now + this.#offset)) {
      this.#gain = 0;
      left.fill(0);
      right.fill(0);
      return;
    }
    for (let i = 0; i < left.length; i++) this.#next(left, right, i);
  }

  /** Bring the head towards `target`; false while a head at rest waits for its time to come. */
  #align(target) {
    const error = target - this.#head;
    if (this.#head === null || Math.abs(error) > RESYNC) this.#jump(target);
    else if (Math.abs(error) > TOLERANCE) this.#drift = Math.sign(error);
    else if (Math.abs(error) < SETTLED) this.#drift = 0;
    if (this.#gain > 0) return true;
    this.#lookAhead();
    return target >= this.#head;
  }

  #jump(target) {
    if (this.#head !== null) this.#leave();
    this.#head = Math.min(Math.max(0, target), this.#limit);
    this.#drift = 0;
    this.#lookAhead();
    this.#gain = this.#hole < 0 && this.#tail.at < FADE ? 1 : 0;
  }

  #lookAhead() {
    this.#hole = -1;
    for (let p = this.#head; p < this.#head + FADE; p++) if (!this.#has(p)) this.#hole = p;
  }

  /** Keep what would have been heard next, to fade it out under what is heard instead. */
  #leave() {
    for (let i = 0; i < FADE; i++) {
      const position = this.#head + i;
      const slot = position % this.#capacity;
      const gain = this.#has(position) ? this.#gain : 0;
      this.#tail.left[i] = this.#left[slot] * gain;
      this.#tail.right[i] = this.#right[slot] * gain;
    }
    this.#tail.at = 0;
  }

  #has(position) {
    return position < this.#limit && this.#positions[position % this.#capacity] === position;
  }

  #next(left, right, i) {
    if (!this.#has(this.#head + FADE)) this.#hole = this.#head + FADE;
    const step = (this.#hole >= this.#head ? -1 : 1) / FADE;
    this.#gain = Math.min(1, Math.max(0, this.#gain + step));
    const slot = this.#head % this.#capacity;
    const gain = this.#has(this.#head) ? this.#gain : 0;
    left[i] = this.#left[slot] * gain;
    right[i] = this.#right[slot] * gain;
    if (this.#tail.at < FADE) this.#blendTail(left, right, i);
    if (this.#head < this.#limit) this.#head += this.#stride();
  }

  #blendTail(left, right, i) {
    const share = this.#tail.at / FADE;
    left[i] = left[i] * share + this.#tail.left[this.#tail.at] * (1 - share);
    right[i] = right[i] * share + this.#tail.right[this.#tail.at] * (1 - share);
    this.#tail.at += 1;
  }

  /** Frames that the head moves on: 1, and now and then 0 or 2 to make up for drift. */
  #stride() {
    if (this.#drift === 0 || --this.#edit > 0) return 1;
    this.#edit = EDIT_EVERY;
    return 1 + this.#drift;
  }
}
