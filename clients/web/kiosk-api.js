// The kiosk's own calls, as docs/protocol.md has them.

import { call } from "./api.js";

/** What the kiosk shows: see `GET /api/kiosk`. Throws `CallFailed`. */
export function fetchKiosk() {
  return call("/api/kiosk");
}

/** Begin a session on the speaker, or go on with the one that plays: `{id, token}`. Throws `CallFailed`. */
export function startMusic() {
  return call("/api/kiosk/start", { method: "POST" });
}

/** A nurse's token for the PIN: `{token, seconds}`. Throws `CallFailed`. */
export function unlock(pin) {
  return call("/api/kiosk/unlock", withBody("POST", { pin }));
}

/** Set the PIN; `token` is a nurse's, or "" where none is set yet. `{token, seconds}`. Throws `CallFailed`. */
export function setPin(pin, token) {
  return call("/api/kiosk/pin", withBody("PUT", { pin }, token));
}

/** The settings. Throws `CallFailed`. */
export function fetchSettings(token) {
  return call("/api/kiosk/settings", withBody("GET", undefined, token));
}

/** Change some of the settings; all of them. Throws `CallFailed`. */
export function changeSettings(changes, token) {
  return call("/api/kiosk/settings", withBody("PUT", changes, token));
}

/** Start the kiosk anew. Throws `CallFailed`. */
export function restart(token) {
  return call("/api/kiosk/restart", withBody("POST", undefined, token));
}

/** The names of the calibrated outputs, and the levels in dB(A) that are advised: `{outputs, presets}`. Throws `CallFailed`. */
export async function fetchLevels(token) {
  const [outputs, presets] = await Promise.all([call("/api/outputs", withBody("GET", undefined, token)), call("/api/presets")]);
  return { outputs: outputs.map(({ name }) => name), presets: presets.map(({ dba }) => dba) };
}

function withBody(method, body, token = "") {
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  if (body === undefined) return { method, headers };
  return { method, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}
