// The calls that the therapist page makes, with the access token that its reader has typed in.

const KEPT = "musicmed.access"; // in this tab only: it is gone when the tab is closed

/** The server refused: `code`, `message` and `field` are its own; `code` is "unreachable" where it did not answer. */
export class Refused extends Error {
  constructor({ code = "other", message = "", field = "" }) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

export class Api {
  #token = sessionStorage.getItem(KEPT) ?? "";

  /** Use `token` from now on; "" forgets it. */
  enter(token) {
    this.#token = token;
    if (token === "") sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, token);
  }

  /** Whether there is a token to be forgotten. */
  get hasToken() {
    return this.#token !== "";
  }

  /** What a path answers, as JSON. Throws `Refused`. */
  async get(path) {
    return (await this.#call(path)).json();
  }

  /** The same as text. */
  async text(path) {
    return (await this.#call(path)).text();
  }

  /** What a path answers to `body`. Throws `Refused`. */
  async post(path, body) {
    return (await this.#send("POST", path, body)).json();
  }

  /** Put `body` at a path; what that answers. Throws `Refused`. */
  async put(path, body) {
    return (await this.#send("PUT", path, body)).json();
  }

  /** Delete what is at a path. Throws `Refused`. */
  async remove(path) {
    await this.#call(path, { method: "DELETE" });
  }

  #send(method, path, body) {
    return this.#call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  async #call(path, options = {}) {
    const headers = { ...options.headers };
    if (this.#token !== "") headers.Authorization = `Bearer ${this.#token}`;
    const answer = await fetch(path, { ...options, headers }).catch(() => null);
    if (answer === null) throw new Refused({ code: "unreachable" });
    if (!answer.ok) throw new Refused(await answer.json().catch(() => ({})));
    return answer;
  }
}

/** Where a report opens in a tab of its own, for whoever holds the session's token. `ending`: "", ".csv", ".fhir.json". */
export function reportAddress({ id, tokens }, ending = "") {
  return `/api/sessions/${id}/report${ending}?token=${encodeURIComponent(tokens.therapist)}`;
}

/** The address by which the patient joins. `page`: that of this page. */
export function patientAddress({ id, tokens }, onServer, page = location.href) {
  const address = new URL("/", page);
  address.hash = `session=${id}&token=${tokens.patient}${onServer ? "&sound=server" : ""}`;
  return address.href;
}

/** Whether an address leads to the machine on which it is followed. */
export function isLoopback(address) {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(address).hostname);
}
