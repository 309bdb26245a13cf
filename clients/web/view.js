// Shows the patient page's model. It decides nothing, and writes only what has changed: a screen reader reads that out.

import { AffectiveSlider } from "./affective.js";
import { BodyView } from "./body.js";
import { nearestWord } from "./emotion.js";
import { EstimateView, estimateText } from "./estimate.js";
import { FaceChoice } from "./faces.js";
import { JourneyView } from "./journey.js";
import { MoodPad } from "./pad.js";
import { PathView } from "./path.js";
import { generatorText, heardText, isAsked, journeyText, phaseText, playingText, timeText, whyText } from "./status.js";
import { WearableView } from "./wearable.js";
import { language, localize, moodName, say } from "./words.js";

const NEEDS_PLAY = ["paused", "landing"]; // phases that `play` leads out of
const OF_A_STATE = ["why", "playing", "heard", "generator", "time", "estimate-text"]; // lines that are empty without one

const byId = (id) => document.getElementById(id);

/** Whether the next press is to play, not to pause. */
export function needsPlay(state) {
  return NEEDS_PLAY.includes(state?.phase);
}

export class PageView {
  #path = new PathView(byId("pad"));
  #estimate = new EstimateView(byId("pad"));
  #body = new BodyView(byId("body"));
  #wearable = new WearableView(byId("wearable"));
  #journey = new JourneyView(byId("journey"));
  #moods;

  /** `onMove(emotion, released)`: the patient says a mood, in whichever form. */
  constructor(onMove) {
    const sliders = { valence: byId("valence"), arousal: byId("arousal") };
    this.#moods = [
      new MoodPad(byId("pad"), onMove),
      new AffectiveSlider(sliders, onMove),
      new FaceChoice(byId("faces-form"), onMove),
    ];
  }

  /** Put the words of the page's language in their places; what follows from the model comes with the next `show`. */
  speak() {
    localize(document);
    byId("pad").setAttribute("aria-roledescription", say("patient.pad"));
  }

  /** `model`: as `app.js` keeps it. */
  show(model) {
    document.body.dataset.stage = model.stage;
    document.body.dataset.form = model.form;
    for (const mood of this.#moods) mood.show(model.emotion, model.words);
    this.#showChoices(model);
    this.#showQuestion(model);
    this.#showMoves(model);
    this.#showLines(model);
    if (model.state === null) this.#showIdle(model);
    else this.#showState(model, model.state);
  }

  /** What a session has at its beginning: `{id, tokens}`; null once it is over. */
  offerWearable(created) {
    if (created === null) this.#wearable.clear();
    else this.#wearable.offer(created);
  }

  /** The state that has just come, for what is drawn over time. `now`: seconds of any steady clock. */
  addState(state, now) {
    this.#body.show(state, now);
    this.#wearable.name(state.patient);
  }

  #showChoices({ goal, form, state, words }) {
    const goals = state === null ? goal : nearestWord(state.goal, words);
    const chosen = { goals, forms: form, languages: language() };
    for (const [group, value] of Object.entries(chosen)) {
      for (const button of byId(group).children) button.ariaPressed = String(button.value === value);
    }
  }

  #showQuestion({ state, form, stage }) {
    const asked = state !== null && isAsked(state);
    byId("mood").classList.toggle("asked", asked);
    setText("asked", asked ? say("patient.asked") : "");
    const optional = stage === "start" ? ` ${say("patient.optional")}` : "";
    setText("mood-hint", say(`patient.hint.${form}`) + optional);
  }

  #showMoves({ stage, state, starting, waits, silent }) {
    const play = needsPlay(state);
    document.body.classList.toggle("needs-play", play);
    write(byId("toggle").lastElementChild, say(play ? "patient.play" : "patient.pause"));
    write(byId("start").lastElementChild, say(waits ? "patient.go_on" : "patient.start"));
    byId("start").disabled = starting;
    byId("toggle").disabled = state?.phase === "ended";
    byId("too-much").disabled = stage === "start" || state?.phase === "ended";
    byId("volume-label").hidden = silent;
  }

  #showLines({ quiet, problem }) {
    setText("quiet", quiet === null ? "" : say(quiet));
    setText("problem", problem);
  }

  #showIdle({ status, goal, words }) {
    setText("phase", say(status));
    for (const line of OF_A_STATE) setText(line, "");
    this.#path.clear();
    this.#body.clear();
    this.#estimate.show(null);
    const point = words[goal] ?? goal;
    if (typeof point === "object") this.#path.showGoal(point);
  }

  #showState({ words }, state) {
    const named = (emotion) => moodName(nearestWord(emotion, words));
    const goal = named(state.goal);
    this.#path.show(state);
    this.#estimate.show(state.estimate);
    this.#journey.show(state, goal, journeyText(state, goal || say("patient.the_goal")));
    setText("phase", phaseText(state, goal));
    setText("why", whyText(state));
    setText("estimate-text", estimateText(state.estimate, words));
    setText("playing", playingText(state));
    setText("heard", heardText(state, named));
    setText("generator", generatorText(state));
    setText("time", timeText(state));
  }
}

function setText(id, text) {
  write(byId(id), text);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
