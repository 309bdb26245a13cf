// The heart rate of the last three minutes as a line. What is missing stays missing: the line has a gap there.

import { say } from "./words.js";

const SPAN_S = 180;
const GAP_S = 3; // states come every second: of a longer silence nothing is known
const MARGIN_BPM = 5; // between the line and the edges, so that a steady heart draws a calm line
const HEIGHT = 100; // of the drawing; it is as wide as SPAN_S

export class HeartStrip {
  #figure;
  #line;
  #samples = []; // {at, bpm}, the oldest first; bpm is null where none was known

  constructor(figure) {
    this.#figure = figure;
    this.#line = figure.querySelector("path");
  }

  /** `bpm`: beats a minute, or null; `now`: seconds of any steady clock. */
  add(bpm, now) {
    this.#samples = [...this.#samples.filter(({ at }) => at > now - SPAN_S), { at: now, bpm }];
    if (bpm !== null) this.#figure.hidden = false;
    this.#draw(now);
    this.#write("#beats", beatsText(bpm));
  }

  clear() {
    this.#samples = [];
    this.#figure.hidden = true;
  }

  #draw(now) {
    const scale = scaleOf(this.#samples);
    this.#line.setAttribute("d", scale === null ? "" : outline(this.#samples, now, scale));
    this.#figure.querySelector("svg").setAttribute("aria-label", spokenText(this.#samples));
    this.#write("#bpm-high", scale?.high ?? "");
    this.#write("#bpm-low", scale?.low ?? "");
  }

  #write(selector, text) {
    this.#figure.querySelector(selector).textContent = text;
  }
}

/** "72 beats a minute", or that it is not known. */
export function beatsText(bpm) {
  return bpm === null ? say("patient.beats_unknown") : say("patient.beats", { bpm: Math.round(bpm) });
}

/** The lowest and the highest of what was known, in words. */
export function spokenText(samples) {
  const known = knownOf(samples);
  if (known.length === 0) return say("patient.beats_none");
  const [least, most] = [Math.min(...known), Math.max(...known)].map(Math.round);
  return say("patient.beats_between", { least, most });
}

/** The rates at the lower and the upper edge, whole tens; null where nothing is known. */
export function scaleOf(samples) {
  const known = knownOf(samples);
  if (known.length === 0) return null;
  return {
    low: 10 * Math.floor((Math.min(...known) - MARGIN_BPM) / 10),
    high: 10 * Math.ceil((Math.max(...known) + MARGIN_BPM) / 10),
  };
}

/** The line as an SVG path, `now` at its right edge. A sample with no neighbour is a dot. */
export function outline(samples, now, { low, high }) {
  let before = null;
  const steps = [];
  for (const { at, bpm } of samples) {
    if (bpm === null) {
      before = null;
      continue;
    }
    const point = `${round(SPAN_S - (now - at))},${round((HEIGHT * (high - bpm)) / (high - low))}`;
    const follows = before !== null && at - before <= GAP_S;
    steps.push(follows ? `L${point}` : `M${point}L${point}`);
    before = at;
  }
  return steps.join("");
}

function knownOf(samples) {
  return samples.map(({ bpm }) => bpm).filter((bpm) => bpm !== null);
}

function round(x) {
  return Math.round(x * 10) / 10;
}
