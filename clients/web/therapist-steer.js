// What a therapist does to the music while it plays. Every press is answered: done, or why not.

import { say } from "./words.js";
import { faultText, steeringText } from "./therapist-text.js";
import { Fields } from "./therapist-fields.js";
import { limitsOf, numberOf } from "./therapist-request.js";

const SURE_MS = 5000; // an end is asked for twice within so long
const LATE_MS = 2000; // an answer that takes longer is waited for aloud
const STILL = ["paused", "landing"]; // phases that `play` leads out of

export class SteerView {
  #root;
  #sitting = null;
  #limits;
  #sureUntil = 0;
  #shownBounds = {}; // those that the form of limits was filled with: name of the field -> text

  /** `root`: the whole view of a session. */
  constructor(root) {
    this.#root = root;
    const form = this.#find("#limits form");
    this.#limits = new Fields(form, form.querySelector(".problem"));
    this.#press("#toggle", () => ({ type: this.#plays ? "pause" : "play" }));
    this.#press("#hold", () => ({ type: this.#sitting.state.held ? "lead" : "hold" }));
    this.#press("#step-back", () => ({ type: "step_back" }));
    this.#press("#too-much", () => ({ type: "too_much" }));
    this.#press("#end-gently", () => this.#endGently());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#bound();
    });
  }

  /** Steer another session. */
  turn(sitting) {
    this.#sitting = sitting;
    this.#sureUntil = 0;
    this.#shownBounds = {};
    this.#limits.clear();
    this.#say("");
  }

  show() {
    const { state, connected, ended } = this.#sitting;
    const isMute = state === null || !connected || ended || state.phase === "ended";
    for (const button of this.#root.querySelectorAll(".right :is(button, select, input)")) {
      if (!button.closest("[data-always]")) button.disabled = isMute;
    }
    if (state === null) return;
    this.#find("#toggle").textContent = say(`therapist.toggle.${this.#toggleName}`);
    this.#find("#hold").setAttribute("aria-pressed", state.held);
    this.#find("#end-gently").textContent = say(this.#isSure ? "therapist.end_sure" : "therapist.end_gently");
    this.#showBounds(state.bounds);
  }

  /** Say something to the session, and what has become of it. */
  async tell(message) {
    const sitting = this.#sitting;
    const what = steeringText(message.type);
    const tellOf = (text) => sitting === this.#sitting && this.#say(text); // of another patient it would be false
    this.#say("");
    const late = setTimeout(() => tellOf(say("therapist.not_written", { what })), LATE_MS);
    const fault = await sitting.ask(message);
    clearTimeout(late);
    tellOf(fault === null ? say("therapist.done", { what }) : faultText(fault));
    return fault;
  }

  get #plays() {
    const { phase, rest } = this.#sitting.state;
    return phase !== "ready" && !STILL.includes(phase) && rest === null;
  }

  get #toggleName() {
    const { phase, rest } = this.#sitting.state;
    if (phase === "ready") return "start";
    if (rest !== null) return "go_on";
    return STILL.includes(phase) ? "play" : "pause";
  }

  get #isSure() {
    return performance.now() < this.#sureUntil;
  }

  // The end cannot be taken back: one press asks, the next one does it.
  #endGently() {
    const sure = this.#isSure;
    this.#sureUntil = sure ? 0 : performance.now() + SURE_MS;
    if (!sure) setTimeout(() => this.show(), SURE_MS);
    this.show();
    return sure ? { type: "end_gently" } : null;
  }

  #press(selector, message) {
    this.#find(selector).addEventListener("click", () => {
      const said = message();
      if (said !== null) this.tell(said);
    });
  }

  // What somebody is typing is left alone until the very bound that is in force there changes.
  #showBounds(bounds) {
    const fields = boundFields(bounds);
    for (const { name, value } of this.#forbidden) fields[name] = bounds.forbid.includes(value) ? value : "";
    const changes = changesOf(this.#shownBounds, fields);
    if (Object.keys(changes).length === 0) return;
    this.#shownBounds = fields;
    this.#limits.values = changes;
  }

  async #bound() {
    const sitting = this.#sitting;
    const changes = changesOf(sitting.state.bounds, wishedBounds(this.#limits.values, this.#forbidden));
    const fault = await this.tell({ type: "bounds", ...changes });
    if (sitting !== this.#sitting) return;
    if (fault === null) this.#limits.clear();
    else this.#limits.refuse(fault);
  }

  get #forbidden() {
    return [...this.#root.querySelectorAll("#limits input[type=checkbox]")];
  }

  #say(text) {
    this.#find("#answer").textContent = text;
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }
}

/** The fields that say the same as the bounds of a state. */
export function boundFields({ region, tempo_bpm, loudest_lufs, loudest_dba }) {
  const fields = { loudest_lufs: textOf(loudest_lufs), loudest_dba: textOf(loudest_dba) };
  for (const end of [0, 1]) {
    fields[`region.valence.${end}`] = textOf(region.valence[end]);
    fields[`region.arousal.${end}`] = textOf(region.arousal[end]);
    fields[`tempo_bpm.${end}`] = textOf(tempo_bpm?.[end] ?? null);
  }
  return fields;
}

/** What of `after` is otherwise than before. */
export function changesOf(before, after) {
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key])));
}

function wishedBounds(fields, boxes) {
  const [lufs, dba] = [fields.loudest_lufs, fields.loudest_dba].map((text) => (text.trim() === "" ? null : numberOf(text)));
  const forbid = boxes.filter(({ checked }) => checked).map(({ value }) => value);
  return { ...limitsOf(fields), loudest_lufs: lufs, loudest_dba: dba, forbid };
}

function textOf(value) {
  return value === null ? "" : String(value);
}
