// How a wearable joins the session: one command line to copy, and the patient's name for MQTT.

import { liveAddress } from "./api.js";
import { say } from "./words.js";

const COPIED_MS = 3000; // how long the button says so

export class WearableView {
  #details;
  #command;
  #patient;
  #copy;

  constructor(details) {
    this.#details = details;
    this.#command = details.querySelector("#wearable-command");
    this.#patient = details.querySelector("#wearable-patient");
    this.#copy = details.querySelector("#wearable-copy");
    this.#copy.addEventListener("click", () => this.#copied());
  }

  /** `created`: a session's `{id, tokens}`. Who was only invited knows no sensor's token, and is shown nothing. */
  offer({ id, tokens }) {
    this.#details.hidden = tokens.sensor === undefined;
    if (!this.#details.hidden) this.#command.textContent = commandFor(id, tokens.sensor);
  }

  /** `patient`: the pseudonym in the topics of MQTT. */
  name(patient) {
    this.#patient.textContent = patient;
  }

  clear() {
    this.#details.hidden = true;
    this.#details.open = false;
    this.#command.textContent = "";
  }

  async #copied() {
    getSelection().selectAllChildren(this.#command); // where the clipboard is refused, it is ready to be copied by hand
    const copied = await navigator.clipboard.writeText(this.#command.textContent).then(
      () => true,
      () => false,
    );
    this.#copy.textContent = say(copied ? "patient.copied" : "patient.copy_by_hand");
    setTimeout(() => (this.#copy.textContent = say("patient.copy")), COPIED_MS);
  }
}

/** The command line that sends a simulated heart into session `id`; `token` is that of a sensor. */
export function commandFor(id, token) {
  return `musicmed-wearable simulate --session '${liveAddress(id, token)}'`;
}
