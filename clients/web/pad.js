// The mood as the patient says it: a point on the pad, two sliders, the arrow keys. All three are one value.
// A touch, or Enter, where the point already is says the same again.

const KEY_STEP = 0.05;
const SAY_AGAIN = ["Enter", " "];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

export class MoodPad {
  #pad;
  #sliders;
  #point;
  #onMove;
  #words = {};
  #emotion = null;

  /** `onMove(emotion, released)` is called at each move; `released` once the pointer or the slider is let go. */
  constructor(pad, sliders, onMove) {
    this.#pad = pad;
    this.#sliders = sliders;
    this.#point = pad.querySelector("#own-point");
    this.#onMove = onMove;
    this.#listen();
    this.#show();
  }

  /** What the patient said, `{valence, arousal}`; null until the point was moved. */
  get emotion() {
    return this.#emotion;
  }

  /** The words that name points: `{calm: {valence, arousal}, ...}`. */
  set words(words) {
    this.#words = words;
    this.#show();
  }

  #listen() {
    this.#pad.addEventListener("pointerdown", (event) => {
      this.#pad.setPointerCapture(event.pointerId);
      this.#moveTo(this.#under(event), false);
    });
    this.#pad.addEventListener("pointermove", (event) => {
      if (this.#pad.hasPointerCapture(event.pointerId)) this.#moveTo(this.#under(event), false);
    });
    this.#pad.addEventListener("lostpointercapture", () => this.#onMove(this.#emotion, true));
    this.#pad.addEventListener("keydown", (event) => this.#key(event));
    for (const slider of Object.values(this.#sliders)) {
      slider.addEventListener("input", () => this.#moveTo(this.#slid(), false));
      slider.addEventListener("change", () => this.#moveTo(this.#slid(), true));
    }
  }

  #key(event) {
    const again = SAY_AGAIN.includes(event.key);
    if (!again && !(event.key in ARROWS)) return;
    event.preventDefault();
    if (again && event.repeat) return; // a key that is held says it once
    const { valence, arousal } = this.#emotion ?? { valence: 0, arousal: 0 };
    const [right, up] = again ? [0, 0] : ARROWS[event.key];
    this.#moveTo({ valence: valence + right * KEY_STEP, arousal: arousal + up * KEY_STEP }, false);
  }

  #under(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.#pad.getScreenCTM().inverse());
    return { valence: x, arousal: -y };
  }

  #slid() {
    return { valence: this.#sliders.valence.valueAsNumber, arousal: this.#sliders.arousal.valueAsNumber };
  }

  #moveTo({ valence, arousal }, released) {
    this.#emotion = { valence: coordinate(valence), arousal: coordinate(arousal) };
    this.#show();
    this.#onMove(this.#emotion, released);
  }

  #show() {
    const { valence, arousal } = this.#emotion ?? { valence: 0, arousal: 0 };
    this.#point.classList.toggle("untouched", this.#emotion === null);
    this.#point.setAttribute("transform", `translate(${valence} ${-arousal})`);
    this.#sliders.valence.value = valence;
    this.#sliders.arousal.value = arousal;
    this.#pad.setAttribute("aria-valuenow", valence);
    this.#pad.setAttribute("aria-valuetext", this.#spoken(valence, arousal));
  }

  #spoken(valence, arousal) {
    if (this.#emotion === null) return "not set";
    const word = nearestWord(this.#emotion, this.#words);
    return `${word ? `${word}, ` : ""}pleasantness ${valence}, liveliness ${arousal}`;
  }
}

/** The word whose point lies nearest to an emotion; "" where there are no words. */
export function nearestWord({ valence, arousal }, words) {
  let nearest = "";
  let least = Infinity;
  for (const [word, point] of Object.entries(words)) {
    const distance = Math.hypot(point.valence - valence, point.arousal - arousal);
    if (distance < least) [nearest, least] = [word, distance];
  }
  return nearest;
}

function coordinate(x) {
  return Math.round(Math.min(1, Math.max(-1, x)) * 100) / 100;
}
