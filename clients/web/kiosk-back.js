// On a page that a nurse has opened from the kiosk, `?back=kiosk`: the way back, which is also taken when nobody is there.

import { loadWords, say } from "./words.js";

const KIOSK = "./kiosk.html";
const IDLE_MS = 300_000;
const SIGNS_OF_LIFE = ["pointerdown", "keydown"];

let timer = null;

function stay() {
  clearTimeout(timer);
  timer = setTimeout(() => location.replace(KIOSK), IDLE_MS);
}

async function offer() {
  await loadWords();
  const link = document.createElement("a");
  link.href = KIOSK;
  link.textContent = say("kiosk.back");
  document.querySelector("main").prepend(link);
}

if (new URLSearchParams(location.search).get("back") === "kiosk") {
  for (const sign of SIGNS_OF_LIFE) addEventListener(sign, stay);
  stay();
  offer();
}
