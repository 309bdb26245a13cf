// The plane of moods, drawn: what was planned and played, said and believed, the goal and what is allowed. On request
// the goal and the edges of what is allowed can be dragged, the goal also moved with the arrow keys.

import { emotionAt } from "./emotion.js";
import { say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const EDGE = 1.15; // of the drawing; the plane itself ends at 1
const LEAST_WIDTH = 0.1; // of what is allowed, on either axis
const NEAR = 0.12; // so far from a corner it is still taken hold of
const KEY_STEP = 0.05;
const KEYS = "keys"; // what holds the goal while an arrow key is down
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]]; // which end on either axis

export class Plane {
  #svg;
  #parts = {};
  #goal = null;
  #region = null;
  #drags = null; // {goal, region}: what is told of moves; null where nothing can be moved
  #held = null; // what the pointer has hold of: "goal", or a corner; or `KEYS`
  #spoken = () => "";

  /** `host`: the element to draw in; `small`: without words, for a card. */
  constructor(host, { small = false } = {}) {
    this.#svg = draw("svg", { viewBox: `${-EDGE} ${-EDGE} ${2 * EDGE} ${2 * EDGE}`, class: small ? "small" : "large" });
    if (small) this.#svg.setAttribute("aria-hidden", "true");
    this.#ground(small);
    for (const [name, tag, more] of [
      ["region", "rect", {}], ["estimate", "circle", { r: 1 }], ["planned", "polyline", {}], ["played", "polyline", {}],
    ]) this.#add(name, tag, more);
    for (const [name, radius] of [["goal", 0.075], ["heard", 0.05], ["report", 0.065], ["music", 0.042]]) this.#add(name, "circle", { r: radius });
    this.#parts.heard.setAttribute("r", small ? 0 : 0.05);
    host.append(this.#svg);
  }

  /** Show what is going on. `state`: as the server sends it. */
  show({ position, path, target, goal, report, estimate, clip, bounds }) {
    this.#line("played", [...path.filter((corner) => corner.position <= position), target]);
    this.#line("planned", [target, ...path.filter((corner) => corner.position > position)]);
    this.#place("music", target);
    this.#place("report", report);
    this.#place("heard", clip?.heard ?? null);
    this.#spread(estimate);
    if (this.#held === null) this.showWishes(goal, bounds.region);
  }

  /** Show the goal, and what is allowed. `region`: `{valence: [least, most], arousal: [least, most]}`. */
  showWishes(goal, region) {
    this.#goal = goal;
    this.#region = region;
    this.#place("goal", goal);
    this.#parts.region.removeAttribute("hidden");
    const { valence: [left, right], arousal: [low, high] } = region;
    put(this.#parts.region, { x: left, y: -high, width: right - left, height: high - low });
    this.#parts.corners?.forEach((handle, i) => this.#placeCorner(handle, CORNERS[i]));
    if (this.#drags === null) return;
    this.#svg.setAttribute("aria-valuenow", goal.valence);
    this.#svg.setAttribute("aria-valuetext", this.#spoken(goal));
  }

  /**
   * Let the goal be moved, `goal(emotion, released)`, and, where `region` is given, what is allowed,
   * `region(region, released)`. `label`: what this is; `spoken(emotion)`: a place in words.
   */
  drag({ goal, region = null, label, spoken }) {
    this.#drags = { goal, region };
    this.#spoken = spoken;
    put(this.#svg, { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": -1, "aria-valuemax": 1, "aria-valuenow": 0 });
    if (region !== null) this.#parts.corners = CORNERS.map(() => this.#svg.insertBefore(draw("circle", { r: 0.045, class: "corner" }), this.#parts.goal));
    this.#svg.classList.add("movable");
    this.#svg.addEventListener("pointerdown", (event) => this.#take(event));
    this.#svg.addEventListener("pointermove", (event) => {
      if (this.#svg.hasPointerCapture(event.pointerId)) this.#move(this.#under(event), false);
    });
    this.#svg.addEventListener("lostpointercapture", (event) => {
      const where = this.#under(event);
      this.#move(where, true);
      this.#held = null;
    });
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    for (const kind of ["keyup", "blur"]) this.#svg.addEventListener(kind, () => this.#releaseKeys());
  }

  /** What is held is let go of, and nothing told of it. */
  letGo() {
    this.#held = null;
  }

  /** Whether what is allowed can be moved now. */
  set regionMoves(yes) {
    this.#svg.classList.toggle("region-moves", yes);
  }

  #take(event) {
    this.#svg.setPointerCapture(event.pointerId);
    const where = this.#under(event);
    const moves = this.#drags.region !== null && this.#svg.classList.contains("region-moves");
    const corner = !moves ? undefined : CORNERS.find((ends) => near(where, cornerOf(this.#region, ends)));
    this.#held = corner !== undefined && !near(where, this.#goal) ? corner : "goal";
    this.#move(where, false);
  }

  #move(where, released) {
    if (this.#held === "goal") {
      this.showWishes(where, this.#region);
      this.#drags.goal(where, released);
    } else if (this.#held !== null && this.#held !== KEYS) {
      this.showWishes(this.#goal, resized(this.#region, this.#held, where));
      this.#drags.region(this.#region, released);
    }
  }

  #key(event) {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    if (this.#held !== null && this.#held !== KEYS) return; // the pointer has it
    this.#held = KEYS;
    const [right, up] = ARROWS[event.key];
    const moved = emotionAt(this.#goal.valence + right * KEY_STEP, this.#goal.arousal + up * KEY_STEP);
    this.showWishes(moved, this.#region);
    this.#drags.goal(moved, false);
  }

  // A key that is held down moves the goal many times, and wishes for it once.
  #releaseKeys() {
    if (this.#held !== KEYS) return;
    this.#held = null;
    this.#drags.goal(this.#goal, true);
  }

  #under(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.#svg.getScreenCTM().inverse());
    return emotionAt(x, -y);
  }

  #ground(small) {
    const grid = draw("g", { class: "grid", "aria-hidden": "true" });
    grid.append(draw("circle", { r: 1 }), draw("line", { x1: -1.1, x2: 1.1 }), draw("line", { y1: -1.1, y2: 1.1 }));
    this.#svg.append(grid);
    if (small) return;
    const words = draw("g", { class: "words", "aria-hidden": "true" });
    for (const [key, x, y, anchor] of [
      ["lively", 0, -1.04, "middle"], ["quiet", 0, 1.1, "middle"], ["unpleasant", -0.97, -0.04, "start"], ["pleasant", 0.97, -0.04, "end"],
    ]) {
      const word = draw("text", { x, y, "text-anchor": anchor });
      word.textContent = say(`patient.edge.${key}`);
      words.append(word);
    }
    this.#svg.append(words);
  }

  #add(name, tag, more) {
    this.#parts[name] = draw(tag, { class: name, hidden: "", ...more });
    this.#svg.append(this.#parts[name]);
  }

  #place(name, emotion) {
    const part = this.#parts[name];
    part.toggleAttribute("hidden", emotion === null);
    if (emotion !== null) part.style.transform = `translate(${emotion.valence}px, ${-emotion.arousal}px)`;
  }

  #placeCorner(handle, ends) {
    const { valence, arousal } = cornerOf(this.#region, ends);
    put(handle, { cx: valence, cy: -arousal });
  }

  #spread(estimate) {
    const part = this.#parts.estimate;
    part.toggleAttribute("hidden", estimate === null);
    if (estimate === null) return;
    const { valence, arousal, valence_sd, arousal_sd } = estimate;
    part.style.transform = `translate(${valence}px, ${-arousal}px) scale(${valence_sd}, ${arousal_sd})`;
  }

  #line(name, corners) {
    this.#parts[name].removeAttribute("hidden");
    this.#parts[name].setAttribute("points", corners.map(({ valence, arousal }) => `${valence},${-arousal}`).join(" "));
  }
}

/** What is allowed once one of its corners was dragged to `where`. It is never narrower than the server takes. */
export function resized(region, [right, up], where) {
  return { valence: side(region.valence, right, where.valence), arousal: side(region.arousal, up, where.arousal) };
}

function side([least, most], end, x) {
  if (end === 1) return [least, rounded(Math.max(x, least + LEAST_WIDTH))];
  return [rounded(Math.min(x, most - LEAST_WIDTH)), most];
}

function cornerOf(region, [right, up]) {
  return { valence: region.valence[right], arousal: region.arousal[up] };
}

function near(a, b) {
  return Math.hypot(a.valence - b.valence, a.arousal - b.arousal) <= NEAR;
}

function rounded(x) {
  return Math.round(x * 100) / 100;
}

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  put(element, attributes);
  return element;
}

function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}
