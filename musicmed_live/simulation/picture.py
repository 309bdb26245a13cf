"""A picture of where music and moods went in the valence-arousal plane: one SVG, nothing outside it needed."""

from collections.abc import Iterable, Sequence

from musicmed_live.core.emotion import Emotion
from musicmed_live.simulation.patients import PatientKind
from musicmed_live.simulation.sessions import Course, Strategy

PANEL, GAP, LEFT, TOP = 220, 22, 150, 44  # pixels
STEP_SECONDS = 10  # between the points of a line
PATIENTS_SHOWN = 4  # of each kind

# Grey that can be read on white and on black, and two colours that the colour-blind can tell apart (Okabe, Ito 2008).
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #808080 }
.frame { fill: none; stroke: #808080; stroke-opacity: .6 }
.axis { stroke: #808080; stroke-opacity: .35; stroke-dasharray: 2 4 }
polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-opacity: .9 }
.music { stroke: #e69f00; stroke-dasharray: 5 3 }
.mood { stroke: #0090d8 }
.start { fill: none; stroke: #0090d8; stroke-width: 1.5 }
.end { fill: #0090d8 }
.goal { fill: none; stroke: #808080; stroke-width: 2 }
""".strip()


def draw(courses: Iterable[Course]) -> str:
    """An SVG: a row of panels for each kind of patient, a column for each strategy, a few patients in each."""
    shown: dict[tuple[PatientKind, Strategy], list[Course]] = {}
    for course in courses:
        found = shown.setdefault((course.patient.kind, course.strategy), [])
        if len(found) < PATIENTS_SHOWN:
            found.append(course)
    width = LEFT + len(Strategy) * (PANEL + GAP)
    height = TOP + len(PatientKind) * (PANEL + GAP) + 16
    parts = [_legend(), *_headings()]
    for row, kind in enumerate(PatientKind):
        for column, strategy in enumerate(Strategy):
            x, y = LEFT + column * (PANEL + GAP), TOP + row * (PANEL + GAP)
            parts.append(_panel(x, y, shown.get((kind, strategy), ())))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>Music and moods of virtual patients in the valence-arousal plane</title>\n"
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _legend() -> str:
    return (
        '<polyline class="mood" points="8,22 36,22"/><text x="42" y="26">mood</text>'
        '<polyline class="music" points="84,22 112,22"/><text x="118" y="26">music</text>'
    )


def _headings() -> Iterable[str]:
    for column, strategy in enumerate(Strategy):
        yield f'<text x="{LEFT + column * (PANEL + GAP) + PANEL / 2:g}" y="26" text-anchor="middle">{strategy}</text>'
    for row, kind in enumerate(PatientKind):
        y = TOP + row * (PANEL + GAP) + PANEL / 2
        yield f'<text x="{LEFT - 10}" y="{y:g}" text-anchor="end">{kind}</text>'


def _panel(x: int, y: int, courses: Sequence[Course]) -> str:
    half = PANEL / 2
    parts = [
        f'<g transform="translate({x} {y})"><rect class="frame" width="{PANEL}" height="{PANEL}"/>',
        f'<path class="axis" d="M0 {half:g}H{PANEL}M{half:g} 0V{PANEL}"/>',
        f'<text x="4" y="{half - 4:g}">valence</text>',
        f'<text x="{half + 4:g}" y="14">arousal</text>',
    ]
    for course in courses:
        parts.append(f'<polyline class="music" points="{_points(course.music)}"/>')
        parts.append(f'<polyline class="mood" points="{_points(course.mood)}"/>')
        parts.append(f'<circle class="start" {_centre(course.mood[0])} r="3.5"/>')
        parts.append(f'<circle class="end" {_centre(course.mood[-1])} r="3.5"/>')
        parts.append(f'<circle class="goal" {_centre(course.patient.goal)} r="6"/>')
    return "\n".join([*parts, "</g>"])


def _points(way: Sequence[Emotion]) -> str:
    return " ".join(",".join(_place(emotion)) for emotion in (*way[::STEP_SECONDS], way[-1]))


def _centre(emotion: Emotion) -> str:
    x, y = _place(emotion)
    return f'cx="{x}" cy="{y}"'


def _place(emotion: Emotion) -> tuple[str, str]:
    return f"{(1 + emotion.valence) / 2 * PANEL:.1f}", f"{(1 - emotion.arousal) / 2 * PANEL:.1f}"
