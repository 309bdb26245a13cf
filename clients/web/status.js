// What the session does, in plain words.

const SAMPLE_RATE = 48000;

const PHASES = {
  ready: () => "Tuning up …",
  matching: () => "Meeting you where you are.",
  leading: (goal) => `Leading gently towards ${goal}.`,
  holding: () => "Staying here with you for now.",
  stepping_back: () => "Going back to where the music met you.",
  arrived: (goal) => `Arrived at ${goal}, and staying there.`,
  paused: () => "Paused. Press Play to go on.",
  landing: () => "Softer now, and it stays so. Press Play to go on.",
  ended: () => "The session has ended.",
};

/** `goal`: the word nearest to the goal of `state`. */
export function phaseText({ phase, estimate }, goal) {
  if (phase === "matching" && estimate === null) return "Playing neutrally until you say how you feel.";
  return PHASES[phase]?.(goal || "the goal") ?? "";
}

/** Key, tempo and instruments of what plays, as far as they are known. */
export function playingText({ clip }) {
  if (clip === null) return "";
  const tempo = clip.tempo_bpm === null ? "" : `${Math.round(clip.tempo_bpm)} beats a minute`;
  const parts = [clip.key ?? "", tempo, clip.instruments.join(", ")];
  return parts.filter((part) => part !== "").join(" · ");
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
