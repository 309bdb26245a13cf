// A small card for each patient, the most urgent first. With the arrow keys one goes from card to card.

import { say } from "./words.js";
import { Plane } from "./therapist-plane.js";
import { phaseName, urgencyOf, warningsOf } from "./therapist-text.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class CardsView {
  #row;
  #choose;
  #cards = new Map(); // id -> {card, plane}

  /** `choose(id)` is called with the one that the therapist turns to. */
  constructor(row, choose) {
    this.#row = row;
    this.#choose = choose;
    row.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `sittings`: all of them; `focus`: the id of the one that is looked at, or null. */
  show(sittings, focus) {
    const ordered = orderOf(sittings);
    for (const [id, { card }] of this.#cards) {
      if (ordered.some((sitting) => sitting.id === id)) continue;
      card.remove();
      this.#cards.delete(id);
    }
    ordered.forEach((sitting, i) => this.#fill(sitting, sitting.id === focus, i));
    const reachable = ordered.find(({ id }) => id === focus) ?? ordered[0];
    for (const [id, { card }] of this.#cards) card.tabIndex = id === reachable?.id ? 0 : -1;
  }

  /** The ids in the order in which they stand. */
  get ids() {
    return [...this.#row.children].map(({ dataset }) => dataset.id);
  }

  #fill(sitting, isFocus, i) {
    const { card, plane } = this.#cards.get(sitting.id) ?? this.#make(sitting);
    const warnings = warningsOf(sitting);
    card.setAttribute("aria-pressed", isFocus);
    card.classList.toggle("urgent", urgencyOf(sitting) >= 2);
    write(card.querySelector(".patient"), sitting.patient);
    write(card.querySelector(".phase"), phaseName(sitting));
    write(card.querySelector(".warning"), warnings.length === 0 ? "" : say(`therapist.warning.${warnings[0]}`));
    if (sitting.state !== null) plane.show(sitting.state);
    if (this.#row.children[i] !== card) this.#move(card, i);
  }

  #make({ id }) {
    const card = document.createElement("button");
    card.type = "button";
    card.dataset.id = id;
    const picture = document.createElement("span");
    card.append(picture, ...["patient", "phase", "warning"].map((name) => {
      const line = document.createElement("span");
      line.className = name;
      return line;
    }));
    card.addEventListener("click", () => this.#choose(id));
    this.#row.append(card);
    const made = { card, plane: new Plane(picture, { small: true }) };
    this.#cards.set(id, made);
    return made;
  }

  // What moves to another place does not lose the keyboard's focus.
  #move(card, i) {
    const hadFocus = document.activeElement === card;
    this.#row.insertBefore(card, this.#row.children[i] ?? null);
    if (hadFocus) card.focus();
  }

  #key(event) {
    const ids = this.ids;
    const at = ids.indexOf(document.activeElement?.dataset.id);
    if (at < 0) return;
    const to = { Home: 0, End: ids.length - 1 }[event.key] ?? (event.key in STEPS ? at + STEPS[event.key] : -1);
    if (to < 0 || to >= ids.length) return;
    event.preventDefault();
    this.#cards.get(ids[to]).card.focus();
  }
}

/** The most urgent first; those that are equally so stay in the order in which they were opened. */
export function orderOf(sittings) {
  return sittings.toSorted((a, b) => urgencyOf(b) - urgencyOf(a) || Number(a.ended) - Number(b.ended));
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
