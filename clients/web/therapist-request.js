// What stands in the fields of the form, as the server is asked it, and back. A field's name is its place in the body:
// "region.valence.0". What is no number goes as it is typed, for the server to say so.

const NUMBERS = ["step", "patience", "tolerance", "ending_seconds", "loudest_lufs", "loudest_dba"];
const WORDS = ["shape", "control", "generator", "output", "patient"];
const PAIRS = ["region.valence", "region.arousal", "tempo_bpm"];

/** What the form says before anybody has touched it: the server's own defaults, written out. */
export const DEFAULTS = {
  patient: "", start: "", "goal.valence": "0.56", "goal.arousal": "-0.31",
  "region.valence.0": "-1", "region.valence.1": "1", "region.arousal.0": "-1", "region.arousal.1": "1",
  step: "0.2", patience: "2", tolerance: "0.25", shape: "linear", control: "pad",
  minutes: "15", ending_seconds: "10", "tempo_bpm.0": "", "tempo_bpm.1": "",
  loudest_lufs: "", loudest_dba: "", output: "", sensitive: "", generator: "",
};

/** The body of `POST /api/sessions`. `fields`: name -> text; "" means that it is left to the server. */
export function bodyOf(fields) {
  const body = { start: fields.start === "" ? null : fields.start, goal: pointOf(fields), minutes: minutesOf(fields) };
  for (const name of NUMBERS) if (isFilled(fields[name])) body[name] = numberOf(fields[name]);
  for (const name of WORDS) if (isFilled(fields[name])) body[name] = fields[name].trim();
  body.sensitive = isFilled(fields.sensitive);
  Object.assign(body, limitsOf(fields));
  body.instruments = preferenceOf(fields, "instruments.");
  body.style = preferenceOf(fields, "style.");
  body.pauses = pausesOf(fields);
  return body;
}

/** The region and the tempo, each with its two ends. Without a tempo it is null: any. */
export function limitsOf(fields) {
  const [valence, arousal, tempo] = PAIRS.map((name) => [0, 1].map((end) => fields[`${name}.${end}`] ?? ""));
  return {
    region: { valence: valence.map(numberOf), arousal: arousal.map(numberOf) },
    tempo_bpm: tempo.some(isFilled) ? tempo.map(numberOf) : null,
  };
}

/** The fields that say the same as `body`, as the server keeps it. What it leaves out is as it always is. */
export function fieldsOf(body) {
  const fields = { ...DEFAULTS };
  for (const name of [...NUMBERS, ...WORDS]) if (body[name] != null) fields[name] = textOf(body[name]);
  fields.minutes = body.minutes == null ? "" : textOf(body.minutes);
  fields.sensitive = body.sensitive ? "on" : "";
  for (const axis of ["valence", "arousal"]) {
    fields[`goal.${axis}`] = textOf(body.goal[axis]);
    (body.region?.[axis] ?? []).forEach((x, end) => (fields[`region.${axis}.${end}`] = textOf(x)));
  }
  (body.tempo_bpm ?? []).forEach((x, end) => (fields[`tempo_bpm.${end}`] = textOf(x)));
  (body.pauses ?? []).forEach((pause, i) => {
    for (const key of ["after_minutes", "minutes"]) fields[`pauses.${i}.${key}`] = textOf(pause[key]);
  });
  for (const room of ["instruments", "style"]) {
    for (const wish of ["prefer", "forbid"]) for (const name of body[room]?.[wish] ?? []) fields[`${room}.${name}`] = wish;
  }
  return fields;
}

/** A number where the text is one, also with a comma, as some write it; else the text. */
export function numberOf(text) {
  const plain = text.trim().replace(",", ".");
  return /^[-+−]?\d*\.?\d+(e[-+]?\d+)?$/i.test(plain) && Number.isFinite(toNumber(plain)) ? toNumber(plain) : text;
}

/** The name, of `names`, of the field that an error of the server is about; null where there is none. */
export function fieldAt(path, names) {
  for (let place = path; place !== ""; place = place.slice(0, Math.max(0, place.lastIndexOf(".")))) {
    const found = names.find((name) => name === place) ?? names.find((name) => name.startsWith(`${place}.`));
    if (found !== undefined) return found;
  }
  return null;
}

function toNumber(plain) {
  return Number(plain.replace("−", "-"));
}

function pointOf(fields) {
  return { valence: numberOf(fields["goal.valence"]), arousal: numberOf(fields["goal.arousal"]) };
}

function minutesOf({ minutes }) {
  return isFilled(minutes) ? numberOf(minutes) : null;
}

function preferenceOf(fields, room) {
  const wished = (wish) => Object.keys(fields).filter((name) => name.startsWith(room) && fields[name] === wish);
  const names = (wish) => wished(wish).map((name) => name.slice(room.length));
  return { prefer: names("prefer"), forbid: names("forbid") };
}

function pausesOf(fields) {
  const pauses = [];
  for (let i = 0; `pauses.${i}.minutes` in fields; i++) {
    const [after, minutes] = ["after_minutes", "minutes"].map((key) => fields[`pauses.${i}.${key}`]);
    pauses.push({ after_minutes: numberOf(after), minutes: numberOf(minutes) });
  }
  return pauses;
}

function textOf(value) {
  return typeof value === "number" ? String(Math.round(value * 1e4) / 1e4) : value;
}

function isFilled(text) {
  return (text ?? "").trim() !== "";
}
