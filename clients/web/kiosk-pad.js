// A number pad: digits are typed by touch or on a keyboard, and given once they are confirmed.

const LONGEST = 8;

export class NumberPad {
  #display;
  #digits = "";
  #hides = true;
  #onEnter = () => {};

  /** `root` has an `output` for what is typed, and the keys. */
  constructor(root) {
    this.#display = root.querySelector("output");
    for (const key of root.querySelectorAll("button")) key.addEventListener("click", () => this.press(key.value));
  }

  /** Ask anew. `hides`: whether only dots are shown; `onEnter(digits)` is called at each confirmation. */
  ask({ hides, onEnter }) {
    this.#hides = hides;
    this.#onEnter = onEnter;
    this.clear();
  }

  /** Whether there is such a key: a digit, "back" or "enter". */
  has(key) {
    return /^([0-9]|back|enter)$/.test(key);
  }

  /** A key; one that there is not does nothing. */
  press(key) {
    if (key === "enter") {
      const digits = this.#digits;
      this.clear();
      this.#onEnter(digits);
    } else if (key === "back") this.#show(this.#digits.slice(0, -1));
    else if (this.has(key)) this.#show((this.#digits + key).slice(0, LONGEST));
  }

  clear() {
    this.#show("");
  }

  #show(digits) {
    this.#digits = digits;
    this.#display.textContent = this.#hides ? "•".repeat(digits.length) : digits;
  }
}
