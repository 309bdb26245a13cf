// The section of what wearables tell; out of sight until one was heard.

import { SourcesView } from "./sources.js";
import { HeartStrip } from "./strip.js";

export class BodyView {
  #section;
  #strip;
  #sources;

  constructor(section) {
    this.#section = section;
    this.#strip = new HeartStrip(section.querySelector("#heart"));
    this.#sources = new SourcesView(section.querySelector("#sources"), section.querySelector("#source"));
  }

  /** `state`: as the server sends it; `now`: seconds of any steady clock. */
  show({ vitals, sources }, now) {
    if (sources.length > 0) this.#section.hidden = false;
    this.#strip.add(vitals.heart_rate_bpm, now);
    this.#sources.show(sources);
  }

  clear() {
    this.#section.hidden = true;
    this.#strip.clear();
    this.#sources.clear();
  }
}
