"""Pictures of the proof: how the loss fell, and where in the plane the music was heard. SVG files that stand alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.chart import STYLE, plane
from models.evaluate import RESULT
from models.history import History

_PANEL, _HEIGHT, _LEFT, _TOP, _GAP = 330, 220, 46, 30, 60  # pixels
_SMOOTHED = 25  # steps that one point of the training's curve is the mean of
_CURVES = """
svg .frame { fill: none; stroke: #808080; stroke-opacity: .6 }
svg .seen { fill: none; stroke: #0090d8; stroke-opacity: .6 }
svg .unseen { fill: none; stroke: #e69f00; stroke-width: 2 }
""".strip()

Point = tuple[float, float]


def write_pictures(out: Path, judge: str) -> None:
    """Write `loss.svg`, `heard-base.svg` and `heard-adapter.svg` into `out`, from what the stages left there."""
    trainings = [("base: all weights, no emotion", out / "base"), ("adapter: LoRA and emotion tokens", out / "adapter")]
    histories = [(title, _history(folder)) for title, folder in trainings]
    (out / "loss.svg").write_text(_losses(histories), encoding="utf-8")
    clips = json.loads((out / "evaluation" / RESULT).read_text(encoding="utf-8"))["clips"]
    for side in ("base", "adapter"):
        picture = plane([clip for clip in clips if clip["side"] == side], judge, f"{side}: ring asked for, dot heard")
        (out / f"heard-{side}.svg").write_text(_alone(picture, STYLE), encoding="utf-8")


def _history(folder: Path) -> History:
    return History.from_json(json.loads((folder / "history.json").read_text(encoding="utf-8")))


def _losses(histories: Sequence[tuple[str, History]]) -> str:
    """A panel for each training: the loss while it learns, and on what it has not seen."""
    width, height = _LEFT + len(histories) * (_PANEL + _GAP), _TOP + _HEIGHT + 40
    panels = [
        line
        for place, (title, history) in enumerate(histories)
        for line in _panel(_LEFT + place * (_PANEL + _GAP), title, history)
    ]
    svg = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">']
    return _alone("\n".join([*svg, "<title>Loss in training</title>", *panels, "</svg>"]), _CURVES)


def _panel(left: float, title: str, history: History) -> list[str]:
    seen = _smoothed(history.losses)
    unseen = [(float(each.step), each.loss) for each in history.validated]
    losses = [loss for _, loss in (*seen, *unseen)]
    low, high, steps = min(losses), max(losses), history.step
    bottom = _TOP + _HEIGHT

    def path(points: Sequence[Point]) -> str:
        at = [
            f"{left + step / steps * _PANEL:.1f} {bottom - (loss - low) / (high - low) * _HEIGHT:.1f}"
            for step, loss in points
        ]
        return "M" + "L".join(at)

    return [
        f'<text x="{left}" y="18">{title}</text>',
        f'<rect class="frame" x="{left}" y="{_TOP}" width="{_PANEL}" height="{_HEIGHT}"/>',
        f'<path class="seen" d="{path(seen)}"/>',
        f'<path class="unseen" d="{path(unseen)}"/>',
        f'<text x="{left - 4}" y="{_TOP + 10}" text-anchor="end">{high:.2f}</text>',
        f'<text x="{left - 4}" y="{bottom}" text-anchor="end">{low:.2f}</text>',
        f'<text x="{left}" y="{bottom + 18}">0</text>',
        f'<text x="{left + _PANEL}" y="{bottom + 18}" text-anchor="end">{steps} steps</text>',
        f'<text x="{left + _PANEL / 2}" y="{bottom + 34}" text-anchor="middle">thin: trained on, thick: unseen</text>',
    ]


def _smoothed(losses: Sequence[float]) -> list[Point]:
    size = min(_SMOOTHED, len(losses))
    means = np.convolve(losses, np.ones(size) / size, "valid")
    return [(index + (size + 1) / 2, float(mean)) for index, mean in enumerate(means)][:: max(1, size // 3)]


def _alone(svg: str, style: str) -> str:
    """An inline picture as a file of its own."""
    text = "svg text { font: 13px system-ui, sans-serif; fill: #808080 }"
    head, rest = svg.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">\n<style>\n{text}\n{style}\n</style>{rest}\n'


__all__: list[Any] = ["write_pictures"]
