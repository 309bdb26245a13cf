// The calibration page: three steps from a sound level meter to an output whose level is known.

import { Noise } from "./calibrate-noise.js";
import { judged, readingOf, shownDba } from "./calibrate-reading.js";
import { Api, Refused } from "./therapist-api.js";
import { canSay, language, loadWords, localize, say } from "./words.js";

const byId = (id) => document.getElementById(id);
const api = new Api();
const noise = new Noise();
let playing = false;

function play() {
  playing = !playing;
  byId("play").textContent = say(playing ? "calibrate.stop_noise" : "calibrate.play_noise");
  byId("playing").textContent = playing ? say("calibrate.rising") : "";
  if (!playing) {
    noise.stop();
    return;
  }
  noise.play("/api/noise.wav", () => { byId("playing").textContent = say("calibrate.full"); }).catch(() => {
    play();
    byId("playing").textContent = say("calibrate.problem_unreachable");
  });
}

async function save(event) {
  event.preventDefault();
  const dba = readingOf(byId("meter_dba").value);
  const name = byId("name").value.trim();
  if (dba === null) return complain("meter_dba", say("calibrate.problem_meter_dba"));
  if (name === "") return complain("name", say("calibrate.problem_name"));
  complain(null, "");
  try {
    await api.put(`/api/outputs/${encodeURIComponent(name)}`, { meter_dba: dba });
  } catch (fault) {
    complain(fault.field === "name" ? "name" : "meter_dba", problem(fault));
    return;
  }
  if (playing) play();
  byId("result").textContent = say(`calibrate.result_${judged(dba)}`, { name, dba: shownDba(dba, language()) });
  await showOutputs();
}

function complain(field, text) {
  for (const id of ["meter_dba", "name"]) byId(id).ariaInvalid = String(id === field);
  byId("problem").textContent = text;
  byId("result").textContent = "";
  if (field !== null) byId(field).focus();
}

/** What went wrong, in the reader's language; in the server's words where we have none. */
function problem(fault) {
  if (!(fault instanceof Refused)) throw fault;
  for (const key of [`calibrate.problem_${fault.code}`, `calibrate.problem_${fault.field}`]) if (canSay(key)) return say(key);
  return fault.message;
}

async function showOutputs() {
  const outputs = await api.get("/api/outputs");
  byId("known").hidden = outputs.length === 0;
  byId("outputs").replaceChildren(...outputs.map(row));
}

function row({ name, meter_dba }) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  text.textContent = say("calibrate.output", { name, dba: shownDba(meter_dba, language()) });
  const forget = document.createElement("button");
  forget.type = "button";
  forget.textContent = say("calibrate.forget");
  forget.ariaLabel = say("calibrate.forget_output", { name });
  forget.addEventListener("click", async () => {
    try {
      await api.remove(`/api/outputs/${encodeURIComponent(name)}`);
      await showOutputs();
    } catch (fault) {
      complain(null, problem(fault));
    }
  });
  item.append(text, forget);
  return item;
}

/** Show the steps to whoever may take them; else ask who it is. */
async function enter() {
  try {
    await showOutputs();
    byId("login").hidden = true;
    byId("steps").hidden = false;
  } catch (fault) {
    byId("login").hidden = false;
    byId("login-problem").textContent = api.hasToken || fault.code === "unreachable" ? problem(fault) : "";
  }
}

await loadWords();
localize(document);
document.title = say("calibrate.title");
byId("play").addEventListener("click", play);
byId("save").addEventListener("submit", save);
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  api.enter(byId("access").value.trim());
  enter();
});
document.body.hidden = false;
await enter();
