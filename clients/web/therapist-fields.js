// The fields of a form by name, and the server's errors beside those that they are about.

import { faultText } from "./therapist-text.js";
import { fieldAt, numberOf } from "./therapist-request.js";
import { numberText } from "./words.js";

let count = 0;

export class Fields {
  #form;
  #problem;

  /** `problem`: where an error stands that is about no field. */
  constructor(form, problem) {
    this.#form = form;
    this.#problem = problem;
    form.addEventListener("input", ({ target }) => this.#forgive(target));
  }

  /** All that the form says: name -> text, of a box that is not ticked "". */
  get values() {
    return Object.fromEntries(this.#named.map((field) => [field.name, field.type === "checkbox" && !field.checked ? "" : field.value]));
  }

  /** Put what is named into the form; the rest stays. What a list does not offer is left out. */
  set values(values) {
    for (const field of this.#named) if (field.name in values) fill(field, values[field.name]);
    for (const field of this.#form.querySelectorAll("select")) if (field.selectedIndex < 0) field.selectedIndex = 0;
    this.clear();
  }

  /** No errors any more. */
  clear() {
    for (const field of this.#named) this.#forgive(field);
    this.#problem.textContent = "";
  }

  /** Say what is wrong, at the field that it is about, and go there. Nothing that was typed is lost. */
  refuse(fault) {
    this.clear();
    const name = fault.field ? fieldAt(fault.field, this.#named.map((field) => field.name)) : null;
    if (name === null) {
      this.#problem.textContent = faultText(fault);
      return;
    }
    this.#blame(this.#form.elements.namedItem(name), faultText(fault));
  }

  get #named() {
    return [...this.#form.elements].filter(({ name }) => name);
  }

  #blame(field, text) {
    const said = document.createElement("p");
    said.className = "problem";
    said.role = "alert";
    said.id = `problem-${count++}`;
    said.textContent = text;
    field.closest(".field").append(said);
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", said.id);
    for (let room = field.closest("details"); room; room = room.parentElement.closest("details")) room.open = true;
    field.focus();
  }

  #forgive(field) {
    if (!field.hasAttribute("aria-invalid")) return;
    document.getElementById(field.getAttribute("aria-errormessage"))?.remove();
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
}

function fill(field, value) {
  if (field.type === "checkbox") field.checked = value !== "";
  else field.value = field.inputMode === "decimal" ? numberText(numberOf(value)) : value;
}

/** Offer `options`, `[[value, text], ...]`, in a list. */
export function offer(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}
