// What was said to the server and is not known to have arrived, in the order it was said.

// The phases in which a state answers a message. One that was already on its way tells an earlier phase. A `too_much`
// in a pause shows in no state: it stays until the `play` after it is answered, and said twice it is the same.
const ANSWERS = {
  play: ["matching", "leading", "arrived"],
  pause: ["paused"],
  too_much: ["landing"],
};
const PRECISION = 1e-4; // the server tells emotions to four places

export class Outbox {
  #messages = new Map(); // type -> message: the latest of its type is the one that counts

  put(message) {
    this.#messages.delete(message.type);
    this.#messages.set(message.type, message);
  }

  get messages() {
    return [...this.#messages.values()];
  }

  clear() {
    this.#messages.clear();
  }

  /** Forget what `state` answers. The server takes messages in turn: a phase answers those before it as well. */
  settle({ phase, estimate, goal }) {
    if (phase === "ended") this.clear();
    const moves = [...this.#messages.keys()].filter((type) => type in ANSWERS);
    const latest = moves.findLastIndex((type) => ANSWERS[type].includes(phase));
    for (const type of moves.slice(0, latest + 1)) this.#messages.delete(type);
    this.#settlePoint("report", estimate);
    this.#settlePoint("goal", goal);
  }

  #settlePoint(type, told) {
    const said = this.#messages.get(type);
    if (said !== undefined && told !== null && isSame(said, told)) this.#messages.delete(type);
  }
}

function isSame(a, b) {
  return Math.abs(a.valence - b.valence) < PRECISION && Math.abs(a.arousal - b.arousal) < PRECISION;
}
