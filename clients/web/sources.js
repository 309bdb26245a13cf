// What each wearable measures, how far it is trusted, and why.

import { say } from "./words.js";

export class SourcesView {
  #list;
  #template;
  #rows = new Map(); // kind -> list item

  constructor(list, template) {
    this.#list = list;
    this.#template = template;
  }

  /** `sources`: as `state` has them, each kind at most once. */
  show(sources) {
    for (const source of sources) this.#fill(this.#row(source.kind), source);
  }

  clear() {
    this.#list.replaceChildren();
    this.#rows.clear();
  }

  #row(kind) {
    if (!this.#rows.has(kind)) {
      this.#list.append(this.#template.content.cloneNode(true));
      this.#rows.set(kind, this.#list.lastElementChild);
    }
    return this.#rows.get(kind);
  }

  #fill(row, source) {
    row.classList.toggle("fault", source.fault !== null);
    row.querySelector(".said").textContent = sourceText(source);
    row.querySelector("meter").value = source.trust;
    row.querySelector("meter").ariaLabel = say("patient.trust_in", { name: nameOf(source.kind) });
    row.querySelector(".trust").textContent = trustText(source.trust);
  }
}

/** "Heart rate: nothing heard for 8 s". */
export function sourceText({ kind, fault, seconds }) {
  const what = say(`patient.fault.${fault ?? "none"}`, { seconds: Math.round(seconds) });
  return say("patient.source_says", { name: nameOf(kind), what });
}

/** `trust`: 0 to 1. */
export function trustText(trust) {
  const percent = Math.round(100 * trust);
  return percent === 0 ? say("patient.trust_none") : say("patient.trust", { percent });
}

function nameOf(kind) {
  return say(`patient.source.${kind}`);
}
