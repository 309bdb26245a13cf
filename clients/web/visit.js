// The session that this tab is in, kept so that a reload comes back to it: `{id, token, silent}`.

const KEPT = "musicmed.visit";

export function keepVisit(visit) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(visit));
  } catch {
    // where a browser keeps nothing, a reload begins anew
  }
}

/** The visit that was kept; null where there is none. */
export function keptVisit() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

export function forgetVisit() {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // nothing was kept
  }
}
