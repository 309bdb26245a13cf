// What was said to the server and is not known to be done there, in the order it was said. Each message gets an id,
// under which the server tells that it is done.

export class Outbox {
  #said = new Map(); // type -> message: the latest of its type is the one that counts
  #name;
  #count = 0;

  /** `name` tells the ids of this page from those of others. */
  constructor(name) {
    this.#name = name;
  }

  /** Keep a message until it is done; returns it with its id. */
  put(message) {
    this.#count += 1;
    const kept = { ...message, id: `${this.#name}-${this.#count}` };
    this.#said.delete(message.type);
    this.#said.set(message.type, kept);
    return kept;
  }

  get messages() {
    return [...this.#said.values()];
  }

  /** The message of that id is done, or was refused. */
  settle(id) {
    for (const [type, message] of this.#said) if (message.id === id) this.#said.delete(type);
  }

  clear() {
    this.#said.clear();
  }
}
