// Choosing with one switch: a mark moves by itself over rows, and after a press over what is in the row; the next press
// chooses. Pure: it knows neither clock nor page.

const ROUNDS = 2; // through a row without a press, after which it is left again

export class Scan {
  #rows = [];
  #row = 0;
  #item = null; // null while whole rows are marked
  #steps = 0; // in the row

  /** What is marked: the items of a row, or one of them. */
  get marked() {
    const row = this.#rows[this.#row] ?? [];
    return this.#item === null ? row : row.slice(this.#item, this.#item + 1);
  }

  /** Go on to what is next. `rows`: what there is to choose from now, arrays of any items; empty ones are passed over. */
  step(rows) {
    const before = this.#rows[this.#row];
    this.#rows = rows.filter((row) => row.length > 0);
    if (this.#item === null) {
      this.#row = this.#rows.length === 0 ? 0 : (this.#row + (before === undefined ? 0 : 1)) % this.#rows.length;
      return;
    }
    const row = this.#rows[this.#row] ?? [];
    this.#steps += 1;
    if (this.#steps >= ROUNDS * row.length) this.#item = null;
    else this.#item = (this.#item + 1) % row.length;
  }

  /** The switch is pressed: the item that is chosen, or null where a row was opened. */
  press() {
    const row = this.#rows[this.#row] ?? [];
    if (row.length === 0) return null;
    if (this.#item === null && row.length > 1) {
      [this.#item, this.#steps] = [0, 0];
      return null;
    }
    const chosen = row[this.#item ?? 0];
    this.#item = null;
    return chosen;
  }
}
