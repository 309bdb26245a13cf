// The form in which a session is prepared: what is wished, also by pointing at the plane, and how it was the last time.

import { nearestWord } from "./emotion.js";
import { Fields, offer } from "./therapist-fields.js";
import { Plane } from "./therapist-plane.js";
import { bodyOf, DEFAULTS, fieldsOf, numberOf } from "./therapist-request.js";
import { moodAt, placeText, styleName } from "./therapist-text.js";
import { instrumentName, moodName, numberText, say } from "./words.js";

const MOST_PAUSES = 8;
const WISHES = ["", "prefer", "forbid"];
const OTHER = "other"; // a goal that no word names
const AXES = ["valence", "arousal"];
const KEPT = "musicmed.preparation"; // over a reload, in this tab only

export class PrepareView {
  #root;
  #api;
  #words;
  #fields;
  #plane;
  #last = null; // the fields of the patient's last session
  #asked = ""; // the patient whose last session was asked for
  #opened;

  /**
   * `choices`: names of instruments, styles and generators, outputs, `[{name}, ...]`, and presets of their level,
   * `[{name, dba, source}, ...]`; `opened(session)` is called with each new one.
   */
  constructor(root, api, words, choices, opened) {
    this.#root = root;
    this.#api = api;
    this.#words = words;
    this.#opened = opened;
    this.#fields = new Fields(root.querySelector("form"), root.querySelector("#prepare-problem"));
    this.#plane = new Plane(root.querySelector("#prepare-plane"));
    this.#offer(choices);
    this.#listen();
    this.#begin();
    this.#goOn();
  }

  /** The page is about to be loaded anew: what stands in the form will stand there again. */
  keep() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.#fields.values));
  }

  /** Offer the pseudonyms that are known. */
  offerPatients(patients) {
    this.#root.ownerDocument.querySelector("#known-patients").replaceChildren(...patients.map((name) => new Option(name, name)));
  }

  #offer({ instruments, styles, generators, outputs, presets }) {
    const moods = Object.keys(this.#words).map((word) => [word, moodName(word)]).toSorted((a, b) => a[1].localeCompare(b[1]));
    offer(this.#find("#start"), [["", say("therapist.start_open")], ...moods]);
    offer(this.#find("#goal"), [...moods, [OTHER, say("therapist.goal_other")]]);
    offer(this.#find("#generator"), [["", say("therapist.generator_house")], ...generators.map((name) => [name, name])]);
    offer(this.#find("#output"), [["", say("therapist.no_output")], ...outputs.map(({ name }) => [name, name])]);
    this.#find("#presets").replaceChildren(...presets.map((preset) => this.#preset(preset)));
    this.#find("#instruments").replaceChildren(...instruments.map((name) => wishRow("instruments", name, instrumentName(name))));
    this.#find("#styles").replaceChildren(...styles.map((name) => wishRow("style", name, styleName(name))));
  }

  #listen() {
    this.#plane.drag({
      goal: (goal) => this.#setGoal(goal),
      region: (region) => this.#setRegion(region),
      label: say("therapist.goal"),
      spoken: (emotion) => `${moodAt(emotion, this.#words)}, ${placeText(emotion)}`,
    });
    this.#plane.regionMoves = true;
    const form = this.#find("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open();
    });
    form.addEventListener("input", ({ target }) => this.#typed(target));
    this.#find("#patient").addEventListener("change", () => this.#recall());
    this.#find("#last-time button").addEventListener("click", () => this.#fill({ ...this.#last, patient: this.#find("#patient").value }));
    this.#find("#anew").addEventListener("click", () => this.#begin());
    this.#find("#add-pause").addEventListener("click", () => this.#addPause({ after: "10", minutes: "2" }).querySelector("input").focus());
  }

  #begin() {
    this.#asked = "";
    this.#find("#last-time").hidden = true;
    this.#fill(DEFAULTS);
  }

  #goOn() {
    const kept = sessionStorage.getItem(KEPT);
    if (kept === null) return;
    sessionStorage.removeItem(KEPT);
    this.#fill(JSON.parse(kept));
    this.#recall();
  }

  #fill(fields) {
    this.#find("#pauses").replaceChildren();
    const pauses = Object.keys(fields).filter((name) => name.startsWith("pauses.") && name.endsWith(".after_minutes"));
    for (const _ of pauses) this.#addPause({ after: "", minutes: "" });
    for (const select of this.#root.querySelectorAll(".choices select")) select.value = "";
    this.#fields.values = fields;
    this.#showWishes();
  }

  #typed({ id, name }) {
    if (id === "goal" && this.#words[this.#find("#goal").value] !== undefined) this.#setGoal(this.#words[this.#find("#goal").value]);
    else if (name.startsWith("goal.") || name.startsWith("region.")) this.#showWishes();
  }

  #setGoal(goal) {
    for (const axis of AXES) this.#field(`goal.${axis}`).value = numberText(goal[axis]);
    this.#showWishes();
  }

  #setRegion(region) {
    for (const axis of AXES) [0, 1].forEach((end) => (this.#field(`region.${axis}.${end}`).value = numberText(region[axis][end])));
  }

  // What is typed is drawn as far as it can be.
  #showWishes() {
    const number = (name, other) => inPlane(numberOf(this.#field(name).value), other);
    const goal = { valence: number("goal.valence", 0), arousal: number("goal.arousal", 0) };
    const [valence, arousal] = AXES.map((axis) => [number(`region.${axis}.0`, -1), number(`region.${axis}.1`, 1)].toSorted((a, b) => a - b));
    this.#plane.showWishes(goal, { valence, arousal });
    const word = nearestWord(goal, this.#words);
    const point = this.#words[word];
    const isNamed = point !== undefined && Math.hypot(point.valence - goal.valence, point.arousal - goal.arousal) < 0.005;
    this.#find("#goal").value = isNamed ? word : OTHER;
  }

  #addPause({ after, minutes }) {
    const row = this.#pauseRow();
    const [first, second] = row.querySelectorAll("input");
    [first.value, second.value] = [after, minutes];
    this.#find("#pauses").append(row);
    this.#numberPauses();
    return row;
  }

  #pauseRow() {
    const row = document.createElement("div");
    row.className = "pause field";
    for (const key of ["after", "for"]) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.inputMode = "decimal";
      label.append(say(`therapist.pause_${key}`), input);
      row.append(label);
    }
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = say("therapist.remove_pause");
    remove.addEventListener("click", () => {
      row.remove();
      this.#numberPauses();
      this.#find("#add-pause").focus();
    });
    row.append(remove);
    return row;
  }

  #numberPauses() {
    const rows = [...this.#find("#pauses").children];
    rows.forEach((row, i) => {
      const [after, minutes] = row.querySelectorAll("input");
      [after.name, minutes.name] = [`pauses.${i}.after_minutes`, `pauses.${i}.minutes`];
    });
    this.#find("#add-pause").disabled = rows.length >= MOST_PAUSES;
  }

  #preset({ name, dba, source }) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = say("therapist.preset_level", { name: say(`therapist.preset.${name}`), dba });
    button.title = source;
    button.addEventListener("click", () => (this.#find("#loudest_dba").value = numberText(dba)));
    return button;
  }

  async #recall() {
    const patient = this.#find("#patient").value.trim();
    if (patient === this.#asked) return;
    this.#asked = patient;
    this.#find("#last-time").hidden = true;
    if (patient === "") return;
    const plan = await this.#api.get(`/api/patients/${encodeURIComponent(patient)}/plan`).catch(() => null); // it is only an offer
    if (plan === null || this.#asked !== patient) return;
    this.#last = fieldsOf(plan);
    const length = plan.minutes === null ? say("therapist.open_end") : say("therapist.minutes_long", { count: Math.round(plan.minutes) });
    this.#find("#last-time span").textContent = say("therapist.last_time", { goal: moodAt(plan.goal, this.#words), length });
    this.#find("#last-time").hidden = false;
  }

  async #open() {
    const button = this.#find("button[type=submit]");
    button.disabled = true;
    try {
      const session = await this.#api.post("/api/sessions", bodyOf(this.#fields.values));
      this.#begin();
      this.#opened(session);
    } catch (fault) {
      this.#fields.refuse(fault);
    } finally {
      button.disabled = false;
    }
  }

  #field(name) {
    return this.#find("form").elements.namedItem(name);
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }
}

function wishRow(room, name, text) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  select.name = `${room}.${name}`;
  offer(select, WISHES.map((wish) => [wish, say(`therapist.wish.${wish || "free"}`)]));
  label.append(text, select);
  return label;
}

function inPlane(value, other) {
  return typeof value === "number" ? Math.min(1, Math.max(-1, value)) : other;
}
