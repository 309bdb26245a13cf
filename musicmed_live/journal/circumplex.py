"""The way through the valence-arousal plane: what was asked for, what was heard, what the patient said."""

from collections.abc import Iterator
from itertools import groupby

from musicmed_live.core.emotion import Emotion, parse_emotion
from musicmed_live.journal import svg
from musicmed_live.journal.account import Account
from musicmed_live.journal.svg import Point

SIDE, LEFT, TOP = 480, 50, 34  # pixels
WIDTH, HEIGHT = SIDE + 2 * LEFT, TOP + SIDE + 34
LETTERS = 26  # reports that are told apart by a letter


def circumplex(account: Account) -> str:
    """The picture, an SVG element."""
    told = (
        f"{len(account.clips)} clips, of which {len(account.judged)} were judged; {len(account.reports)} reports. "
        "The tables below have all values."
    )
    layers = (_frame(), *(draw(account) for draw in (_doubts, _estimated, _asked, _heard, _told)))
    parts = [part for layer in layers for part in layer]
    return svg.picture(WIDTH, HEIGHT, "The way through the plane of emotions", told, [*svg.key(LEFT, 14), *parts])


def letter(report: int) -> str:
    """What marks the report of that number, from 0: A, B .. Z, then A2 .."""
    round_, number = divmod(report, LETTERS)
    return chr(ord("A") + number) + (str(round_ + 1) if round_ else "")


def _place(emotion: Emotion) -> Point:
    return LEFT + (1 + emotion.valence) / 2 * SIDE, TOP + (1 - emotion.arousal) / 2 * SIDE


def _frame() -> Iterator[str]:
    middle_x, middle_y = LEFT + SIDE / 2, TOP + SIDE / 2
    yield svg.box(LEFT, TOP, SIDE, SIDE, "frame")
    yield svg.line([(LEFT, middle_y), (LEFT + SIDE, middle_y)], "grid")
    yield svg.line([(middle_x, TOP), (middle_x, TOP + SIDE)], "grid")
    yield svg.words(LEFT + 6, middle_y - 6, "unpleasant")
    yield svg.words(LEFT + SIDE - 6, middle_y - 6, "pleasant", "end")
    yield svg.words(middle_x + 6, TOP + 16, "activated")
    yield svg.words(middle_x + 6, TOP + SIDE - 8, "calm")


def _asked(account: Account) -> Iterator[str]:
    """One line for music that goes on; where it jumped, as it does when the patient says something new, another."""
    runs: list[list[Point]] = []
    for clip in account.clips:
        start, end = _place(clip.start), _place(clip.end)
        if runs and runs[-1][-1] == start:
            runs[-1].append(end)
        else:
            runs.append([start, end])
    yield from (svg.line(run, "asked") for run in runs)


def _estimated(account: Account) -> Iterator[str]:
    points = [_place(felt.estimate.emotion) for felt in account.estimates]
    if points:
        yield svg.line([point for point, _ in groupby(points)], "estimated")


def _doubts(account: Account) -> Iterator[str]:
    """One standard deviation about what is heard in each clip that was judged."""
    for clip in account.clips:
        if clip.heard is not None:
            radii = clip.heard.valence_sd / 2 * SIDE, clip.heard.arousal_sd / 2 * SIDE
            yield svg.ellipse(_place(clip.heard.emotion), radii, "doubt")


def _heard(account: Account) -> Iterator[str]:
    """What is heard in each clip that was judged, joined to what it was asked for."""
    for number, clip in enumerate(account.clips, 1):
        if clip.heard is not None:
            at = _place(clip.heard.emotion)
            yield svg.line([_place(clip.asked), at], "off")
            yield svg.dot(at, "heard", title=f"clip {number}")


def _told(account: Account) -> Iterator[str]:
    """What the patient said, in order, and where it was to go."""
    goal = _place(account.goal)
    yield svg.dot(goal, "goal", 9)
    yield svg.words(goal[0] + 12, goal[1] + 4, "goal", "small")
    if account.opened["start"] is not None:
        start = _place(parse_emotion(account.opened["start"], "start"))
        yield svg.diamond(start, "reported", "start")
        yield svg.words(start[0] + 8, start[1] - 6, "start", "small")
    for number, (_, emotion) in enumerate(account.reports):
        at = _place(emotion)
        yield svg.diamond(at, "reported", f"report {letter(number)}")
        yield svg.words(at[0] + 8, at[1] - 6, letter(number), "small")
