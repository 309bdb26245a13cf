// The sessions that were kept, each with its reports.

import { reportAddress } from "./therapist-api.js";
import { faultText } from "./therapist-text.js";
import { language, say } from "./words.js";

const FORMS = [["", "page"], [".csv", "table"], [".fhir.json", "fhir"]];

export class PastView {
  #root;
  #api;
  #searches = 0;

  constructor(root, api) {
    this.#root = root;
    this.#api = api;
    root.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.show();
    });
  }

  /** Fetch the list anew. */
  async show() {
    const patient = this.#root.querySelector("#past-patient").value.trim();
    const problem = this.#root.querySelector("#past-problem");
    const search = ++this.#searches;
    problem.textContent = "";
    try {
      const query = patient === "" ? "" : `?patient=${encodeURIComponent(patient)}`;
      const sittings = await this.#api.get(`/api/journal/sessions${query}`);
      if (search !== this.#searches) return; // another patient's were asked for meanwhile
      this.#root.querySelector("#past-rows").replaceChildren(...sittings.map((sitting) => row(sitting)));
      if (sittings.length === 0) problem.textContent = say("therapist.none_kept");
    } catch (fault) {
      if (search !== this.#searches) return;
      this.#root.querySelector("#past-rows").replaceChildren();
      problem.textContent = faultText(fault);
    }
  }
}

/** The links to a session's reports. */
export function reportLinks(sitting) {
  return FORMS.map(([ending, name]) => {
    const link = document.createElement("a");
    link.href = reportAddress(sitting, ending);
    link.target = "_blank";
    link.rel = "noopener";
    link.className = "button";
    link.textContent = say(`therapist.form.${name}`);
    return link;
  });
}

function row(sitting) {
  const made = document.createElement("tr");
  const [opened, patient, lasted, reports] = [0, 1, 2, 3].map(() => made.insertCell());
  opened.textContent = new Date(1000 * sitting.opened).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
  patient.textContent = sitting.patient;
  lasted.textContent = sitting.ended === null ? say("therapist.goes_on") : say("therapist.minutes_long", { count: Math.round((sitting.ended - sitting.opened) / 60) });
  reports.className = "reports";
  reports.append(...reportLinks(sitting));
  return made;
}
