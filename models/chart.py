"""Pictures of an evaluation: what was asked for and what was heard, in the valence-arousal plane, as inline SVG."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

PANEL, LEFT, TOP, RIGHT, BOTTOM = 300, 46, 30, 14, 40  # pixels

# Grey that can be read on white and on black, and two colours that the colour-blind can tell apart (Okabe, Ito 2008).
STYLE = """
svg text { font: 13px system-ui, sans-serif; fill: #808080 }
svg .frame { fill: none; stroke: #808080; stroke-opacity: .6 }
svg .axis { stroke: #808080; stroke-opacity: .35; stroke-dasharray: 2 4 }
svg .way { stroke: #0090d8; stroke-width: 1.2; stroke-opacity: .7 }
svg .asked { fill: none; stroke: #e69f00; stroke-width: 1.5 }
svg .mean { fill: #0090d8 }
svg .clip { fill: #0090d8; fill-opacity: .3 }
""".strip()

Clips = Sequence[Mapping[str, Any]]  # as `evaluation.json` has them


def plane(clips: Clips, judge: str, title: str) -> str:
    """An SVG: a ring where an emotion was asked for, a line to the mean of where it was heard, a dot for each clip."""
    heard: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for clip in clips:
        opinion = clip["heard"][judge]
        if "valence" in opinion:
            wish = clip["valence"], clip["arousal"]
            heard.setdefault(wish, []).append((opinion["valence"], opinion["arousal"]))
    width, height = LEFT + PANEL + RIGHT, TOP + PANEL + BOTTOM
    marks = [mark for wish, points in heard.items() for mark in _marks(wish, points)]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            *_frame(title),
            *sorted(marks, key=lambda mark: "asked" in mark),  # rings on top
            "</svg>",
        ]
    )


def _frame(title: str) -> list[str]:
    middle_x, middle_y = _place((0.0, 0.0))
    return [
        f'<text x="{LEFT}" y="18">{escape(title)}</text>',
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{PANEL}" height="{PANEL}"/>',
        f'<path class="axis" d="M{LEFT} {middle_y}h{PANEL}M{middle_x} {TOP}v{PANEL}"/>',
        f'<text x="{LEFT}" y="{TOP + PANEL + 16}">-1</text>',
        f'<text x="{LEFT + PANEL}" y="{TOP + PANEL + 16}" text-anchor="end">1</text>',
        f'<text x="{middle_x}" y="{TOP + PANEL + 32}" text-anchor="middle">valence</text>',
        f'<text x="{LEFT - 6}" y="{TOP + PANEL}" text-anchor="end">-1</text>',
        f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">1</text>',
        f'<text x="16" y="{middle_y}" text-anchor="middle" transform="rotate(-90 16 {middle_y})">arousal</text>',
    ]


def _marks(wish: tuple[float, float], points: Sequence[tuple[float, float]]) -> list[str]:
    mean = tuple(map(float, np.mean(points, axis=0)))
    (from_x, from_y), (to_x, to_y) = _place(wish), _place((mean[0], mean[1]))
    dots = [f'<circle class="clip" cx="{x}" cy="{y}" r="2.2"/>' for x, y in map(_place, points)]
    return [
        f'<path class="way" d="M{from_x} {from_y}L{to_x} {to_y}"/>',
        *dots,
        f'<circle class="mean" cx="{to_x}" cy="{to_y}" r="3.6"/>',
        f'<circle class="asked" cx="{from_x}" cy="{from_y}" r="5"/>',
    ]


def _place(point: tuple[float, float]) -> tuple[float, float]:
    valence, arousal = point
    return round(LEFT + (1 + valence) / 2 * PANEL, 1), round(TOP + (1 - arousal) / 2 * PANEL, 1)
