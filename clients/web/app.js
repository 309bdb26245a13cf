// The patient page: puts pad, path, player and session together.

import { BodyView } from "./body.js";
import { EstimateView, estimateText } from "./estimate.js";
import { MoodPad, nearestWord } from "./pad.js";
import { PathView } from "./path.js";
import { Player } from "./player.js";
import { createSession, fetchWords, Session } from "./session.js";
import { generatorText, heardText, isAsked, phaseText, playingText, timeText, whyText } from "./status.js";
import { Throttle } from "./throttle.js";
import { WearableView } from "./wearable.js";

const REPORT_INTERVAL_MS = 350;
const NEEDS_PLAY = ["paused", "landing"]; // phases that `play` leads out of

const byId = (id) => document.getElementById(id);
const goalButtons = [...byId("goals").querySelectorAll("button")];

const path = new PathView(byId("pad"));
const estimate = new EstimateView(byId("pad"));
const body = new BodyView(byId("body"));
const wearable = new WearableView(byId("wearable"));
const reports = new Throttle(REPORT_INTERVAL_MS, (emotion) => live?.session.send({ type: "report", ...emotion }));
const pad = new MoodPad(byId("pad"), { valence: byId("valence"), arousal: byId("arousal") }, moved);

let words = {};
// The address may say what to play, and for whom: ?start=anxious&goal=0.5,-0.4&minutes=15&seed=7&patient=anna
const address = new URLSearchParams(location.search);
let goal = address.get("goal") ?? "calm";
let live = null; // {session, player} while a session runs; player is null where the server's own speaker plays
let phase = null; // of the last state

byId("start").addEventListener("click", start);
byId("toggle").addEventListener("click", () => live.session.send({ type: needsPlay() ? "play" : "pause" }));
byId("stop").addEventListener("click", () => live.session.stop());
byId("too-much").addEventListener("click", () => live.session.send({ type: "too_much" }));
byId("volume").addEventListener("input", () => live?.player?.setVolume(volume()));
for (const button of goalButtons) button.addEventListener("click", () => chooseGoal(button.value));
document.addEventListener("pointerdown", () => live?.player?.wake());
addEventListener("pagehide", () => {
  if (live?.player) live.session.leave(); // what the server's own speaker plays goes on
});
loadWords();

async function loadWords() {
  try {
    words = await fetchWords();
  } catch (error) {
    showProblem(error.message);
    return;
  }
  pad.words = words;
  showGoal();
}

function start() {
  showProblem("");
  byId("phase").textContent = "Tuning up …";
  const invited = invitation();
  if (invited === null) startHere();
  else begin(invited, null);
}

async function startHere() {
  const player = new Player(volume()); // before any await: a tap unlocks sound only until then
  byId("start").disabled = true;
  try {
    await player.prepare();
    begin(await createSession(request()), player);
    live.session.send({ type: "play" });
  } catch (error) {
    player.close();
    byId("phase").textContent = "Ready when you are.";
    showProblem(error.message);
  }
  byId("start").disabled = false;
}

function request() {
  const wish = { start: null };
  for (const [key, value] of address) wish[key] = key === "patient" ? value : wished(value); // 007 is a name
  if (pad.emotion !== null) wish.start = pad.emotion;
  return { ...wish, goal: wished(goal) };
}

// A number, a point V,A or a word. What cannot be used, or not exactly, goes as it is, for the server to say so.
function wished(text) {
  const numbers = text.split(",").map(Number);
  if (text.trim() === "" || !numbers.every((number) => Math.abs(number) <= Number.MAX_SAFE_INTEGER)) return text;
  return numbers.length === 2 ? { valence: numbers[0], arousal: numbers[1] } : numbers[0];
}

// `#session=ID&token=TOKEN`: the session that plays on the server's own speaker, to be steered from here.
function invitation() {
  const { session: id, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  return id && token ? { id, tokens: { patient: token } } : null;
}

function begin(created, player) {
  const session = new Session(created, {
    state: showState,
    block: player && ((position, samples) => player.write(position, samples)),
    cut: (position) => player?.cut(position),
    refused: ({ message }) => showProblem(message),
    connected: (yes) => {
      player?.forgetClock();
      showProblem(yes ? "" : "The connection is lost. Trying again …");
    },
    ended: end,
  });
  live = { session, player };
  wearable.offer(created);
  showStage("live");
}

function end(why) {
  reports.cancel();
  if (live.player === null) history.replaceState(null, "", location.pathname + location.search);
  live.player?.close();
  live = null;
  phase = null;
  for (const view of [path, body, wearable]) view.clear();
  estimate.show(null);
  byId("phase").textContent = "The session has ended. Ready when you are.";
  for (const line of ["why", "estimate-text", "playing", "heard", "generator", "time"]) byId(line).textContent = "";
  showProblem(why);
  showStage("start");
}

function moved(emotion, released) {
  if (live === null) return;
  if (!released) reports.push(emotion);
  else reports.flush();
}

function chooseGoal(word) {
  goal = word;
  showGoal();
  if (words[goal] !== undefined) live?.session.send({ type: "goal", ...words[goal] });
}

function showGoal() {
  for (const button of goalButtons) button.ariaPressed = String(button.value === goal);
  const point = words[goal] ?? wished(goal);
  if (typeof point === "object") path.showGoal(point);
}

function showState(state) {
  live.player?.follow(state);
  // Whoever joins leaves the session as it is, unless nobody has started it.
  if (live.player === null && phase === null && state.phase === "ready") live.session.send({ type: "play" });
  phase = state.phase;
  path.show(state);
  estimate.show(state.estimate);
  body.show(state, performance.now() / 1000);
  wearable.name(state.patient);
  byId("toggle").textContent = needsPlay() ? "Play" : "Pause";
  showControls();
  showQuestion(isAsked(state));
  setText("phase", phaseText(state, nearestWord(state.goal, words)));
  setText("why", whyText(state));
  setText("estimate-text", estimateText(state.estimate, words));
  setText("playing", playingText(state));
  setText("heard", heardText(state, (emotion) => nearestWord(emotion, words)));
  setText("generator", generatorText(state));
  setText("time", timeText(state));
}

// Only a change is written: a screen reader reads the line out whenever it is.
function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function showStage(stage) {
  document.body.dataset.stage = stage;
  byId("volume-label").hidden = live?.player === null;
  showControls();
  showQuestion(false);
}

function showQuestion(asked) {
  byId("mood").classList.toggle("asked", asked);
  setText("asked", asked ? "How do you feel now? Move the point, or press Enter on it." : "");
  setText("mood-hint", hint(asked));
}

function hint(asked) {
  if (asked) return `Move the point, or touch it${pad.emotion === null ? "" : " again"}.`;
  if (live !== null) return "Move the point when that changes.";
  return "Move the point to how you feel. Leave it alone, and the music begins neutrally.";
}

function showControls() {
  byId("toggle").disabled = phase === "ended";
  byId("too-much").disabled = live === null || phase === "ended";
}

function showProblem(text) {
  byId("problem").textContent = text;
}

function needsPlay() {
  return NEEDS_PLAY.includes(phase);
}

function volume() {
  return byId("volume").valueAsNumber / 100;
}
