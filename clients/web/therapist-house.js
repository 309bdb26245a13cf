// All open sessions: the list is asked for again and again, and each one on it has a socket.

import { Sitting } from "./therapist-sitting.js";

const LOOK_MS = 3000;
const GONE_MS = 20_000; // a session that a server which has just started does not list yet may come back

export class House {
  #api;
  #word;
  #changed;
  #refused;
  #sittings = new Map(); // id -> Sitting, in the order in which they were opened
  #missing = new Map(); // id -> since when it is not on the list
  #timer = null;

  /** `word(emotion)` names a mood; `changed()` and `refused(fault)` are called as things come about. */
  constructor(api, word, changed, refused) {
    this.#api = api;
    this.#word = word;
    this.#changed = changed;
    this.#refused = refused;
  }

  get sittings() {
    return [...this.#sittings.values()];
  }

  /** The session of that id; undefined where there is none. */
  find(id) {
    return this.#sittings.get(id);
  }

  /** Look now, and from now on every few seconds. */
  async look() {
    try {
      this.#take(await this.#api.get("/api/sessions"));
      this.#refused(null);
    } catch (fault) {
      this.#refused(fault);
    }
    clearTimeout(this.#timer); // of another look that came back meanwhile
    this.#timer = setTimeout(() => this.look(), LOOK_MS);
  }

  /** Forget one that has ended. */
  forget(id) {
    this.#sittings.delete(id);
    this.#changed();
  }

  #take(listed) {
    for (const entry of listed.toReversed()) {
      this.#missing.delete(entry.id);
      if (!this.#sittings.has(entry.id)) this.#sittings.set(entry.id, new Sitting(entry, this.#word, this.#changed));
    }
    const now = performance.now();
    for (const sitting of this.#sittings.values()) {
      if (sitting.ended || listed.some(({ id }) => id === sitting.id)) continue;
      if (!this.#missing.has(sitting.id)) this.#missing.set(sitting.id, now);
      if (now - this.#missing.get(sitting.id) > GONE_MS) sitting.end();
    }
    this.#changed();
  }
}
