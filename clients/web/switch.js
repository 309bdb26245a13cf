// One switch, Space or Enter, for the whole page. It begins by itself at the first press where nothing has the focus.

import { Scan } from "./scan.js";

const STEP_MS = 1800; // how long each choice stays marked
const SWITCH = ["Enter", " "];
const OTHER_WAYS = ["Tab", "Escape"]; // whoever uses these has more than a switch

export class OneSwitch {
  #rows;
  #allowed;
  #scan = null;
  #timer = null;

  /** `rows()`: arrays of the buttons that can be chosen now; `allowed()`: whether a first press may begin. */
  constructor(rows, allowed) {
    this.#rows = rows;
    this.#allowed = allowed;
    document.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    document.addEventListener("pointerdown", () => this.end(), { capture: true });
  }

  begin() {
    if (this.#scan !== null) return;
    this.#scan = new Scan();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
    this.#step();
  }

  end() {
    if (this.#scan === null) return;
    clearInterval(this.#timer);
    this.#scan = null;
    this.#mark([]);
  }

  #key(event) {
    if (this.#scan !== null && OTHER_WAYS.includes(event.key)) this.end();
    if (!SWITCH.includes(event.key)) return;
    if (this.#scan !== null) this.#press(event);
    else if (this.#allowed() && document.activeElement === document.body) {
      event.preventDefault();
      this.begin();
    }
  }

  #press(event) {
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return; // a switch that is held is one press
    this.#scan.press()?.click();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#step(), STEP_MS);
    this.#mark(this.#scan.marked);
  }

  #step() {
    this.#scan.step(this.#rows());
    this.#mark(this.#scan.marked);
  }

  #mark(buttons) {
    for (const button of document.querySelectorAll(".marked")) button.classList.remove("marked");
    for (const button of buttons) button.classList.add("marked");
  }
}
