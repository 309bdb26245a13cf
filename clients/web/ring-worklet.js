// Reads the ring on the audio thread. Messages: {position, samples}, {cut}, {offset}.

import { Ring } from "./ring.js";

const CAPACITY = 2 ** 19; // frames, 10.9 s at 48 kHz

class RingProcessor extends AudioWorkletProcessor {
  #ring = new Ring(CAPACITY);

  constructor() {
    super();
    this.port.onmessage = ({ data: message }) => {
      if ("samples" in message) this.#ring.write(message.position, message.samples);
      else if ("cut" in message) this.#ring.cut(message.cut);
      else this.#ring.follow(message.offset);
    };
  }

  process(inputs, [[left, right]]) {
    this.#ring.read(currentFrame, left, right);
    return true;
  }
}

registerProcessor("ring", RingProcessor);
