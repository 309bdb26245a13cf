// The bedside kiosk's page: what it knows, and what a touch does. The sound is the machine's, not the browser's.

import { AffectiveSlider } from "./affective.js";
import { endSession, fetchWords } from "./api.js";
import { nearestWord } from "./emotion.js";
import { FaceChoice } from "./faces.js";
import { fetchKiosk, startMusic } from "./kiosk-api.js";
import { darkness, driftAt } from "./kiosk-night.js";
import { NurseCorner } from "./kiosk-nurse.js";
import { MoodPad } from "./pad.js";
import { Session } from "./session.js";
import { phaseText, playingText, whyText } from "./status.js";
import { Throttle } from "./throttle.js";
import { chooseLanguage, loadWords, localize, moodName, say } from "./words.js";

const LOOK_MS = 1000;
const PATIENCE_MS = 1500; // a server that is away for less is not missed
const LOST_MS = 15_000; // a server that is back for so long would have gone on with its session
const AWAKE_MS = 60_000; // so long a touch keeps the night away
const REPORT_INTERVAL_MS = 350;
const NEEDS_PLAY = ["paused", "landing"]; // phases that `play` leads out of

const byId = (id) => document.getElementById(id);

const model = {
  kiosk: null, // the last answer of `GET /api/kiosk`
  seen: -Infinity, // when that came; milliseconds of the page
  state: null, // of the session, as the server told it last
  emotion: null, // what the patient said last
  words: {},
  starting: false,
  problem: "", // the code of why the music could not start
};
let session = null;
let invitation = null; // `{id, token}` of `session`
let stopped = null; // the id of a session that was to stop, which a server may not have heard
let connected = false;
let unknownSince = null; // since when the server has been back, without our session
let touched = -Infinity;

const reports = new Throttle(REPORT_INTERVAL_MS, (emotion) => session?.send({ type: "report", ...emotion }));
const nurse = new NurseCorner(() => invitation && endSession(invitation));
const moods = [
  new MoodPad(byId("pad"), moved),
  new AffectiveSlider({ valence: byId("valence"), arousal: byId("arousal") }, moved),
  new FaceChoice(byId("faces-form"), moved),
];

byId("begin").addEventListener("click", begin);
byId("toggle").addEventListener("click", () => (needsPlay() ? begin() : session?.send({ type: "pause" })));
byId("too-much").addEventListener("click", () => session?.send({ type: "too_much" }));
byId("stop").addEventListener("click", stop);
byId("nurse-open").addEventListener("click", () => model.kiosk && nurse.open(model.kiosk));
addEventListener("pointerdown", wake, { capture: true });
for (const kind of ["contextmenu", "dragstart", "selectstart"]) addEventListener(kind, (event) => event.preventDefault());

document.body.dataset.runs = ""; // for kiosk-watch.js: all its parts have come
await loadWords();
localize(document);
look();
setInterval(look, LOOK_MS);

async function look() {
  try {
    const kiosk = await fetchKiosk();
    if (kiosk.language !== model.kiosk?.language) speak(kiosk.language);
    Object.assign(model, { kiosk, seen: performance.now() });
    if (model.problem === "unreachable") model.problem = "";
    if (Object.keys(model.words).length === 0) model.words = await fetchWords();
    follow(model.kiosk.session);
  } catch (error) {
    if (error.code === undefined) throw error; // no answer of the server's: a fault of this page
  }
  show();
}

// What plays may have been begun elsewhere, and a server that has come back takes its session up again.
function follow(playing) {
  unknownSince = playing === null && session !== null && !connected ? (unknownSince ?? performance.now()) : null;
  if (session === null && playing !== null && playing.id === stopped) endSession(playing);
  else if (playing !== null && playing.id !== invitation?.id) join(playing);
  else if (unknownSince !== null && performance.now() - unknownSince > LOST_MS) session.stop();
}

async function begin() {
  if (model.starting) return;
  stopped = null;
  Object.assign(model, { starting: true, problem: "" });
  show();
  try {
    const started = await startMusic();
    if (started.id !== invitation?.id) join(started);
  } catch (error) {
    if (error.code === undefined) throw error;
    model.problem = error.code;
  }
  model.starting = false;
  show();
}

function stop() {
  stopped = invitation?.id ?? null;
  session?.stop();
}

function join(started) {
  session?.leave();
  invitation = started;
  connected = false;
  session = new Session(started, {
    state: took,
    block: null,
    cut: () => {},
    refused: () => {},
    connected: (yes) => {
      connected = yes;
      show();
    },
    ended,
  });
}

function took(state) {
  Object.assign(model, { state, problem: "" });
  show();
}

function ended() {
  reports.cancel();
  session = invitation = null;
  Object.assign(model, { state: null, emotion: null });
  if (model.kiosk !== null) model.kiosk.session = null; // until it is asked again
  show();
}

function moved(emotion, released) {
  model.emotion = emotion;
  show();
  if (session === null || emotion === null) return;
  if (released) reports.flush();
  else reports.push(emotion);
}

function needsPlay() {
  return NEEDS_PLAY.includes(model.state?.phase);
}

function wake() {
  touched = performance.now();
  showNight();
}

// `chosen`: a language, or null for the browser's.
function speak(chosen) {
  chooseLanguage(chosen);
  localize(document);
  nurse.speak();
}

function stage() {
  if (performance.now() - model.seen > PATIENCE_MS + LOOK_MS) return "away";
  if (session === null) return "start";
  return model.state === null ? "away" : "live";
}

function show() {
  const { kiosk, state } = model;
  document.body.dataset.stage = stage();
  document.body.dataset.form = state?.control ?? kiosk?.control ?? "faces";
  document.body.classList.toggle("needs-play", needsPlay());
  for (const mood of moods) mood.show(model.emotion, model.words);
  byId("begin").disabled = model.starting;
  write(byId("toggle").lastElementChild, say(needsPlay() ? "patient.play" : "patient.pause"));
  write(byId("headphones"), kiosk === null || kiosk.headphones === "unknown" ? "" : say(`kiosk.headphones_${kiosk.headphones}`));
  showWords();
  showNight();
}

function showWords() {
  const { kiosk, state, problem } = model;
  const named = (emotion) => moodName(nearestWord(emotion, model.words));
  if (state === null) write(byId("phase"), model.starting ? say("patient.phase.tuning") : lengthText(kiosk));
  else write(byId("phase"), phaseText(state, named(state.goal)));
  write(byId("why"), kiosk?.pulled ? say("kiosk.pulled") : state === null ? "" : whyText(state));
  write(byId("problem"), problem === "" ? "" : say("kiosk.cannot_start"));
  nurse.showPlaying(state === null ? "" : playingText(state));
}

function lengthText(kiosk) {
  if (kiosk === null || kiosk.minutes === null) return "";
  return say("kiosk.minutes_of", { minutes: kiosk.minutes });
}

function showNight() {
  const { kiosk } = model;
  const now = new Date();
  const isAwake = performance.now() - touched < AWAKE_MS;
  const dark = kiosk === null ? 0 : darkness(now.getHours() * 60 + now.getMinutes(), kiosk, isAwake);
  document.body.style.setProperty("--dark", dark);
  const { x, y } = driftAt(now.getTime());
  document.body.style.setProperty("--drift-x", `${x}px`);
  document.body.style.setProperty("--drift-y", `${y}px`);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
