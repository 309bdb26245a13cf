// When the screen is dim, and how it keeps from burning in. Pure: the time is an argument.

const DAY_MINUTES = 24 * 60;
const DRIFT = [0, 3, 6, 3, 0, -3, -6, -3]; // pixels, one place after the other
const DRIFT_MS = 60_000;

/** Whether it is night at `minutes` after midnight. `night`: `{since: "21:00", until: "06:30"}`, or null for never. */
export function isNight(minutes, night) {
  if (night === null) return false;
  const [since, until] = [minutesOf(night.since), minutesOf(night.until)];
  const length = (until - since + DAY_MINUTES) % DAY_MINUTES;
  return (minutes - since + DAY_MINUTES) % DAY_MINUTES < length;
}

/** How dark the screen is made, 0 to 1: at night as far as `brightness` says, but for who has just touched it. */
export function darkness(minutes, { night, brightness }, isAwake) {
  return isNight(minutes, night) && !isAwake ? 1 - brightness : 0;
}

/** Where everything stands, in pixels `{x, y}` from its place: it moves a little each minute. `now`: milliseconds. */
export function driftAt(now) {
  const step = Math.floor(now / DRIFT_MS);
  return { x: DRIFT[step % DRIFT.length], y: DRIFT[(step + 2) % DRIFT.length] };
}

function minutesOf(time) {
  const [hours, minutes] = time.split(":").map(Number);
  return hours * 60 + minutes;
}
