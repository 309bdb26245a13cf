// The nurse's corner: the PIN, then the settings, the session that plays, and the machine. It closes by itself.

import { changeSettings, fetchLevels, fetchSettings, restart, setPin, unlock } from "./kiosk-api.js";
import { NumberPad } from "./kiosk-pad.js";
import { change, chosen, isCalibrated, isSame, offered } from "./kiosk-settings.js";
import { canSay, language, moodName, say } from "./words.js";

const SHORTEST_PIN = 4;
const IDLE_MS = 120_000; // a nurse who was called away leaves nothing open
const KEYS = { Enter: "enter", Backspace: "back" };
const NO_LEVELS = { outputs: [], presets: [] };
const LANGUAGES = { en: "English", de: "Deutsch" };

const byId = (id) => document.getElementById(id);

export class NurseCorner {
  #dialog = byId("nurse");
  #pad = new NumberPad(byId("pin"));
  #token = "";
  #settings = null;
  #levels = NO_LEVELS;
  #restarts = false;
  #timer = null;
  #onEnd;

  /** `onEnd()` is called when the music is to end. */
  constructor(onEnd) {
    this.#onEnd = onEnd;
    byId("nurse-close").addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => this.#forget());
    this.#dialog.addEventListener("pointerdown", () => this.#stayOpen());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#listen("end", () => this.#end());
    this.#listen("calibrate", () => location.assign("./calibrate.html?back=kiosk"));
    this.#listen("new-pin", () => this.#askNewPin());
    this.#listen("restart", () => this.#try(() => this.#restart()));
    this.#listen("patient-number", () => this.#askPatient());
    this.#listen("no-patient", () => this.#set("session.patient", null));
  }

  /** Ask for the PIN, or, where there is none yet, for a new one. `kiosk`: the answer of `GET /api/kiosk`. */
  open(kiosk) {
    this.#restarts = kiosk.restarts;
    this.#dialog.showModal();
    this.#stayOpen();
    if (kiosk.pin) this.#ask("kiosk.pin", true, (pin) => this.#try(async () => this.#enter(await unlock(pin))));
    else this.#askNewPin();
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  /** Say what is open in the language that is spoken now. */
  speak() {
    if (this.#settings !== null && this.#dialog.dataset.nurse === "settings") this.#showSettings();
  }

  /** What plays, in words, for who looks after it. */
  showPlaying(text) {
    byId("plays").textContent = text;
  }

  #listen(id, act) {
    byId(id).addEventListener("click", act);
  }

  #askNewPin() {
    this.#ask("kiosk.first_pin", true, (first) => {
      if (first.length < SHORTEST_PIN) this.#askAnew("kiosk.error.invalid");
      else this.#askAgain(first);
    });
  }

  #askAgain(first) {
    this.#ask("kiosk.again_pin", true, (again) => {
      if (first === again) this.#try(async () => this.#enter(await setPin(first, this.#token)));
      else this.#askAnew("kiosk.different_pins");
    });
  }

  #askAnew(problem) {
    this.#askNewPin();
    byId("pin-problem").textContent = say(problem);
  }

  #askPatient() {
    this.#ask("kiosk.patient_number", false, (number) =>
      number === "" ? this.#showSettings() : this.#set("session.patient", `patient-${number}`),
    );
  }

  #ask(title, hides, onEnter) {
    this.#dialog.dataset.nurse = "pin";
    byId("nurse-title").textContent = say(title);
    byId("pin-problem").textContent = "";
    this.#pad.ask({ hides, onEnter });
  }

  async #enter({ token }) {
    this.#token = token;
    [this.#settings, this.#levels] = await Promise.all([fetchSettings(token), fetchLevels(token).catch(() => NO_LEVELS)]);
    this.#showSettings();
  }

  #set(name, value) {
    return this.#try(async () => {
      this.#settings = await changeSettings(change(name, value, this.#settings), this.#token);
      this.#showSettings();
    });
  }

  async #restart() {
    await restart(this.#token);
    this.close();
  }

  #end() {
    this.#onEnd();
    this.close();
  }

  async #try(act) {
    try {
      await act();
    } catch (error) {
      if (error.code === undefined) throw error; // none of the server's: a fault of this page
      if (["bad_token", "token_expired"].includes(error.code)) this.close();
      else this.#show(error);
    }
  }

  #show({ code, message, seconds }) {
    const key = `kiosk.error.${code}`;
    const text = canSay(key) ? say(key, { seconds }) : message;
    for (const line of ["pin-problem", "settings-problem"]) byId(line).textContent = text;
  }

  #showSettings() {
    this.#dialog.dataset.nurse = "settings";
    byId("nurse-title").textContent = say("kiosk.settings");
    byId("settings-problem").textContent = "";
    for (const group of this.#dialog.querySelectorAll("[data-setting]")) this.#showChoices(group, group.dataset.setting);
    byId("outputs").hidden = this.#levels.outputs.length === 0;
    byId("loudness-note").textContent = isCalibrated(this.#settings, this.#levels.outputs) ? "" : say("kiosk.loudness_note");
    byId("restart").hidden = !this.#restarts;
    const { patient } = this.#settings.session;
    byId("patient-number").textContent = patient ?? say("kiosk.patient_number");
    byId("patient-number").ariaPressed = String(Boolean(patient));
    byId("no-patient").ariaPressed = String(!patient);
  }

  #showChoices(group, name) {
    const present = chosen(name, this.#settings);
    const buttons = offered(name, this.#settings, this.#levels).map((value) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = nameOf(name, value);
      button.ariaPressed = String(isSame(value, present));
      button.addEventListener("click", () => this.#set(name, value));
      return button;
    });
    group.replaceChildren(...buttons);
  }

  #key(event) {
    this.#stayOpen();
    const key = KEYS[event.key] ?? event.key;
    if (this.#dialog.dataset.nurse !== "pin" || !this.#pad.has(key)) return;
    event.preventDefault(); // else Enter presses the button that has the focus
    if (!event.repeat) this.#pad.press(key);
  }

  #stayOpen() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), IDLE_MS);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#token = "";
    this.#settings = null;
    this.#pad.clear();
  }
}

function nameOf(name, value) {
  if (name === "session.goal") return typeof value === "string" ? moodName(value) : say("kiosk.a_point");
  if (name === "session.minutes") return value === null ? say("kiosk.open_end") : say("kiosk.minutes_of", { minutes: value });
  if (name === "session.control") return say(`patient.form.${value}`);
  if (name === "loudness") return loudnessName(value);
  if (name === "output") return value ?? say("kiosk.no_output");
  if (name === "volume_percent") return value === null ? say("kiosk.as_it_is") : say("kiosk.percent", { percent: value });
  if (name === "night") return value === null ? say("kiosk.no_night") : `${value.since} – ${value.until}`;
  if (name === "brightness") return say("kiosk.percent", { percent: Math.round(100 * value) });
  return LANGUAGES[value] ?? say("kiosk.browsers_language");
}

function loudnessName({ dba, lufs }) {
  if (dba !== null) return say("kiosk.dba", { level: number(dba) });
  const key = `kiosk.softness_${-lufs}`;
  return canSay(key) ? say(key) : say("kiosk.lufs", { level: number(lufs) });
}

function number(value) {
  return value.toLocaleString(language(), { maximumFractionDigits: 1 });
}
