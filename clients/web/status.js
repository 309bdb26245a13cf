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

/**
 * What the music that plays was meant to be, and how listeners would most likely hear it, where that differs by more
 * than is uncertain. `word` names a point.
 */
export function heardText({ clip }, word) {
  if (clip === null || clip.heard === null) return "";
  const { emotion, heard } = clip;
  const [meant, found] = [word(emotion), word(heard)];
  const valenceOff = Math.abs(heard.valence - emotion.valence) / heard.valence_sd;
  const arousalOff = Math.abs(heard.arousal - emotion.arousal) / heard.arousal_sd;
  if (meant === found || Math.max(valenceOff, arousalOff) <= 1) return `Meant as ${meant}, and it sounds so.`;
  return `Meant as ${meant}, most likely heard as ${found}.`;
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
