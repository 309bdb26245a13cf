// The mood as a point on a pad: put there by a touch, a drag or the arrow keys. A face on it changes with its place.
// A touch, or Enter, where the point already is says the same again.

import { emotionAt, nearestWord } from "./emotion.js";
import { drawFace, makeFace } from "./face.js";
import { moodName, say } from "./words.js";

const KEY_STEP = 0.05;
const SAY_AGAIN = ["Enter", " "];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
const MIDDLE = { valence: 0, arousal: 0 };

export class MoodPad {
  #pad;
  #point;
  #face = makeFace();
  #onMove;
  #emotion = null;
  #words = {};

  /** `onMove(emotion, released)` is called at each move; `released` once the pointer is let go. */
  constructor(pad, onMove) {
    this.#pad = pad;
    this.#point = pad.querySelector("#own-point");
    this.#point.querySelector(".own-face").append(this.#face);
    this.#onMove = onMove;
    this.#listen();
  }

  /** Show a mood, or that none was said: null. `words` name it. */
  show(emotion, words) {
    this.#emotion = emotion;
    this.#words = words;
    const { valence, arousal } = emotion ?? MIDDLE;
    this.#point.classList.toggle("untouched", emotion === null);
    this.#point.setAttribute("transform", `translate(${valence} ${-arousal})`);
    drawFace(this.#face, emotion ?? MIDDLE);
    this.#pad.setAttribute("aria-valuenow", valence);
    this.#pad.setAttribute("aria-valuetext", this.#spoken(valence, arousal));
  }

  #listen() {
    this.#pad.addEventListener("pointerdown", (event) => {
      this.#pad.setPointerCapture(event.pointerId);
      this.#onMove(this.#under(event), false);
    });
    this.#pad.addEventListener("pointermove", (event) => {
      if (this.#pad.hasPointerCapture(event.pointerId)) this.#onMove(this.#under(event), false);
    });
    this.#pad.addEventListener("lostpointercapture", () => this.#onMove(this.#emotion, true));
    this.#pad.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const again = SAY_AGAIN.includes(event.key);
    if (!again && !(event.key in ARROWS)) return;
    event.preventDefault();
    if (again && event.repeat) return; // a key that is held says it once
    const { valence, arousal } = this.#emotion ?? MIDDLE;
    const [right, up] = again ? [0, 0] : ARROWS[event.key];
    this.#onMove(emotionAt(valence + right * KEY_STEP, arousal + up * KEY_STEP), false);
  }

  #under(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.#pad.getScreenCTM().inverse());
    return emotionAt(x, -y);
  }

  #spoken(valence, arousal) {
    if (this.#emotion === null) return say("patient.not_said");
    const word = nearestWord(this.#emotion, this.#words);
    const place = say("patient.place", { valence, arousal });
    return word === "" ? place : `${moodName(word)}, ${place}`;
  }
}
