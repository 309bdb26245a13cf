// What is believed of the patient's mood, from reports and readings: an ellipse as wide as the doubt.

import { nearestWord } from "./emotion.js";
import { moodName, say } from "./words.js";

export class EstimateView {
  #ellipse;

  constructor(pad) {
    this.#ellipse = pad.querySelector("#estimate");
  }

  /** `estimate`: `{valence, arousal, valence_sd, arousal_sd}`; null while nothing is known. */
  show(estimate) {
    this.#ellipse.classList.toggle("unknown", estimate === null);
    if (estimate === null) return;
    const { valence, arousal, valence_sd, arousal_sd } = estimate;
    this.#ellipse.style.transform = `translate(${valence}px, ${-arousal}px) scale(${valence_sd}, ${arousal_sd})`;
  }
}

/** The same in words, for those who do not see the pad. */
export function estimateText(estimate, words) {
  if (estimate === null) return say("patient.believed_nothing");
  const { valence, arousal } = estimate;
  const place = say("patient.place", { valence: tenths(valence), arousal: tenths(arousal) });
  const word = nearestWord(estimate, words);
  return word === "" ? say("patient.believed", { place }) : say("patient.believed_near", { mood: moodName(word), place });
}

function tenths(x) {
  return `${Math.round(x * 10) / 10}`;
}
