// The patient page: what it knows, and what a touch does. view.js shows it.

import { invitationOf, requestOf, wished } from "./address.js";
import { CallFailed, createSession, fetchWords } from "./api.js";
import { Device } from "./device.js";
import { NoSound, Player } from "./player.js";
import { Session } from "./session.js";
import { errorText } from "./status.js";
import { OneSwitch } from "./switch.js";
import { Throttle } from "./throttle.js";
import { Update } from "./update.js";
import { needsPlay, PageView } from "./view.js";
import { forgetVisit, keepVisit, keptVisit } from "./visit.js";
import { chooseLanguage, loadWords, say } from "./words.js";

const REPORT_INTERVAL_MS = 350;
const WORDS_RETRY_MS = 2000;
const SECOND_TAP_MS = 400; // of a double tap on Start, which lands on what has come to stand there
const FORMS = ["pad", "sliders", "faces"];
const ANSWER_MS = 400; // a network that carries music is quicker
// The moves that cannot wait for a network, and the phases that show that the server has taken them.
const QUIETING = { too_much: ["landing", "paused", "ended"], pause: ["paused", "ended"], stop: ["ended"] };

const byId = (id) => document.getElementById(id);
const address = new URLSearchParams(location.search);

/** All that is shown. */
const model = {
  stage: "start", // "live" while a session runs
  status: "patient.phase.idle", // what is said where there is no state
  state: null, // the last that the server sent
  emotion: null, // what the patient said last
  words: {}, // the server's mood words and their points
  goal: address.get("goal") ?? "calm", // a word, or a point
  form: "pad", // how the patient says a mood
  waits: false, // whether there is a session to go on with
  starting: false,
  silent: false, // whether the server's own speaker plays
  quiet: null, // the key of a calm line
  problem: "",
};
let chosenForm = null; // by the patient, who knows best
let connected = true;
let startedAt = -Infinity; // when Start was tapped last, by `performance.now`
let live = null; // {session, player} while a session runs; player is null where the server's own speaker plays
let awaited = null; // the last quieting move, until the server shows that it has taken it
let hushing = null; // the timer of the silence that it makes here where the server does not

const reports = new Throttle(REPORT_INTERVAL_MS, (emotion) => live?.session.send({ type: "report", ...emotion }));
const view = new PageView(moved);
const device = new Device((playing) => live && move(playing ? "play" : "pause"));
const update = new Update(() => live === null && !model.starting && model.emotion === null && model.problem === "");
const oneSwitch = new OneSwitch(choices, () => model.form === "faces");

byId("start").addEventListener("click", start);
byId("toggle").addEventListener("click", () => hasSettled() && move(needsPlay(model.state) ? "play" : "pause"));
byId("too-much").addEventListener("click", () => move("too_much"));
byId("stop").addEventListener("click", () => hasSettled() && move("stop"));
byId("volume").addEventListener("input", () => awaited === null && live?.player?.setVolume(volume()));
onChoice("goals", chooseGoal);
onChoice("forms", (form) => show({ form: (chosenForm = form) }));
onChoice("languages", speak);
await begin();

async function begin() {
  await loadWords();
  view.speak();
  const asked = address.get("control");
  if (FORMS.includes(asked)) model.form = chosenForm = asked;
  if (address.get("switch") === "1") {
    model.form = chosenForm = "faces";
    oneSwitch.begin();
  }
  model.goal = wished(model.goal);
  showWaiting();
  document.body.classList.remove("loading");
  update.watch();
  loadMoods();
}

/** Change what is shown. */
function show(changes) {
  Object.assign(model, changes);
  view.show(model);
}

async function loadMoods() {
  try {
    show({ words: await fetchWords(), quiet: null });
  } catch {
    show({ quiet: "patient.no_server" });
    setTimeout(loadMoods, WORDS_RETRY_MS);
  }
}

// Before a session: whether one waits for this patient, as an invitation or since a reload.
function showWaiting(status = "patient.phase.idle") {
  const visit = invitationOf(location.hash) ?? keptVisit();
  show({ waits: visit !== null, silent: visit?.silent ?? false, status: visit === null ? status : "patient.phase.waits" });
}

function start() {
  startedAt = performance.now();
  show({ starting: true, problem: "", status: "patient.phase.tuning" });
  const visit = invitationOf(location.hash) ?? keptVisit();
  if (visit?.silent) join(visit, null);
  else startHere(visit);
}

async function startHere(visit) {
  const player = new Player(volume()); // before any await: a tap unlocks sound only until then
  try {
    await player.prepare();
    if (visit === null) open(await createSession(requestOf(location.search, model.goal, model.emotion)), player);
    else join(visit, player);
  } catch (error) {
    player.close();
    show({ starting: false });
    showWaiting();
    show({ problem: problemText(error) });
  }
}

function problemText(error) {
  if (error instanceof CallFailed) return errorText(error);
  if (error instanceof NoSound) return say(error.key);
  throw error;
}

function open(created, player) {
  join({ id: created.id, token: created.tokens.patient, silent: false }, player);
  view.offerWearable(created);
  live.session.send({ type: "play" });
}

function join(visit, player) {
  keepVisit(visit);
  const session = new Session(visit, {
    state: took,
    block: player && ((position, samples) => player.write(position, samples)),
    cut: (position, reason) => {
      player?.cut(position);
      if (reason === awaited) answered();
    },
    refused: (error) => show({ problem: errorText(error) }),
    connected: showConnected,
    ended: end,
  });
  live = { session, player };
  show({ stage: "live", starting: false, waits: false, silent: player === null });
}

function took(state) {
  const { session, player } = live;
  player?.follow(state);
  if (QUIETING[awaited]?.includes(state.phase)) answered();
  // Whoever joins leaves the session as it is, unless nobody has started it.
  if (model.state === null && state.phase === "ready") session.send({ type: "play" });
  device.show(state.playing, say("patient.media_title"));
  view.addState(state, performance.now() / 1000);
  show({ state, form: chosenForm ?? state.control ?? model.form, quiet: quietLine(state) });
}

function quietLine(state) {
  if (!connected) return "patient.away";
  if (live.player?.isAsleep && state?.playing) return "patient.asleep";
  return state?.dose?.limited ? "patient.limited" : null;
}

function showConnected(yes) {
  connected = yes;
  live.player?.forgetClock();
  show({ quiet: quietLine(model.state) });
}

async function end(code) {
  reports.cancel();
  const closed = live.player?.close();
  live = null;
  answered();
  connected = true;
  forgetVisit();
  device.clear();
  view.offerWearable(null);
  history.replaceState(null, "", location.pathname + location.search); // an invitation holds once
  const problem = code === "" ? "" : errorText({ code, message: code });
  show({ stage: "start", state: null, emotion: null, starting: false, quiet: null, problem });
  showWaiting("patient.phase.over");
  await closed;
  update.catchUp();
}

function hasSettled() {
  return performance.now() - startedAt > SECOND_TAP_MS;
}

function move(type) {
  if (type === "stop") live.session.stop();
  else live.session.send({ type });
  if (type === "play") answered();
  else if (live !== null) expectQuiet(type);
}

// Where the server does not answer, what is kept here of its music falls silent.
function expectQuiet(type) {
  const { state } = model;
  if (!state?.playing || QUIETING[type].includes(state.phase)) return;
  awaited = type;
  hushing ??= setTimeout(() => live.player?.hush(), live.session.isOpen ? ANSWER_MS : 0);
}

function answered() {
  clearTimeout(hushing);
  awaited = hushing = null;
  live?.player?.setVolume(volume());
}

function moved(emotion, released) {
  show({ emotion });
  if (live === null || emotion === null) return;
  if (released) reports.flush();
  else reports.push(emotion);
}

function chooseGoal(goal) {
  show({ goal });
  if (model.words[goal] !== undefined) live?.session.send({ type: "goal", ...model.words[goal] });
}

function speak(chosen) {
  chooseLanguage(chosen);
  view.speak();
  show({ problem: "" });
}

function onChoice(group, choose) {
  byId(group).addEventListener("click", ({ target }) => {
    if (target.value) choose(target.value);
  });
}

// For one switch: the faces, row by row, and the moves.
function choices() {
  const faces = [...byId("faces-form").children];
  const moves = ["too-much", "toggle", "stop", "start"].map(byId);
  return [moves, faces.slice(0, 4), faces.slice(4)].map((row) => row.filter((button) => button.checkVisibility() && !button.disabled));
}

function volume() {
  return byId("volume").valueAsNumber / 100;
}
