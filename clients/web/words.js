// What the pages say, in the reader's language. messages.json has the words; `data-say` in the markup says where they go.

const FILE = new URL("./messages.json", import.meta.url);
const KEPT = "musicmed.language"; // where this browser keeps the reader's choice
const FIRST = "en"; // the language of whoever reads none of ours
const RETRY_MS = 1000;

let all = {}; // language -> {key: text}
let current = FIRST;

/**
 * Load the words of all languages, however long the server is away, and take the reader's: `?lang=`, else what was
 * chosen here before, else the browser's.
 */
export async function loadWords() {
  all = await fetched();
  current = readersLanguage();
}

/** The languages that there are words in, `["en", "de"]`. */
export function languages() {
  return Object.keys(all);
}

/** The language that is spoken now. */
export function language() {
  return current;
}

/**
 * Speak `chosen` from now on, also the next time; null: as if nothing had been chosen here. What stands on the page
 * already is said anew by `localize`.
 */
export function chooseLanguage(chosen) {
  try {
    if (chosen === null) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, chosen);
  } catch {
    // a browser that keeps nothing is asked again the next time
  }
  current = chosen ?? readersLanguage();
}

/** Whether there are words for `key`. */
export function canSay(key) {
  return all[current]?.[key] !== undefined;
}

/** The text of `key`, with `{name}` in it replaced by `values.name`. Throws an `Error` where there is none. */
export function say(key, values = {}) {
  if (!canSay(key)) throw new Error(`no words for ${key}`);
  return filled(all[current][key], values);
}

/** The name of a mood in the reader's language; `word` is one of the server's, which may know more of them than we. */
export function moodName(word) {
  const key = `mood.${word}`;
  return canSay(key) ? say(key) : word;
}

/** An instrument's name in the reader's language; the server may know more of them than we. */
export function instrumentName(name) {
  const key = `therapist.instrument.${name}`;
  return canSay(key) ? say(key) : name;
}

/** A key of the music, such as "D dorian", as the reader names it. */
export function keyName(key) {
  const [tonic, mode] = key.split(" ");
  const [tonicKey, modeKey] = [`music.tonic.${tonic}`, `music.mode.${mode}`];
  return canSay(tonicKey) && canSay(modeKey) ? say(modeKey, { tonic: say(tonicKey) }) : key;
}

/** A number with the decimal mark that the reader writes. */
export function numberText(number) {
  return String(number).replace(".", (0.5).toLocaleString(current).charAt(1));
}

/** Put the words where `data-say` (text) and `data-say-label` (aria-label) ask for them. `root`: a document or an element. */
export function localize(root) {
  if (root === document) document.documentElement.lang = current;
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-say-label]")) element.ariaLabel = say(element.dataset.sayLabel);
}

/** `text` with each `{name}` replaced by `values.name`; a name without a value stays. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** The first of `wanted` (tags such as "de-AT", or null) that is among `offered`; else the first one that is offered. */
export function languageOf(wanted, offered) {
  const tags = wanted.filter((tag) => tag !== null).map((tag) => tag.toLowerCase().split("-")[0]);
  return tags.find((tag) => offered.includes(tag)) ?? offered[0];
}

async function fetched() {
  try {
    const answer = await fetch(FILE);
    if (answer.ok) return await answer.json();
  } catch {
    // the server is away, or went while it answered
  }
  await new Promise((done) => setTimeout(done, RETRY_MS));
  return fetched();
}

function readersLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  return languageOf([asked, kept(), ...navigator.languages], languages());
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
