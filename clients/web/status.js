// What the session does, in plain words of the reader's language.

import { canSay, instrumentName, keyName, moodName, say } from "./words.js";

const SAMPLE_RATE = 48000;
const GUIDED = ["matching", "leading", "holding", "stepping_back", "arrived"]; // phases in which the plan is at work

/** What the session does. `goal`: the word nearest to the goal of `state`, in the reader's language. */
export function phaseText({ phase, estimate, rest, because }, goal) {
  if (rest) return say("patient.phase.rest");
  if (because?.key === "ending") return say("patient.phase.ending");
  if (phase === "matching" && estimate === null) return say("patient.phase.unmet");
  const key = `patient.phase.${phase}`;
  return canSay(key) ? say(key, { goal: goal || say("patient.the_goal") }) : "";
}

/** Why it does so, where that is the plan's choice. A reason that the page has no words for is given as the server does. */
export function whyText({ phase, why, because }) {
  if (!GUIDED.includes(phase)) return "";
  const key = `why.${because?.key}`;
  if (!canSay(key)) return `${why}.`;
  return say(key, { mood: because.mood && moodName(because.mood), times: because.times && timesText(because.times) });
}

/** How often, in words as far as there are some: "twice", "4 times". */
export function timesText(count) {
  const key = `why.times_${count}`;
  return canSay(key) ? say(key) : say("why.times_more", { count });
}

/** Whether the patient is asked for a report. Who has paused, or finds it too much, is left in peace. */
export function isAsked({ phase, asks }) {
  return asks && GUIDED.includes(phase);
}

/** Key, tempo and instruments of what plays, as far as they are known. */
export function playingText({ clip }) {
  if (clip === null) return "";
  const tempo = clip.tempo_bpm === null ? "" : say("patient.tempo", { bpm: Math.round(clip.tempo_bpm) });
  const parts = [clip.key === null ? "" : keyName(clip.key), tempo, clip.instruments.map(instrumentName).join(", ")];
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
  if (meant === found || Math.max(valenceOff, arousalOff) <= 1) return say("patient.heard_so", { meant });
  return say("patient.heard_as", { meant, heard: found });
}

/** Why another generator plays than the chosen one; nothing in the plain case. */
export function generatorText({ generator }) {
  return generator.reason === null ? "" : say("patient.stand_in", { reason: generator.reason });
}

/** How much has been heard, and where it ends: a gentle end comes before what was planned. */
export function timeText({ position, ends }) {
  const time = clock(position / SAMPLE_RATE);
  return ends === null ? time : say("patient.elapsed", { time, whole: clock(ends / SAMPLE_RATE) });
}

/** How far the session has come, for those who do not see the line. An open-ended one has no share to tell. */
export function journeyText({ position, frames }, goal) {
  const share = frames === null ? "–" : Math.round((10 * position) / frames) * 10; // in tenths: it is not read out all the time
  return say("patient.journey", { share, goal });
}

/** What went wrong, by the error's code. */
export function errorText({ code, message }) {
  const key = `patient.error.${code}`;
  return canSay(key) ? say(key) : say("patient.error.other", { message });
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
