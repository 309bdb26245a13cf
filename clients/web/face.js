// A face that shows a mood: mouth, eyes, brows and colour follow valence and arousal without a step.
// It is one unit in radius, with y downwards as SVG has it.

const SVG = "http://www.w3.org/2000/svg";
const EYE = { x: 0.36, y: -0.14, width: 0.11 };
const BROW = { inner: 0.17, outer: 0.53, y: -0.46 };
// The colours of the plane's corners; a mood between them has a colour between them.
const TENSE = [226, 147, 127];
const LIVELY = [244, 205, 122];
const GLOOMY = [152, 166, 224];
const RELAXED = [143, 211, 196];

/** The shapes of the face of a mood: `{mouth, brows, lids, colour}`: paths, the height of the eyes, and a CSS colour. */
export function faceOf({ valence, arousal }) {
  return {
    mouth: mouth(valence, arousal),
    brows: [brow(-1, valence, arousal), brow(1, valence, arousal)],
    lids: rounded(0.1 + 0.065 * arousal),
    colour: colour(valence, arousal),
  };
}

/** A face as an SVG group, to be drawn by `drawFace`. */
export function makeFace() {
  const face = element("g", { class: "face" });
  face.append(element("circle", { class: "head", r: 1 }));
  for (const side of [-1, 1]) face.append(element("ellipse", { class: "eye", cx: side * EYE.x, cy: EYE.y, rx: EYE.width }));
  face.append(element("path", { class: "brow" }), element("path", { class: "brow" }), element("path", { class: "mouth" }));
  return face;
}

/** A picture of a mood, of itself without meaning to those who do not see it. */
export function facePicture(emotion) {
  const picture = element("svg", { viewBox: "-1.08 -1.08 2.16 2.16", "aria-hidden": "true" });
  const face = makeFace();
  drawFace(face, emotion);
  picture.append(face);
  return picture;
}

/** Give a group of `makeFace` the expression of a mood. */
export function drawFace(face, emotion) {
  const { mouth: lips, brows, lids, colour: skin } = faceOf(emotion);
  face.querySelector(".head").setAttribute("fill", skin);
  for (const eye of face.querySelectorAll(".eye")) eye.setAttribute("ry", lids);
  face.querySelectorAll(".brow").forEach((line, side) => line.setAttribute("d", brows[side]));
  face.querySelector(".mouth").setAttribute("d", lips);
}

// Two arcs between the same corners: closed where it is quiet, open where it is lively.
function mouth(valence, arousal) {
  const half = rounded((0.4 + 0.06 * valence) * (1 - 0.4 * Math.max(0, arousal) * (1 - Math.abs(valence))));
  const corner = rounded(0.4 - 0.13 * valence);
  const bend = corner + 0.55 * valence;
  const open = 0.34 * Math.max(0, arousal) * (0.45 + 0.55 * Math.abs(valence));
  const [upper, lower] = [rounded(bend - 0.4 * open), rounded(bend + open)];
  return `M${-half},${corner}Q0,${upper} ${half},${corner}Q0,${lower} ${-half},${corner}Z`;
}

// Raised with arousal; what is unpleasant draws the inner ends down where it is lively and up where it is quiet.
function brow(side, valence, arousal) {
  const height = BROW.y - 0.09 * arousal;
  const slant = Math.max(0, -valence) * (0.24 * arousal - 0.05) * 0.7;
  return `M${side * BROW.inner},${rounded(height + slant)}L${side * BROW.outer},${rounded(height - slant)}`;
}

function colour(valence, arousal) {
  const [right, up] = [(valence + 1) / 2, (arousal + 1) / 2];
  const channels = TENSE.map((tense, i) => {
    const above = tense + right * (LIVELY[i] - tense);
    const below = GLOOMY[i] + right * (RELAXED[i] - GLOOMY[i]);
    return Math.round(below + up * (above - below));
  });
  return `rgb(${channels.join(" ")})`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function rounded(x) {
  return Math.round(x * 1000) / 1000;
}
