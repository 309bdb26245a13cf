"""Pieces of SVG, and how the four kinds of emotions look in every picture: by colour and by shape."""

from collections.abc import Iterable, Sequence
from html import escape

Point = tuple[float, float]  # pixels, from the left and from the top

# Colours that the colour-blind can tell apart (M. Okabe, K. Ito, "Color universal design", 2008).
STYLE = """
svg { display: block; width: 100%; height: auto }
svg text { font: 13px system-ui, sans-serif; fill: currentColor }
svg .small { font-size: 11px }
svg .end { text-anchor: end }
svg .middle { text-anchor: middle }
.frame { fill: none; stroke: currentColor; stroke-opacity: .5 }
.grid { fill: none; stroke: currentColor; stroke-opacity: .2 }
.asked { fill: none; stroke: #d55e00; stroke-width: 2; stroke-dasharray: 7 3 }
.heard { fill: #009e73; stroke: #009e73 }
.doubt { fill: #009e73; fill-opacity: .03; stroke: #009e73; stroke-opacity: .2 }
.off { stroke: #009e73; stroke-opacity: .6 }
.reported { fill: #0072b2; stroke: #fff; stroke-width: 1 }
.estimated { fill: none; stroke: #b0549a; stroke-width: 1.6; stroke-dasharray: 1 3; stroke-linecap: round }
.spread { fill: #b0549a; fill-opacity: .12 }
.heart { fill: none; stroke: #c1272d; stroke-width: 1.6 }
.goal { fill: none; stroke: currentColor; stroke-width: 2 }
.missing { fill: currentColor; fill-opacity: .1 }
.pause { fill: currentColor; fill-opacity: .14 }
""".strip()


def picture(width: int, height: int, title: str, told: str, parts: Iterable[str]) -> str:
    """A picture with a title, and with what it shows in a sentence for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<desc>{escape(told)}</desc>\n{chr(10).join(parts)}\n</svg>"
    )


def line(points: Sequence[Point], look: str) -> str:
    """A line from point to point; a single point is one that has no length."""
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{look}" points="{way}"/>'


def area(points: Iterable[Point], look: str) -> str:
    """A filled polygon."""
    return f'<polygon class="{look}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def box(x: float, y: float, width: float, height: float, look: str, title: str = "") -> str:
    """A rectangle."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{look}" {place}>{_title(title)}</rect>'


def dot(at: Point, look: str, radius: float = 4.0, title: str = "") -> str:
    """A circle."""
    return f'<circle class="{look}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:g}">{_title(title)}</circle>'


def ellipse(at: Point, radii: Point, look: str) -> str:
    """An ellipse."""
    return (
        f'<ellipse class="{look}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" rx="{max(0.5, radii[0]):.1f}" '
        f'ry="{max(0.5, radii[1]):.1f}"/>'
    )


def diamond(at: Point, look: str, title: str = "") -> str:
    """A square that stands on a corner."""
    x, y = at
    corners = f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"
    return f'<path class="{look}" d="{corners}">{_title(title)}</path>'


def words(x: float, y: float, text: str, look: str = "") -> str:
    """Text that begins at `x`, or as `look` has it."""
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def key(x: float, y: float) -> list[str]:
    """What is what, in a row that begins there and is 420 pixels long."""
    return [
        line([(x, y), (x + 26, y)], "asked"),
        words(x + 32, y + 4, "asked for"),
        dot((x + 113, y), "heard"),
        words(x + 123, y + 4, "heard"),
        diamond((x + 184, y), "reported"),
        words(x + 195, y + 4, "reported"),
        line([(x + 270, y), (x + 296, y)], "estimated"),
        words(x + 302, y + 4, "estimated"),
    ]


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
