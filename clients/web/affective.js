// The Affective Slider: one slider for pleasure and one for arousal, each between two faces, without numbers or ticks
// (A. Betella, P. F. M. J. Verschure, "The Affective Slider: a digital self-assessment scale for the measurement of
// human emotions", PLoS ONE 11(2), 2016). A touch anywhere on a slider moves it there.

import { emotionAt } from "./emotion.js";
import { facePicture } from "./face.js";

const ENDS = {
  valence: [
    { valence: -1, arousal: 0 },
    { valence: 1, arousal: 0 },
  ],
  arousal: [
    { valence: 0, arousal: -1 },
    { valence: 0, arousal: 1 },
  ],
};

export class AffectiveSlider {
  #sliders;
  #onMove;
  #isKeyed = false; // whether the keyboard moves them

  /** `sliders`: the inputs `{valence, arousal}`, each within a row with a place for either picture. */
  constructor(sliders, onMove) {
    this.#sliders = sliders;
    this.#onMove = onMove;
    for (const [axis, slider] of Object.entries(sliders)) {
      const places = slider.closest(".slider").querySelectorAll(".end");
      places.forEach((place, side) => place.append(facePicture(ENDS[axis][side])));
      slider.addEventListener("input", () => this.#slid(false));
      // A key that is held lets go at each step; what is said by it does not hurry.
      slider.addEventListener("change", () => this.#isKeyed || this.#slid(true));
      slider.addEventListener("keydown", () => (this.#isKeyed = true));
      slider.addEventListener("pointerdown", () => (this.#isKeyed = false));
    }
  }

  /** Show a mood, or that none was said: null. */
  show(emotion) {
    for (const [axis, slider] of Object.entries(this.#sliders)) {
      slider.valueAsNumber = emotion?.[axis] ?? 0;
      slider.classList.toggle("untouched", emotion === null);
    }
  }

  #slid(released) {
    this.#onMove(emotionAt(this.#sliders.valence.valueAsNumber, this.#sliders.arousal.valueAsNumber), released);
  }
}
