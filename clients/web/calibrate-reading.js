// What was typed in, and what it means. Pure.

const LOWEST_DBA = 30;
const HIGHEST_DBA = 100;
const ADVISED_DBA = 65; // AMTA, Music Listening Guidelines

/** What a meter shows, in dB(A): "62.5" or, as it is written in other places, "62,5"; null where that is no reading. */
export function readingOf(text) {
  const match = /^\s*(\d{1,3}(?:[.,]\d{1,2})?)\s*(?:dB(?:\(A\)|A)?)?\s*$/i.exec(text);
  if (match === null) return null;
  const dba = Number(match[1].replace(",", "."));
  return dba >= LOWEST_DBA && dba <= HIGHEST_DBA ? dba : null;
}

/** A level as a reader of `language` writes it, without needless places. */
export function shownDba(dba, language) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(dba);
}

/** What is to be said of an output where music as it comes has that level: the end of a `calibrate.result_` key. */
export function judged(dba) {
  return dba > ADVISED_DBA ? "loud" : "good";
}
