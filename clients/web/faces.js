// The mood as one of a few faces: a tap is all it takes.

import { isSameEmotion } from "./emotion.js";
import { facePicture } from "./face.js";

/** The faces, by the name of their words, from the pleasant to the unpleasant. */
export const FACES = {
  very_good: { valence: 0.83, arousal: 0.53 },
  good: { valence: 0.7, arousal: 0.1 },
  calm: { valence: 0.56, arousal: -0.4 },
  tired: { valence: 0.04, arousal: -0.63 },
  so_so: { valence: 0, arousal: 0 },
  sad: { valence: -0.65, arousal: -0.27 },
  tense: { valence: -0.54, arousal: 0.41 },
  very_tense: { valence: -0.6, arousal: 0.85 },
};

export class FaceChoice {
  #buttons;

  /** `group` gets a button for each face. `onMove(emotion, released)` is called at each tap, which has nothing to let go: `released` is false. */
  constructor(group, onMove) {
    this.#buttons = Object.entries(FACES).map(([name, emotion]) => {
      const button = faceButton(name, emotion);
      button.addEventListener("click", () => onMove(emotion, false));
      group.append(button);
      return { button, emotion };
    });
  }

  /** Show a mood, or that none was said: null. Only one of these faces is marked, not what lies between them. */
  show(emotion) {
    for (const { button, emotion: own } of this.#buttons) {
      button.ariaPressed = String(emotion !== null && isSameEmotion(emotion, own));
    }
  }
}

function faceButton(name, emotion) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = name;
  const label = document.createElement("span");
  label.dataset.say = `patient.face.${name}`;
  button.append(facePicture(emotion), label);
  return button;
}
