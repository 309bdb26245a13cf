// The way of the whole session as one slow line: from where the patient was met down to the goal, and the present point.

import { distance } from "./emotion.js";

const LEAST = 0.5; // a way that is shorter than this is drawn as flat as it is

export class JourneyView {
  #figure;

  constructor(figure) {
    this.#figure = figure;
  }

  /** `state`: as the server sends it; `goal`: its goal in words; `label`: the same for those who do not see it. */
  show(state, goal, label) {
    const { played, planned, at } = journeyOf(state);
    const [before, after] = this.#figure.querySelectorAll("path");
    before.setAttribute("d", line(played));
    after.setAttribute("d", line(planned));
    this.#place(".present", at);
    this.#place(".destination", planned.at(-1));
    const word = this.#figure.querySelector(".goal-word");
    word.textContent = goal;
    word.style.top = `${planned.at(-1).y}%`;
    if (this.#figure.ariaLabel !== label) this.#figure.ariaLabel = label;
  }

  #place(selector, { x, y }) {
    const { style } = this.#figure.querySelector(selector);
    style.left = `${x}%`;
    style.top = `${y}%`;
  }
}

/**
 * The line that was played and the one that is planned, points of percents: `x` is the time, from the start to the end
 * (of an open-ended session: to where the goal is reached), `y` how near the goal the music is, 100 at the goal.
 */
export function journeyOf({ position, path, frames, target, goal }) {
  const end = Math.max(frames ?? 0, position, frames === null ? (path.at(-1)?.position ?? 0) : 0, 1);
  const farthest = Math.max(LEAST, ...[...path, target].map((corner) => distance(corner, goal)));
  const place = (when, emotion) => ({
    x: rounded((100 * when) / end),
    y: rounded(100 * (1 - distance(emotion, goal) / farthest)),
  });
  const corners = path.filter((corner) => corner.position <= end);
  const at = place(position, target);
  const before = corners.filter((corner) => corner.position < position).map((corner) => place(corner.position, corner));
  const after = corners.filter((corner) => corner.position > position).map((corner) => place(corner.position, corner));
  const last = after.at(-1) ?? at;
  return { played: [...before, at], planned: [at, ...after, { x: 100, y: last.y }], at };
}

function line(points) {
  return points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x},${y}`).join("");
}

function rounded(x) {
  return Math.round(x * 100) / 100;
}
