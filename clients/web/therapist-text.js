// What the therapist page says of a session, in words.

import { nearestWord } from "./emotion.js";
import { isAsked, timesText, timeText } from "./status.js";
import { canSay, instrumentName, keyName, moodName, numberText, say } from "./words.js";

const SAMPLE_RATE = 48000;
const URGENT = { lost: 4, failed: 4, unheard: 3, landing: 3, fault: 2, asks: 1 }; // the more, the further to the front

/** The name of the mood that is nearest to a point. */
export function moodAt(emotion, words) {
  const word = nearestWord(emotion, words);
  return word === "" ? placeText(emotion) : moodName(word);
}

/** A style's name. */
export function styleName(name) {
  const key = `therapist.style.${name}`;
  return canSay(key) ? say(key) : name;
}

/** A point in numbers. */
export function placeText({ valence, arousal }) {
  return say("patient.place", { valence: tenths(valence), arousal: tenths(arousal) });
}

/** Why the music does what it does, as the patient reads it. */
export function becauseText({ key, mood, times }) {
  return say(`why.${key}`, { mood: mood === null ? "" : moodName(mood), times: times === null ? "" : timesText(times) });
}

/** What is the matter with a session, the most urgent first: keys of `therapist.warning.*`. */
export function warningsOf({ state, connected, ended, unheard }) {
  if (ended || state === null) return connected || ended ? [] : ["lost"];
  const found = [];
  if (!connected) found.push("lost");
  else if (unheard) found.push("unheard");
  if (state.phase === "landing") found.push("landing");
  if (state.sources.some(({ fault }) => fault !== null && fault !== "moving")) found.push("fault");
  if (isAsked(state)) found.push("asks");
  if (state.generator.reason !== null) found.push("generator");
  if (state.dose?.limited) found.push("limited");
  return found;
}

/** How far to the front a session belongs. */
export function urgencyOf(sitting) {
  return Math.max(0, ...warningsOf(sitting).map((warning) => URGENT[warning] ?? 0));
}

/** Label and text of what plays: `[["key of the label", "text"], ...]`. What is not known is said to be unknown. */
export function factsOf(state, words) {
  const { clip } = state;
  const unknown = say("therapist.unknown");
  return [
    ["therapist.fact.plays", clip === null ? say("therapist.nothing") : playsText(clip)],
    ["therapist.fact.instruments", clip === null || clip.instruments.length === 0 ? unknown : clip.instruments.map(instrumentName).join(", ")],
    ["therapist.fact.meant", clip === null ? unknown : heardText(clip, words)],
    ["therapist.fact.generator", generatorText(state.generator)],
    ["therapist.fact.report", state.report === null ? say("therapist.none_yet") : reportText(state.report, words)],
    ["therapist.fact.estimate", state.estimate === null ? say("therapist.none_yet") : estimateText(state.estimate, words)],
    ["therapist.fact.goal", moodAt(state.goal, words)],
    ["therapist.fact.level", levelText(state.level)],
    ["therapist.fact.dose", doseText(state.dose)],
    ["therapist.fact.time", timeText(state)],
  ];
}

/** What a session does, for its therapist. */
export function phaseName({ state, ended, connected }) {
  if (ended) return say("therapist.phase.ended");
  if (state === null) return connected ? say("therapist.phase.connecting") : "";
  if (state.rest !== null) return say("therapist.phase.rest", { time: clock(state.rest.seconds_left * SAMPLE_RATE) });
  if (state.because.key === "ending") return say("therapist.phase.ending");
  return say(`therapist.phase.${state.held && state.phase === "holding" ? "held" : state.phase}`);
}

/** Minutes and seconds of a position. */
export function clock(position) {
  const seconds = Math.floor(position / SAMPLE_RATE);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** An error of the server: in the reader's language where we have words for its code, else in the server's. */
export function faultText({ code, message }) {
  const key = `therapist.error.${code}`;
  if (canSay(key)) return say(key);
  return message === "" ? say("therapist.error.other") : message;
}

/** One line of what happened. */
export function newsText({ key, values }) {
  if (key === "because") return becauseText(values.because);
  if (key === "steered") return say("therapist.news.steered", { by: values.by, what: steeringText(values.what) });
  if (key.startsWith("source")) {
    const name = say(`patient.source.${values.kind}`);
    return say(`therapist.news.${key}`, { name, what: values.fault === null ? "" : say(`therapist.fault.${values.fault}`) });
  }
  return say(`therapist.news.${key}`, values);
}

/** What a therapist did, by the type of their message. */
export function steeringText(what) {
  const key = `therapist.did.${what}`;
  return canSay(key) ? say(key) : what;
}

function playsText({ key, tempo_bpm }) {
  const tempo = tempo_bpm === null ? "" : say("patient.tempo", { bpm: Math.round(tempo_bpm) });
  return [key === null ? "" : keyName(key), tempo].filter((part) => part !== "").join(" · ") || say("therapist.unknown");
}

function heardText({ emotion, heard }, words) {
  const meant = moodAt(emotion, words);
  if (heard === null) return say("therapist.not_judged", { meant });
  const off = Math.hypot(heard.valence - emotion.valence, heard.arousal - emotion.arousal);
  return say("therapist.heard", { meant, heard: moodAt(heard, words), off: tenths(off) });
}

function generatorText({ name, chosen, reason }) {
  return reason === null ? name : say("therapist.stand_in", { name, chosen, reason });
}

function reportText(report, words) {
  return say("therapist.said", { mood: moodAt(report, words), seconds: ageText(report.seconds) });
}

function estimateText(estimate, words) {
  const { valence_sd, arousal_sd } = estimate;
  return say("therapist.believed", { mood: moodAt(estimate, words), valence: tenths(valence_sd), arousal: tenths(arousal_sd) });
}

function levelText({ lufs, dba }) {
  const parts = [];
  if (dba !== null) parts.push(`${Math.round(dba)} dB(A)`);
  if (lufs !== null) parts.push(`${tenths(lufs)} LUFS`);
  return parts.join(" · ") || say("therapist.unknown");
}

function doseText(dose) {
  if (dose === null) return say("therapist.unknown_dose");
  const share = say("therapist.dose", { percent: Math.round(100 * dose.week_share) });
  return dose.limited ? `${share} ${say("therapist.dose_limited")}` : share;
}

function ageText(seconds) {
  return seconds < 90 ? say("therapist.seconds", { count: Math.round(seconds) }) : say("therapist.minutes_ago", { count: Math.round(seconds / 60) });
}

function tenths(x) {
  return numberText(Math.round(x * 10) / 10);
}
