// One session over the wire protocol, version 1, as docs/protocol.md has it. The connection comes back by itself.

import { endSession, fetchState, liveAddress } from "./api.js";
import { Outbox } from "./outbox.js";

// So much is kept ahead that a network may be away for a moment without anybody hearing it.
const LISTEN = { type: "listen", codec: "pcm_s16le", lead_ms: 4000 };
const SILENCE_MS = 2500; // states come every half second: after this long the connection is dead
const FIRST_OPENING_MS = 8000; // longer than any network takes that can carry music
const SHORTEST_OPENING_MS = 1500; // a network that has just come back is not to be missed for long
const SLOWER = 4; // times as long as it took the last time, a connection may take to open
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 1000;
const REFUSED_MS = 60_000; // a server that has just started may not know yet which sessions it goes on with,
const REFUSED_FIRST_MS = 10_000; // but who comes with a link that is no good is not to wait for it so long
const ENDED = [1000, 1008]; // close codes after which there is nothing to come back to

export class Session {
  #visit;
  #listeners;
  #socket = null;
  #timer = null;
  #retryMs = FIRST_RETRY_MS;
  #openingMs = FIRST_OPENING_MS;
  #begun = 0; // when the socket was made
  #refusedSince = null;
  #patienceMs = REFUSED_FIRST_MS;
  #outbox = new Outbox(crypto.getRandomValues(new Uint32Array(2)).join("-"));
  #ending = false; // what is said from now on would be refused
  #online = () => this.#hurry();

  /**
   * `visit`: `{id, token}` of a patient. `listeners`: `state(state)`, `block(position, samples)`, `cut(position, reason)`,
   * `refused(error)`, `connected(yes)`, `ended(code)`; `code` is "" where the session ended as it should, else why it
   * cannot be gone on with. `block` is null where the sound is not wanted here.
   */
  constructor(visit, listeners) {
    this.#visit = visit;
    this.#listeners = listeners;
    addEventListener("online", this.#online);
    this.#connect();
  }

  /** Send a message now, and again after a connection that broke before it was done. Nothing, once it ends. */
  send(message) {
    if (this.#ending) return;
    const kept = this.#outbox.put(message);
    if (this.isOpen) this.#socket.send(JSON.stringify(kept));
  }

  /** Fade out and end. Without a connection it ends here at once, and on the server as far as that can be reached. */
  stop() {
    if (this.isOpen) {
      this.send({ type: "stop" });
      this.#ending = true;
      return;
    }
    endSession(this.#visit);
    this.#end("");
  }

  /** Let go of the session, which goes on without this page. */
  leave() {
    this.#drop();
    removeEventListener("online", this.#online);
    this.#listeners = null;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    const socket = new WebSocket(liveAddress(this.#visit.id, this.#visit.token), "musicmed.v1");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data: content }) => this.#received(content);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#socket = socket;
    this.#begun = performance.now();
    this.#expect(this.#openingMs, () => this.#lost());
  }

  #opened() {
    this.#openingMs = Math.max(SHORTEST_OPENING_MS, SLOWER * (performance.now() - this.#begun));
    this.#retryMs = FIRST_RETRY_MS;
    this.#refusedSince = null;
    this.#patienceMs = REFUSED_MS;
    this.#expect(SILENCE_MS, () => this.#lost());
    this.#listeners.connected(true);
    const listen = this.#listeners.block === null ? [] : [LISTEN];
    const kept = this.#outbox.messages.map((message) => ({ ...message, again: true }));
    for (const message of [...listen, ...kept]) this.#socket.send(JSON.stringify(message));
  }

  #received(content) {
    this.#expect(SILENCE_MS, () => this.#lost());
    if (content instanceof ArrayBuffer) {
      const position = Number(new DataView(content).getBigUint64(0, true));
      this.#listeners.block(position, new Int16Array(content, 8));
    } else this.#told(JSON.parse(content));
  }

  #told(message) {
    if (message.type === "state") {
      if (message.phase === "ended") {
        this.#ending = true;
        this.#outbox.clear();
      }
      this.#listeners.state(message);
    } else if (message.type === "cut") {
      this.#listeners.cut(message.position, message.reason);
    } else if (message.type === "done") {
      this.#outbox.settle(message.id);
    } else if (message.type === "error") {
      this.#outbox.settle(message.id);
      this.#listeners.refused(message);
    }
  }

  #closed(code) {
    if (ENDED.includes(code)) {
      this.#end("");
      return;
    }
    this.#lost();
    this.#look();
  }

  #lost() {
    this.#drop();
    this.#listeners.connected(false);
    this.#expect(this.#retryMs * (0.75 + Math.random() / 2), () => this.#connect());
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  // The network is back: what was begun without it may hang for long.
  #hurry() {
    if (this.isOpen) return;
    this.#drop();
    this.#connect();
  }

  // A refused handshake looks like a lost one from here; only this call tells them apart.
  async #look() {
    let refusal = "bad_token"; // the session is there, and its socket stays closed
    try {
      const { phase } = await fetchState(this.#visit);
      if (phase === "ended" && this.#listeners !== null) this.#end("");
    } catch (error) {
      refusal = error.code;
    }
    if (this.#listeners === null || this.isOpen) return;
    if (refusal === "unreachable") this.#refusedSince = null;
    else {
      this.#refusedSince ??= performance.now();
      if (performance.now() - this.#refusedSince >= this.#patienceMs) this.#end(refusal);
    }
  }

  #end(code) {
    this.#drop();
    removeEventListener("online", this.#online);
    const { ended } = this.#listeners;
    this.#listeners = null;
    ended(code);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #expect(delayMs, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, delayMs);
  }
}
