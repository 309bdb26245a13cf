// The HTTP calls of docs/protocol.md.

const TIMEOUT_MS = 8000;

/** The server did not answer as it should: `code` is one of docs/protocol.md, or "unreachable"; `seconds`: how long to wait. */
export class CallFailed extends Error {
  constructor(code, message, seconds = null) {
    super(message);
    this.code = code;
    this.seconds = seconds;
  }
}

/** A new session: `{id, seed, tokens}`. Throws `CallFailed`. */
export function createSession(request) {
  return call("/api/sessions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
}

/** The mood words and their points: `{calm: {valence, arousal}, ...}`. Throws `CallFailed`. */
export async function fetchWords() {
  const words = await call("/api/words");
  return Object.fromEntries(words.map(({ word, valence, arousal }) => [word, { valence, arousal }]));
}

/** A session's last state. Throws `CallFailed`. */
export function fetchState({ id, token }) {
  return call(`/api/sessions/${id}`, { headers: shown(token) });
}

/** End a session on the server, as far as that can be reached; else nobody listens, and its time runs out there. */
export function endSession({ id, token }) {
  fetch(`/api/sessions/${id}`, { method: "DELETE", keepalive: true, headers: shown(token) }).catch(() => {});
}

/** Where a session's socket is for whoever holds `token`; `page`: the address that this page came from. */
export function liveAddress(id, token, page = location.href) {
  const url = new URL(`/api/sessions/${id}/live`, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  return url.href;
}

/** What `path` answers, parsed. `options` are those of `fetch`. Throws `CallFailed`. */
export async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new CallFailed("unreachable", "no answer");
  }
  const content = await answer.json().catch(() => null);
  if (answer.ok && content !== null) return content;
  throw new CallFailed(content?.code ?? "other", content?.message ?? `${answer.status}`, answer.headers.get("Retry-After"));
}

function shown(token) {
  return { Authorization: `Bearer ${token}` };
}
