// What was said to the server and is not known to have arrived, in the order it was said.

// The phases in which a state answers a message. One that was already on its way tells an earlier phase. A `too_much`
// in a pause shows in no state: it stays until the `play` after it is answered, and said twice it is the same.
const ANSWERS = {
  play: ["matching", "leading", "holding", "stepping_back", "arrived"],
  pause: ["paused"],
  too_much: ["landing"],
};
const PRECISION = 1e-4; // of points: the server rounds them
const AGE_SLACK_S = 0.5; // an age is rounded, and was told a little ago

export class Outbox {
  #said = new Map(); // type -> {message, at}: the latest of its type is the one that counts

  /** `now`: seconds of any steady clock. */
  put(message, now) {
    this.#said.delete(message.type);
    this.#said.set(message.type, { message, at: now });
  }

  get messages() {
    return [...this.#said.values()].map(({ message }) => message);
  }

  clear() {
    this.#said.clear();
  }

  /** Forget what `state` answers. The server takes messages in turn: a phase answers those before it as well. */
  settle({ phase, report, goal }, now) {
    if (phase === "ended") this.clear();
    const moves = [...this.#said.keys()].filter((type) => type in ANSWERS);
    const latest = moves.findLastIndex((type) => ANSWERS[type].includes(phase));
    for (const type of moves.slice(0, latest + 1)) this.#said.delete(type);
    if (report !== null) this.#settlePoint("report", report, now - report.seconds + AGE_SLACK_S);
    this.#settlePoint("goal", goal, now);
  }

  // The same may be said again, and counts again: what was told `before` the latest saying does not answer that.
  #settlePoint(type, told, before) {
    const said = this.#said.get(type);
    if (said !== undefined && isSame(said.message, told) && said.at <= before) this.#said.delete(type);
  }
}

function isSame(a, b) {
  return Math.abs(a.valence - b.valence) < PRECISION && Math.abs(a.arousal - b.arousal) < PRECISION;
}
