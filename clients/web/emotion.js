// A mood as a point of the plane, `{valence, arousal}`, each from -1 to 1; and the words that name such points.

const STEPS = 100; // a unit has so many: finer than anybody can point

/** The point, brought into the plane. */
export function emotionAt(valence, arousal) {
  return { valence: coordinate(valence), arousal: coordinate(arousal) };
}

/** Whether two points are the same one. */
export function isSameEmotion(a, b) {
  return a.valence === b.valence && a.arousal === b.arousal;
}

/** How far one point is from another. */
export function distance(a, b) {
  return Math.hypot(a.valence - b.valence, a.arousal - b.arousal);
}

/** The word whose point lies nearest to an emotion; "" where there are no words. `words`: `{calm: {valence, arousal}, ...}`. */
export function nearestWord(emotion, words) {
  let nearest = "";
  let least = Infinity;
  for (const [word, point] of Object.entries(words)) {
    if (distance(point, emotion) < least) [nearest, least] = [word, distance(point, emotion)];
  }
  return nearest;
}

function coordinate(x) {
  return Math.round(Math.min(1, Math.max(-1, x)) * STEPS) / STEPS;
}
