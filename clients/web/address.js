// What the page's address says. Pure.

const PAGES_OWN = ["lang", "switch"]; // of how the page looks here, not of the session

/** `#session=ID&token=TOKEN`: a session that somebody else opened; `&sound=server`: it plays there, not here. */
export function invitationOf(hash) {
  const { session: id, token, sound } = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  return id && token ? { id, token, silent: sound === "server" } : null;
}

/**
 * The body that asks for a session of the page's own. `search`: `?start=anxious&minutes=15&seed=7&patient=anna`, any key
 * of `POST /api/sessions`; `goal`: a word or a point; `start`: a point, or null where
 * the patient has not said one.
 */
export function requestOf(search, goal, start) {
  const wish = { start: null };
  for (const [key, value] of new URLSearchParams(search)) {
    if (PAGES_OWN.includes(key)) continue;
    wish[key] = key === "patient" ? value : wished(value); // 007 is a name
  }
  if (start !== null) wish.start = start;
  return { ...wish, goal };
}

/** A number, a point V,A or a word. What cannot be used, or not exactly, goes as it is, for the server to say so. */
export function wished(text) {
  const numbers = text.split(",").map(Number);
  if (text.trim() === "" || !numbers.every((number) => Math.abs(number) <= Number.MAX_SAFE_INTEGER)) return text;
  return numbers.length === 2 ? { valence: numbers[0], arousal: numbers[1] } : numbers[0];
}
