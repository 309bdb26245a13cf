// What is believed of the patient's mood, from reports and readings: an ellipse as wide as the doubt.

import { nearestWord } from "./pad.js";

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
  if (estimate === null) return "What we believe: nothing yet.";
  const { valence, arousal } = estimate;
  const word = nearestWord(estimate, words);
  const place = `pleasantness ${tenths(valence)}, liveliness ${tenths(arousal)}`;
  return `What we believe: ${word ? `near ${word}, ` : ""}${place}.`;
}

function tenths(x) {
  return `${Math.round(x * 10) / 10}`;
}
