// The wire protocol, version 1, as docs/protocol.md has it.

import { Outbox } from "./outbox.js";

const LISTEN = { type: "listen", codec: "pcm_s16le", lead_ms: 1500 };
const SILENCE_MS = 3000; // states come every second: after this long the connection is dead
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4000;
const ENDED = [1000, 1008]; // close codes after which there is nothing to come back to

/** A new session: `{id, seed, tokens}`. Throws an `Error` in the server's words. */
export function createSession(request) {
  return call("/api/sessions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
}

/** The mood words and their points: `{calm: {valence, arousal}, ...}`. */
export async function fetchWords() {
  const words = await call("/api/words");
  return Object.fromEntries(words.map(({ word, valence, arousal }) => [word, { valence, arousal }]));
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The music server does not answer. Is it running?");
  }
  if (answer.ok) return answer.json();
  const { message } = await answer.json().catch(() => ({}));
  throw new Error(message ?? `The music server answered ${answer.status}.`);
}

/** Where a session's socket is for whoever holds `token`; `page`: the address that this page came from. */
export function liveAddress(id, token, page = location.href) {
  const url = new URL(`/api/sessions/${id}/live`, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  return url.href;
}

/** One session's socket. It comes back by itself until the session has ended. */
export class Session {
  #path;
  #address;
  #listeners;
  #socket = null;
  #timer = null;
  #retryMs = FIRST_RETRY_MS;
  #outbox = new Outbox();
  #ending = false; // what is said from now on would be refused

  /**
   * `listeners`: `state(state)`, `block(position, samples)`, `cut(position)`, `refused(error)`, `connected(yes)`,
   * `ended(why)`; `why` is "" where the session ended as it should. `block` is null where the sound is not wanted here.
   */
  constructor({ id, tokens }, listeners) {
    this.#path = `/api/sessions/${id}`;
    this.#address = liveAddress(id, tokens.patient);
    this.#listeners = listeners;
    this.#connect();
  }

  /** Send a message now, and again after a connection that broke before the server answered. Nothing, once it ends. */
  send(message) {
    if (this.#ending) return;
    this.#outbox.put(message, seconds());
    if (this.#isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** Fade out and end. Without a connection it ends here at once, and on the server as far as that can be reached. */
  stop() {
    if (this.#isOpen) {
      this.send({ type: "stop" });
      this.#ending = true;
      return;
    }
    this.leave();
    this.#end("");
  }

  /** End it on the server, too, as nobody will listen any more: there may not be room for many. */
  leave() {
    fetch(this.#path, { method: "DELETE", keepalive: true }).catch(() => {}); // unreachable: its clock runs out there
  }

  get #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    const socket = new WebSocket(this.#address, "musicmed.v1");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data: content }) => this.#received(content);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#socket = socket;
    this.#expect(SILENCE_MS, () => this.#lost());
  }

  #opened() {
    this.#retryMs = FIRST_RETRY_MS;
    this.#listeners.connected(true);
    const listen = this.#listeners.block === null ? [] : [LISTEN];
    for (const message of [...listen, ...this.#outbox.messages]) this.#socket.send(JSON.stringify(message));
  }

  #received(content) {
    this.#expect(SILENCE_MS, () => this.#lost());
    if (content instanceof ArrayBuffer) {
      const position = Number(new DataView(content).getBigUint64(0, true));
      this.#listeners.block(position, new Int16Array(content, 8));
      return;
    }
    const message = JSON.parse(content);
    if (message.type === "state") {
      this.#outbox.settle(message, seconds());
      this.#ending ||= message.phase === "ended";
      this.#listeners.state(message);
    } else if (message.type === "cut") {
      this.#listeners.cut(message.position);
    } else if (message.type === "error") {
      this.#outbox.clear(); // what the page says is well-formed: refused is the role, or everything after the end
      this.#listeners.refused(message);
    }
  }

  #closed(code) {
    if (ENDED.includes(code)) this.#end("");
    else this.#lost();
  }

  #lost() {
    this.#drop();
    this.#listeners.connected(false);
    this.#expect(this.#retryMs * (0.75 + Math.random() / 2), () => this.#retry());
    this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
  }

  // A refused handshake looks like a lost one from here; only this call tells them apart.
  async #retry() {
    const answer = await fetch(this.#path).catch(() => null);
    if (this.#socket !== null || this.#listeners === null) return;
    if (answer === null) this.#lost();
    else if (answer.status === 404) this.#end("The music server no longer knows this session.");
    else this.#connect();
  }

  #end(why) {
    this.#drop();
    const { ended } = this.#listeners;
    this.#listeners = null;
    ended(why);
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

function seconds() {
  return performance.now() / 1000;
}
