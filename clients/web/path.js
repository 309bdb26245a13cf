// Draws where the music is, where it has been and where it is going.

export class PathView {
  #planned;
  #played;
  #music;
  #goal;

  constructor(pad) {
    this.#planned = pad.querySelector("#planned");
    this.#played = pad.querySelector("#played");
    this.#music = pad.querySelector("#music-point");
    this.#goal = pad.querySelector("#goal-point");
  }

  showGoal(emotion) {
    place(this.#goal, emotion);
  }

  /** `state`: as the server sends it. */
  show({ position, path, target, goal }) {
    const before = path.filter((corner) => corner.position <= position);
    const after = path.filter((corner) => corner.position > position);
    this.#played.setAttribute("points", line([...before, target]));
    this.#planned.setAttribute("points", line([target, ...after]));
    place(this.#music, target);
    this.showGoal(goal);
  }

  clear() {
    this.#planned.removeAttribute("points");
    this.#played.removeAttribute("points");
  }
}

function place(element, { valence, arousal }) {
  element.style.transform = `translate(${valence}px, ${-arousal}px)`;
}

function line(corners) {
  return corners.map(({ valence, arousal }) => `${valence},${-arousal}`).join(" ");
}
