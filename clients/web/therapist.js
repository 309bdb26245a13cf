// The therapist page: who is let in, and which of its views is seen.

import { Player } from "./player.js";
import { Api, isLoopback, patientAddress, Refused } from "./therapist-api.js";
import { CardsView } from "./therapist-cards.js";
import { offer } from "./therapist-fields.js";
import { House } from "./therapist-house.js";
import { PastView, reportLinks } from "./therapist-past.js";
import { Plane } from "./therapist-plane.js";
import { PrepareView } from "./therapist-prepare.js";
import { SteerView } from "./therapist-steer.js";
import { faultText, moodAt, placeText } from "./therapist-text.js";
import { WatchView } from "./therapist-watch.js";
import { chooseLanguage, instrumentName, language, languages, loadWords, localize, moodName, say } from "./words.js";

const VIEWS = ["prepare", "invitation", "watch", "past"];
const HERE = ["admin", "therapist"]; // who of the staff may steer

const byId = (id) => document.getElementById(id);
const api = new Api();

let words = {}; // the moods: name -> point
let house = null;
let views = null;
let focus = null; // the id of the session that is looked at

await loadWords();
localize(document);
document.title = `musicmed live · ${say("therapist.title")}`;
offer(byId("language"), languages().map((tag) => [tag, new Intl.DisplayNames(tag, { type: "language" }).of(tag)]));
byId("language").value = language();
byId("language").addEventListener("change", () => {
  chooseLanguage(byId("language").value);
  views?.prepare.keep();
  location.search = ""; // all that stands there is said anew
});
byId("login").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.enter(byId("access").value.trim());
  byId("access").value = "";
  enter();
});
byId("leave").addEventListener("click", () => {
  api.enter("");
  location.reload();
});
enter();

async function enter() {
  try {
    const me = await api.get("/api/me");
    if (!HERE.includes(me.role) || me.session) throw new Refused({ code: "not_therapist" });
    byId("who").textContent = me.name;
    byId("leave").hidden = !api.hasToken;
    await open();
  } catch (fault) {
    askForToken(fault);
  }
}

function askForToken(fault) {
  if (fault.code === "unreachable") {
    byId("alarm").textContent = faultText(fault);
    setTimeout(enter, 2000);
    return;
  }
  byId("login-problem").textContent = api.hasToken ? faultText(fault) : "";
  api.enter("");
  byId("house").hidden = true;
  byId("login").hidden = false;
  byId("access").focus();
}

// All that can fail comes first: this is tried again, and what it does to the page is to be done once.
async function open() {
  const asked = ["words", "instruments", "outputs", "presets"].map((name) => api.get(`/api/${name}`));
  const [found, choices, outputs, presets] = await Promise.all(asked);
  if (views !== null) return; // who pressed twice is in
  words = Object.fromEntries(found.map(({ word, valence, arousal }) => [word, { valence, arousal }]));
  const plane = new Plane(byId("watch-plane"));
  views = {
    cards: new CardsView(byId("cards"), turnTo),
    prepare: new PrepareView(byId("prepare"), api, words, { ...choices, outputs, presets }, opened),
    watch: new WatchView(byId("watch"), plane, words),
    steer: new SteerView(byId("watch")),
    past: new PastView(byId("past"), api),
  };
  offerSteering(plane, choices.instruments);
  house = new House(api, word, show, showFault);
  listen();
  byId("alarm").textContent = "";
  byId("login").hidden = true;
  byId("house").hidden = byId("doors").hidden = false;
  await Promise.all([house.look(), offerPatients()]);
  turnToFirst();
}

function turnToFirst() {
  const first = views.cards.ids[0];
  if (first === undefined) go("prepare");
  else turnTo(first);
}

function listen() {
  byId("to-prepare").addEventListener("click", () => go("prepare"));
  byId("to-past").addEventListener("click", () => go("past"));
  byId("to-watch").addEventListener("click", () => turnTo(focus));
  byId("copy").addEventListener("click", copyLink);
  byId("show-link").addEventListener("click", () => invite(house.find(focus)));
  byId("listen").addEventListener("click", toggleSound);
  byId("forget").addEventListener("click", () => {
    house.forget(focus);
    turnToFirst();
  });
  addEventListener("keydown", (event) => {
    if (!event.altKey || !["PageUp", "PageDown"].includes(event.key)) return;
    event.preventDefault();
    const ids = views.cards.ids;
    const at = ids.indexOf(focus) + (event.key === "PageDown" ? 1 : -1);
    if (ids.length > 0) turnTo(ids[(at + ids.length) % ids.length]);
  });
}

function offerSteering(plane, instruments) {
  plane.drag({
    goal: (goal, released) => released && views.steer.tell({ type: "goal", ...goal }),
    region: (region, released) => released && views.steer.tell({ type: "bounds", region }),
    label: say("therapist.goal"),
    spoken: (emotion) => `${word(emotion)}, ${placeText(emotion)}`,
  });
  byId("limits").addEventListener("toggle", () => (plane.regionMoves = byId("limits").open));
  offer(byId("steer-goal"), Object.keys(words).map((name) => [name, moodName(name)]).toSorted((a, b) => a[1].localeCompare(b[1])));
  byId("steer-goal").value = "calm";
  byId("new-goal").addEventListener("submit", (event) => {
    event.preventDefault();
    views.steer.tell({ type: "goal", ...words[byId("steer-goal").value] });
  });
  byId("forbidden").replaceChildren(...instruments.map((name) => forbidBox(name)));
}

function forbidBox(name) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", name: `forbid.${name}`, value: name });
  label.append(box, ` ${instrumentName(name)}`);
  return label;
}

async function offerPatients() {
  const past = await api.get("/api/journal/sessions").catch(() => []); // without a journal nobody is known
  views.prepare.offerPatients([...new Set(past.map(({ patient }) => patient))]);
}

async function opened(session) {
  await house.look();
  lookAt(session.id);
  invite(session);
  offerPatients();
}

async function invite(session) {
  byId("invitation-title").textContent = say("therapist.invitation", { patient: session.patient });
  const address = patientAddress(session);
  byId("link").value = address;
  byId("try-link").href = address;
  byId("only-here").hidden = !isLoopback(address);
  byId("qr").replaceChildren();
  go("invitation");
  const picture = await api.text(`/api/sessions/${session.id}/qr.svg`).catch(() => null); // the link says the same
  if (picture !== null && focus === session.id) byId("qr").replaceChildren(new DOMParser().parseFromString(picture, "image/svg+xml").documentElement);
}

async function copyLink() {
  byId("link").select();
  const copied = await navigator.clipboard?.writeText(byId("link").value).then(() => true, () => false);
  byId("notice").textContent = say(copied ? "patient.copied" : "patient.copy_by_hand");
}

// Nobody is listened to who is not looked at.
function lookAt(id) {
  if (focus !== id) house.find(focus)?.hear(null);
  focus = id;
}

function turnTo(id) {
  const sitting = house.find(id);
  if (sitting === undefined) return;
  lookAt(id);
  byId("reports").replaceChildren(...reportLinks(sitting));
  views.watch.turn();
  views.steer.turn(sitting);
  go("watch");
  show();
}

function go(view) {
  document.body.dataset.view = view;
  for (const name of VIEWS) byId(name).hidden = name !== view;
  byId("notice").textContent = "";
  for (const door of ["prepare", "past"]) byId(`to-${door}`).setAttribute("aria-pressed", door === view);
  if (view === "past") views.past.show();
  byId(`${view}-title`).focus({ preventScroll: true });
  scrollTo(0, 0);
  show();
}

function show() {
  const isWatched = document.body.dataset.view === "watch";
  views.cards.show(house.sittings, isWatched ? focus : null);
  const sitting = house.find(focus);
  if (!isWatched || sitting === undefined) return;
  views.watch.show(sitting);
  views.steer.show();
  byId("listen").setAttribute("aria-pressed", sitting.player !== null);
  byId("listen").hidden = byId("show-link").hidden = sitting.ended;
  byId("forget").hidden = !sitting.ended;
}

async function toggleSound() {
  const sitting = house.find(focus);
  if (sitting.player !== null) {
    sitting.hear(null);
    show();
    return;
  }
  const player = new Player(1); // before any await: a press unlocks sound only until then
  try {
    await player.prepare();
    if (focus === sitting.id && !sitting.ended) sitting.hear(player);
    else player.close();
  } catch (fault) {
    player.close();
    byId("notice").textContent = say(fault.key);
  }
  show();
}

function showFault(fault) {
  const text = fault === null ? "" : faultText(fault);
  if (byId("alarm").textContent !== text) byId("alarm").textContent = text;
  if (!["bad_token", "token_expired"].includes(fault?.code)) return;
  views.prepare.keep();
  location.reload(); // and ask for another one
}

function word(emotion) {
  return moodAt(emotion, words);
}
