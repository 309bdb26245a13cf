// At most one call per interval; of what comes in between, the latest is sent when the interval is over.

export class Throttle {
  #intervalMs;
  #send;
  #timer = null;
  #waiting = null;

  constructor(intervalMs, send) {
    this.#intervalMs = intervalMs;
    this.#send = send;
  }

  push(value) {
    this.#waiting = value;
    if (this.#timer === null) this.flush();
  }

  /** Send what waits without waiting any longer. */
  flush() {
    if (this.#waiting === null) return;
    const value = this.#waiting;
    this.cancel();
    this.#timer = setTimeout(() => this.#pass(), this.#intervalMs);
    this.#send(value);
  }

  /** Forget what waits. */
  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = null;
  }

  #pass() {
    this.#timer = null;
    this.flush();
  }
}
