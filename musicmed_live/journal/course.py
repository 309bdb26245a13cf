"""The session over time: either axis of emotion, what was done, and the heart."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.journal import svg
from musicmed_live.journal.account import Account, Beat, Played, unbroken
from musicmed_live.journal.circumplex import letter
from musicmed_live.journal.entries import Entry, Kind

WIDTH, LEFT, RIGHT = 960, 84, 12  # pixels, as all below
LANE, GAP, TOP = 150, 26, 34
HEART, DONE = 110, 46
LEAST_SECONDS = 60.0  # a shorter session is drawn as if it were so long
TICKS_MINUTES = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60)
MOST_TICKS = 12
HIDDEN_EVENTS = {"finished", "unsensed"}  # nobody has done them
STANDING = {"pause", "rest"}
BPM_MARGIN = 5.0

AXES: tuple[tuple[str, str, str, Callable[[Emotion], float]], ...] = (
    ("valence", "pleasant", "unpleasant", lambda emotion: emotion.valence),
    ("arousal", "activated", "calm", lambda emotion: emotion.arousal),
)


class Scale:
    """Time to pixels: from the first time it was played, or opened if it never was, to the last that is known."""

    def __init__(self, account: Account) -> None:
        plays = (e.at for e in account.of_kind(Kind.EVENT) if e.body["event"] == "play")
        self.begin = next(plays, account.sitting.opened_at)
        self.seconds = max(LEAST_SECONDS, account.until - self.begin)

    def x(self, at: float) -> float:
        """Where a time is, in pixels from the left; what was before the beginning is put there."""
        share = min(1.0, max(0.0, (at - self.begin) / self.seconds))
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def course(account: Account) -> str:
    """The picture, an SVG element."""
    scale = Scale(account)
    heart_top = TOP + 2 * (LANE + GAP)
    done_top = heart_top + HEART + GAP
    parts = [*svg.key(LEFT, 14), *_pauses(account, scale, done_top + DONE)]
    for number, (name, high, low, value) in enumerate(AXES):
        top = TOP + number * (LANE + GAP)
        parts += [*_lane(name, high, low, top), *_emotions(account, scale, value, top)]
    parts += [*_heart(account.beats, scale, heart_top), *_done(account, scale, done_top), *_ticks(scale, done_top)]
    told = f"{len(account.clips)} clips and {len(account.reports)} reports over {scale.seconds / 60:.0f} minutes."
    return svg.picture(WIDTH, done_top + DONE + 30, "The session over time", told, parts)


def _lane(name: str, high: str, low: str, top: float) -> Iterator[str]:
    width = WIDTH - LEFT - RIGHT
    yield svg.box(LEFT, top, width, LANE, "frame")
    yield svg.line([(LEFT, top + LANE / 2), (LEFT + width, top + LANE / 2)], "grid")
    yield svg.words(LEFT - 8, top + 12, high, "small end")
    yield svg.words(LEFT - 8, top + LANE / 2 + 4, name, "end")
    yield svg.words(LEFT - 8, top + LANE - 2, low, "small end")


def _emotions(account: Account, scale: Scale, value: Callable[[Emotion], float], top: float) -> Iterator[str]:
    def y(number: float) -> float:
        return top + (1 - clamp(number)) / 2 * LANE

    sd_of = "valence_sd" if value is AXES[0][3] else "arousal_sd"
    yield from _felt(account, scale, value, sd_of, y)
    for number, (clip, end) in enumerate(_lasting(account.clips), 1):
        since, until = scale.x(clip.at), scale.x(end)
        yield svg.line([(since, y(value(clip.start))), (until, y(value(clip.end)))], "asked")
        if clip.heard is not None:
            middle, sd = (since + until) / 2, getattr(clip.heard, sd_of)
            heard = value(clip.heard.emotion)
            yield svg.line([(middle, y(heard + sd)), (middle, y(heard - sd))], "off")
            yield svg.dot((middle, y(heard)), "heard", 3.5, f"clip {number}")
    for number, (at, emotion) in enumerate(account.reports):
        yield svg.diamond((scale.x(at), y(value(emotion))), "reported", f"report {letter(number)}")


def _lasting(clips: Sequence[Played]) -> Iterator[tuple[Played, float]]:
    """The clips, and when each was over: pauses in it count, as the clock does not stand still."""
    for clip, after in pairwise([*clips, None]):
        if clip is not None:
            yield clip, clip.at + clip.frames / SAMPLE_RATE if after is None else after.at


def _felt(
    account: Account, scale: Scale, value: Callable[[Emotion], float], sd_of: str, y: Callable[[float], float]
) -> Iterator[str]:
    """The estimate, one standard deviation to either side."""
    felt = [(scale.x(f.at), value(f.estimate.emotion), getattr(f.estimate, sd_of)) for f in account.estimates]
    if felt:
        above = [(x, y(middle + sd)) for x, middle, sd in felt]
        below = [(x, y(middle - sd)) for x, middle, sd in reversed(felt)]
        yield svg.area([*above, *below], "spread")
        yield svg.line([(x, y(middle)) for x, middle, _ in felt], "estimated")


def _heart(beats: Sequence[Beat], scale: Scale, top: float) -> Iterator[str]:
    """The heart rate where it was to be trusted; where it was not, or there was none, that is shown."""
    known = [beat.heart_rate_bpm for beat in beats if beat.heart_rate_bpm is not None]
    low, high = (min(known) - BPM_MARGIN, max(known) + BPM_MARGIN) if known else (50.0, 100.0)
    yield svg.box(LEFT, top, WIDTH - LEFT - RIGHT, HEART, "frame")
    yield svg.words(LEFT - 8, top + HEART / 2 - 4, "heart rate", "end")
    yield svg.words(LEFT - 8, top + HEART / 2 + 10, "beats/min", "small end")
    if not known:
        yield svg.box(LEFT, top, WIDTH - LEFT - RIGHT, HEART, "missing")
        yield svg.words((LEFT + WIDTH - RIGHT) / 2, top + HEART / 2 + 4, "no heart rate was measured", "middle")
        return
    yield svg.words(LEFT - 8, top + 10, f"{high:.0f}", "small end")
    yield svg.words(LEFT - 8, top + HEART, f"{low:.0f}", "small end")
    runs = unbroken(beats)
    for run in runs:
        points = [(scale.x(at), top + (high - bpm) / (high - low) * HEART) for at, bpm in run]
        yield svg.line(points if len(points) > 1 else [points[0], (points[0][0] + 1, points[0][1])], "heart")
    edges = [scale.begin, *(at for run in runs for at in (run[0][0], run[-1][0])), scale.begin + scale.seconds]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if scale.x(end) - scale.x(start) > 1:
            yield svg.box(scale.x(start), top, scale.x(end) - scale.x(start), HEART, "missing", "no heart rate")


def _done(account: Account, scale: Scale, top: float) -> Iterator[str]:
    """Who did what; labels that would lie on each other go down a line."""
    yield svg.words(LEFT - 8, top + 14, "done", "end")
    ends = [0.0, 0.0, 0.0]
    for entry in account.of_kind(Kind.EVENT):
        if entry.body["event"] not in HIDDEN_EVENTS:
            x, label = scale.x(entry.at), entry.body["event"].replace("_", " ")
            row = min(range(len(ends)), key=lambda row: (ends[row] > x, ends[row] if ends[row] > x else row))
            ends[row] = x + 6.5 * len(label) + 8
            yield svg.line([(x, TOP), (x, top + DONE)], "grid")
            yield svg.words(min(x + 2, WIDTH - RIGHT - 6.5 * len(label)), top + 12 + 15 * row, label, "small")


def _pauses(account: Account, scale: Scale, bottom: float) -> Iterator[str]:
    """While nothing was heard though it might have been."""
    moving = {"play", "stop", "finished", *STANDING}
    events = [e for e in account.of_kind(Kind.EVENT) if e.body["event"] in moving]
    for one, other in pairwise([*events, None]):
        if one is not None and one.body["event"] in STANDING:
            start, end = scale.x(one.at), scale.x(_at(other, account.until))
            yield svg.box(start, TOP, end - start, bottom - TOP, "pause", "paused")


def _at(entry: Entry | None, otherwise: float) -> float:
    return otherwise if entry is None else entry.at


def _ticks(scale: Scale, top: float) -> Iterator[str]:
    minutes = scale.seconds / 60
    step = next((step for step in TICKS_MINUTES if minutes / step <= MOST_TICKS), TICKS_MINUTES[-1])
    for number in range(int(minutes / step) + 1):
        x = scale.x(scale.begin + number * step * 60)
        yield svg.line([(x, top + DONE), (x, top + DONE + 6)], "frame")
        yield svg.words(x, top + DONE + 20, f"{number * step:g} min", "small middle")
