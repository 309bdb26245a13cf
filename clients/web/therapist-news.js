// What happened in a session, told from one state to the next: `{key, values, at}`, where `at` is a position.

const POINT_PRECISION = 1e-4;
const AGE_SLACK_S = 1; // of a report, between two states
const LENGTH = 200; // so much is kept

/** What `state` tells that the one before it (null: there was none) did not. `word(emotion)` names a mood. */
export function newsOf(before, state, word) {
  const news = [];
  const tell = (key, values = {}) => news.push({ key, values, at: state.position });
  if (isNewReport(before?.report ?? null, state.report)) tell("report", { mood: word(state.report) });
  if (before?.phase !== state.phase) tell(`phase.${state.phase}`);
  if (before !== null && before.because.key !== state.because.key) tell("because", { because: state.because });
  if (before !== null && !isSame(before.goal, state.goal)) tell("goal", { mood: word(state.goal) });
  if (before !== null && !isSame(before.bounds, state.bounds)) tell("bounds");
  if (state.clip !== null && before?.clip?.position !== state.clip.position) tell("clip", { mood: word(state.clip.emotion) });
  if (before !== null && before.generator.name !== state.generator.name) tell("generator", { name: state.generator.name });
  for (const { kind, fault } of state.sources) {
    const known = before?.sources.find((source) => source.kind === kind);
    if (known?.fault !== fault) tell(fault === null ? "source_well" : "source_fault", { kind, fault });
  }
  return news;
}

/** The newest first, and not more than can be looked through. */
export function withNews(all, news) {
  return [...news.toReversed(), ...all].slice(0, LENGTH);
}

function isNewReport(before, report) {
  if (report === null) return false;
  if (before === null || Math.abs(before.valence - report.valence) + Math.abs(before.arousal - report.arousal) > POINT_PRECISION) return true;
  return report.seconds < before.seconds - AGE_SLACK_S;
}

function isSame(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
