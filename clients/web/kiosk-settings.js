// What a nurse may choose from, and what a choice changes. Pure: settings in, settings out.

const NIGHTS = [
  ["19:00", "07:00"],
  ["20:00", "07:00"],
  ["21:00", "06:30"],
  ["22:00", "06:00"],
];

const OFFERED = {
  "session.goal": ["calm", "relaxed", "peaceful", "sleepy", "content", "happy"],
  "session.minutes": [5, 10, 15, 20, 30, 45],
  "session.control": ["faces", "sliders", "pad"],
  volume_percent: [null, 40, 60, 80, 100],
  night: [null, ...NIGHTS.map(([since, until]) => ({ since, until }))],
  brightness: [0.1, 0.2, 0.3, 0.5],
  language: [null, "en", "de"],
};
const SOFTNESS_LUFS = [-35, -29, -23]; // very soft, soft, as it comes; where no level in dB(A) is known
const LEVELS_DBA = [40, 50]; // between those that are advised
const HEADPHONES = "-headphones"; // ends the name of an output that is a pair of them

/**
 * The values to choose from for a setting; the one that holds now is among them. `levels`: `{outputs, presets}`, the
 * names of the calibrated outputs, and the levels in dB(A) that are advised.
 */
export function offered(name, settings, { outputs, presets }) {
  if (name === "output") return withPresent([null, ...outputs.filter((output) => !output.endsWith(HEADPHONES))], settings.output);
  if (name === "loudness") return withPresent(isCalibrated(settings, outputs) ? levels(presets).map(dba) : SOFTNESS_LUFS.map(lufs), chosen(name, settings));
  return withPresent(OFFERED[name], chosen(name, settings));
}

/** The value of a setting that holds now. */
export function chosen(name, settings) {
  if (name === "loudness") {
    const { loudest_dba, loudest_lufs } = settings.session;
    return loudest_dba ? dba(loudest_dba) : lufs(loudest_lufs ?? SOFTNESS_LUFS.at(-1));
  }
  const [first, second] = name.split(".");
  return (second === undefined ? settings[first] : settings[first][second]) ?? null;
}

/** What is to be said to the server so that `value` holds: some of the settings. */
export function change(name, value, settings) {
  if (name === "loudness") return { session: { ...settings.session, loudest_dba: value.dba, loudest_lufs: value.lufs } };
  // A level in dB(A) belongs to the output that it was chosen for.
  if (name === "output") return { output: value, session: { ...settings.session, loudest_dba: null } };
  const [first, second] = name.split(".");
  return { [first]: second === undefined ? value : { ...settings[first], [second]: value } };
}

/** Whether two values are the same one. */
export function isSame(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether the level of the output that is set is known. */
export function isCalibrated(settings, outputs) {
  return settings.output !== null && outputs.includes(settings.output);
}

function levels(presets) {
  return [...new Set([...LEVELS_DBA, ...presets])].sort((a, b) => a - b);
}

function withPresent(values, present) {
  return values.some((value) => isSame(value, present)) ? values : [...values, present];
}

function dba(level) {
  return { dba: level, lufs: null };
}

function lufs(level) {
  return { dba: null, lufs: level };
}
