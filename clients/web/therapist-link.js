// One session's socket for its therapist. What is said into it is answered, or known not to have arrived: a therapist
// must not believe that the music was steered while it was not, so nothing is kept to be sent later.

import { liveAddress } from "./api.js";

const LISTEN = { type: "listen", codec: "pcm_s16le", lead_ms: 1500 };
const SILENCE_MS = 3500; // states come every second: after this long the connection is dead
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5000;
const ENDED = [1000, 1008]; // close codes after which there is nothing to come back to
const UNREACHABLE = { code: "unreachable", message: "", field: "" };
const OVER = { code: "session_ended", message: "", field: "" };

export class Link {
  #address;
  #listeners;
  #socket = null;
  #timer = null;
  #retryMs = FIRST_RETRY_MS;
  #asked = new Map(); // id -> what to call with the answer
  #count = 0;
  #listens = false;
  #fault = UNREACHABLE; // what is the matter where nothing can be said

  /** `listeners`: `state(state)`, `steered(by, what)`, `cut(position)`, `block(position, samples)`, `connected(yes)`, `ended()`. */
  constructor({ id, tokens }, listeners) {
    this.#address = liveAddress(id, tokens.therapist);
    this.#listeners = listeners;
    this.#connect();
  }

  /** Say something; null once it is done, else the server's error. `{code: "unreachable"}`: it may not have arrived. */
  ask(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.resolve(this.#fault);
    const id = String(this.#count++);
    return new Promise((answered) => {
      this.#asked.set(id, answered);
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** Have the sound sent, too. It goes on after a connection that broke; `close` alone ends it. */
  listen() {
    this.#listens = true;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(LISTEN));
  }

  /** The session is over. */
  close() {
    this.#fault = OVER;
    this.#drop();
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) socket.onopen = socket.onmessage = socket.onclose = null;
    socket?.close();
    for (const answered of this.#asked.values()) answered(this.#fault);
    this.#asked.clear();
  }

  #connect() {
    const socket = new WebSocket(this.#address, "musicmed.v1");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data: content }) => this.#received(content);
    socket.onclose = ({ code }) => (ENDED.includes(code) ? this.#end() : this.#lost());
    this.#socket = socket;
    this.#expect(SILENCE_MS, () => this.#lost());
  }

  #opened() {
    this.#retryMs = FIRST_RETRY_MS;
    this.#listeners.connected(true);
    if (this.#listens) this.listen();
  }

  #received(content) {
    this.#expect(SILENCE_MS, () => this.#lost());
    if (content instanceof ArrayBuffer) {
      const position = Number(new DataView(content).getBigUint64(0, true));
      this.#listeners.block(position, new Int16Array(content, 8));
      return;
    }
    const message = JSON.parse(content);
    if (message.type === "state") this.#listeners.state(message);
    else if (message.type === "cut") this.#listeners.cut(message.position);
    else if (message.type === "steered") this.#listeners.steered(message.by, message.what);
    else if (message.type === "done") this.#answer(message.id, null);
    else if (message.type === "error") this.#answer(message.id, message);
  }

  #answer(id, fault) {
    this.#asked.get(id)?.(fault);
    this.#asked.delete(id);
  }

  #end() {
    this.close();
    this.#listeners.ended();
  }

  #lost() {
    this.#drop();
    this.#listeners.connected(false);
    this.#expect(this.#retryMs * (0.75 + Math.random() / 2), () => this.#connect());
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  #expect(delayMs, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, delayMs);
  }
}
