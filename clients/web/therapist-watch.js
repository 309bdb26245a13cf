// The session that is looked at: what plays, why, how the patient is, and what has happened.

import { outline, scaleOf, spokenText, beatsText } from "./strip.js";
import { trustText } from "./sources.js";
import { say } from "./words.js";
import { becauseText, clock, factsOf, moodAt, newsText, phaseName, placeText, warningsOf } from "./therapist-text.js";

const LEGEND = ["report", "estimate", "music", "heard", "goal", "region"];

export class WatchView {
  #root;
  #plane;
  #words;
  #facts = new Map(); // key of the label -> the element with the text
  #newest = null; // the news that the list shows on top

  /** `plane`: where the session is drawn; `words`: name -> mood. */
  constructor(root, plane, words) {
    this.#root = root;
    this.#plane = plane;
    this.#words = words;
    this.#find("#legend").replaceChildren(...LEGEND.map((name) => element("li", say(`therapist.legend.${name}`), name)));
  }

  /** Show another session. */
  turn() {
    this.#newest = null;
    this.#plane.letGo();
    this.#find("#news").replaceChildren();
    this.#find("#sources").replaceChildren();
  }

  show(sitting) {
    const { state } = sitting;
    this.#write("#watch-title", sitting.patient);
    this.#write("#watch-phase", phaseName(sitting));
    this.#write("#warnings", warningsOf(sitting).map((key) => say(`therapist.warning.${key}`)).join(" · "));
    this.#showNews(sitting.news);
    if (state === null) return;
    this.#plane.show(state);
    this.#write("#spoken", this.#spoken(state));
    this.#write("#why", say("therapist.reads", { why: becauseText(state.because) }));
    for (const [key, text] of factsOf(state, this.#words)) this.#showFact(key, text);
    this.#find("#progress").style.width = state.ends === null ? "0" : `${(100 * state.position) / state.ends}%`;
    this.#showBody(sitting);
  }

  #showFact(key, text) {
    if (!this.#facts.has(key)) {
      const value = element("dd", "");
      this.#find("#facts").append(element("dt", say(key)), value);
      this.#facts.set(key, value);
    }
    const value = this.#facts.get(key);
    if (value.textContent !== text) value.textContent = text;
  }

  #showBody({ beats, state }) {
    const known = beats.some(({ bpm }) => bpm !== null);
    const now = performance.now() / 1000;
    const scale = scaleOf(beats);
    this.#find("#no-body").hidden = state.sources.length > 0;
    this.#find("#heart").hidden = !known;
    this.#find("#strip path").setAttribute("d", scale === null ? "" : outline(beats, now, scale));
    this.#find("#strip").setAttribute("aria-label", spokenText(beats));
    this.#write("#beats", beatsText(state.vitals.heart_rate_bpm));
    this.#write("#bpm-high", String(scale?.high ?? ""));
    this.#write("#bpm-low", String(scale?.low ?? ""));
    this.#showSources(state.sources);
  }

  #showSources(sources) {
    const list = this.#find("#sources");
    while (list.children.length > sources.length) list.lastElementChild.remove();
    sources.forEach((source, i) => {
      const row = list.children[i] ?? list.appendChild(sourceRow());
      const name = say(`patient.source.${source.kind}`);
      const fault = source.fault === null ? "" : `: ${say(`therapist.fault.${source.fault}`)}`;
      row.classList.toggle("fault", source.fault !== null);
      row.querySelector(".said").textContent = `${name}${fault}`;
      row.querySelector("meter").value = source.trust;
      row.querySelector("meter").ariaLabel = say("patient.trust_in", { name });
      row.querySelector(".trust").textContent = trustText(source.trust);
    });
  }

  // Only what is new is added: who reads further down is left there.
  #showNews(news) {
    const list = this.#find("#news");
    const fresh = this.#newest === null ? news : news.slice(0, Math.max(0, news.indexOf(this.#newest)));
    if (fresh.length === 0) return;
    this.#newest = news[0];
    list.prepend(...fresh.map((item) => newsRow(item)));
    while (list.children.length > news.length) list.lastElementChild.remove();
  }

  #spoken(state) {
    const places = [["music", state.target], ["goal", state.goal], ["report", state.report], ["estimate", state.estimate]];
    return places.filter(([, emotion]) => emotion !== null)
      .map(([name, emotion]) => `${say(`therapist.legend.${name}`)}: ${moodAt(emotion, this.#words)}, ${placeText(emotion)}.`).join(" ");
  }

  #write(selector, text) {
    const found = this.#find(selector);
    if (found.textContent !== text) found.textContent = text;
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }
}

function newsRow({ key, values, at }) {
  const row = element("li", "", key.split(".")[0]);
  row.append(element("time", clock(at)), element("span", newsText({ key, values })));
  return row;
}

function sourceRow() {
  const row = element("li", "");
  const meter = element("meter", "");
  meter.max = 1;
  row.append(element("span", "", "said"), meter, element("span", "", "trust"));
  return row;
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  if (name !== "") made.className = name;
  made.textContent = text;
  return made;
}
