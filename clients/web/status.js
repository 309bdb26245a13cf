// What the session does, in plain words.

const SAMPLE_RATE = 48000;

const PHASES = {
  ready: () => "Tuning up …",
  matching: () => "Meeting you",
  leading: (goal) => `Leading gently towards ${goal}`,
  holding: () => "Waiting for you",
  stepping_back: () => "Stepping back",
  arrived: (goal) => `Arrived at ${goal}`,
  paused: () => "Paused. Press Play to go on.",
  landing: () => "Softer now, and it stays so. Press Play to go on.",
  ended: () => "The session has ended.",
};

const GUIDED = ["matching", "leading", "holding", "stepping_back", "arrived"]; // phases in which the plan is at work

/** What the session does. `goal`: the word nearest to the goal of `state`. */
export function phaseText({ phase, estimate }, goal) {
  if (phase === "matching" && estimate === null) return "Ready to meet you";
  return PHASES[phase]?.(goal || "the goal") ?? "";
}

/** Why it does so, where that is the plan's choice. */
export function whyText({ phase, why }) {
  return GUIDED.includes(phase) ? `${why}.` : "";
}

/** Whether the patient is asked for a report. Who has paused, or finds it too much, is left in peace. */
export function isAsked({ phase, asks }) {
  return asks && GUIDED.includes(phase);
}

/** Key, tempo and instruments of what plays, as far as they are known. */
export function playingText({ clip }) {
  if (clip === null) return "";
  const tempo = clip.tempo_bpm === null ? "" : `${Math.round(clip.tempo_bpm)} beats a minute`;
  const parts = [clip.key ?? "", tempo, clip.instruments.join(", ")];
  return parts.filter((part) => part !== "").join(" · ");
}

/** What the music that plays was meant to be, and how listeners would most likely hear it. `word` names a point. */
export function heardText({ clip }, word) {
  if (clip === null || clip.heard === null) return "";
  const [meant, heard] = [word(clip.emotion), word(clip.heard)];
  return meant === heard ? `Meant and heard as ${heard}.` : `Meant as ${meant}, most likely heard as ${heard}.`;
}

/** Why another generator plays than the chosen one; nothing in the plain case. */
export function generatorText({ generator }) {
  return generator.reason === null ? "" : `${generator.reason}.`;
}

export function timeText({ position, frames }) {
  return frames === null ? clock(position) : `${clock(position)} of ${clock(frames)}`;
}

function clock(position) {
  const seconds = Math.floor(position / SAMPLE_RATE);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
