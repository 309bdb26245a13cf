// One open session as the page knows it: its last state, what happened in it, and the socket to it.

import { Link } from "./therapist-link.js";
import { newsOf, withNews } from "./therapist-news.js";

const HEART_S = 180; // the heart rate of so long is kept
const UNHEARD_S = 5; // a device that comes back sooner was hardly away

export class Sitting {
  #link;
  #word;
  #changed;
  #aloneSince = null; // in seconds of the page's clock

  /** `listed`: as the list of sessions has it; `word(emotion)`: its name; `changed()` is called whenever anything has. */
  constructor(listed, word, changed) {
    Object.assign(this, { id: listed.id, patient: listed.patient, tokens: listed.tokens, waits: listed.waits });
    this.state = null;
    this.connected = true; // until it is known not to be
    this.ended = false;
    this.unheard = false; // it plays, and nobody has listened for a while
    this.news = [];
    this.beats = []; // {at, bpm}, the oldest first, in seconds of the page's clock
    this.player = null; // where the sound is listened to
    this.#word = word;
    this.#changed = changed;
    this.#link = new Link(listed, {
      state: (state) => this.#show(state),
      steered: (by, what) => this.#tell("steered", { by, what }),
      cut: (position) => this.player?.cut(position),
      block: (position, samples) => this.player?.write(position, samples),
      connected: (yes) => this.#connect(yes),
      ended: () => this.end(),
    });
  }

  /** Steer; null once that is done, else the server's error. */
  ask(message) {
    return this.#link.ask(message);
  }

  /** Hear it through `player`; null: no longer. */
  hear(player) {
    this.player?.close();
    this.player = player;
    if (player !== null) this.#link.listen();
  }

  /** It is over. */
  end() {
    this.ended = true;
    this.hear(null);
    this.#link.close();
    this.#tell("ended");
  }

  #show(state) {
    this.news = withNews(this.news, newsOf(this.state, state, this.#word));
    this.waits = state.phase === "ready";
    this.state = state;
    const now = performance.now() / 1000;
    this.#aloneSince = aloneSince(this.#aloneSince, state, now);
    this.unheard = this.#aloneSince !== null && now - this.#aloneSince >= UNHEARD_S;
    this.beats = [...this.beats.filter(({ at }) => at > now - HEART_S), { at: now, bpm: state.vitals.heart_rate_bpm }];
    this.player?.follow(state);
    this.#changed();
  }

  #connect(yes) {
    this.connected = yes;
    this.player?.forgetClock();
    this.#changed();
  }

  #tell(key, values = {}) {
    this.news = withNews(this.news, [{ key, values, at: this.state?.position ?? 0 }]);
    this.#changed();
  }
}

/** Since when a session has been playing to nobody; null where it does not. `before`: the same of the state before. */
export function aloneSince(before, { playing, listening }, now) {
  return playing && listening === 0 ? (before ?? now) : null;
}
