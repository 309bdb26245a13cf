"""The page of an evaluation: figures, pictures and every clip to listen to. One static file beside the sounds."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from models.chart import STYLE, plane

Content = Mapping[str, Any]  # what `evaluation.json` holds

NOTE = (
    "Recognizers stand in for listeners here: each is a program that was fitted on people's ratings of other music. "
    "Nobody has listened to these clips for this page. The sounds are below, so that you can."
)
KEY = (
    "r: how well what is heard follows what was asked for, over all clips; in brackets its 95 % confidence interval. "
    "Slope: how far it follows, 1 being all the way. Right quadrant: of the clips off the axes; about the mean: with "
    "the mean of what is heard as the middle. Crosstalk: the larger r, in magnitude, of one axis with the other's wish."
)
_PAGE_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 0 auto; padding: 1rem 1.5rem 4rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.wide { overflow-x: auto }
.planes { display: flex; flex-wrap: wrap; gap: 1rem }
audio { width: 13rem; height: 2.2rem; display: block }
.clip { margin-bottom: .6rem }
.clip p { margin: 0; font-size: .85rem }
""".strip()


def page(content: Content) -> str:
    """The page as HTML."""
    sides, judges = list(content["sides"]), list(content["judges"])
    parts = [
        "<h1>Does the music carry the emotion?</h1>",
        f"<p>{escape(_what(content))}</p>\n<p>{escape(NOTE)}</p>\n<p>{escape(KEY)}</p>",
        *(_of_judge(content, judge, sides) for judge in judges),
        _tags(content, judges, sides),
        _clap(content["clap"]),
        _sounds(content, judges),
        _made_of(content),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Does the music carry the emotion?</title>\n<style>\n{_PAGE_STYLE}\n{STYLE}\n</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def number(value: float | None, digits: int = 2) -> str:
    """A figure as people read it; what is not known is a dash."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # never -0.00


def interval(value: Content) -> str:
    """A figure with its 95 % confidence interval."""
    if value["low"] is None:
        return number(value["value"])
    return f"{number(value['value'])} ({number(value['low'])} to {number(value['high'])})"


def figure_rows(figures: Content) -> list[tuple[str, str]]:
    """Name and text of each figure of one judge on one side."""
    return [
        ("clips", f"{figures['clips']}" + (f", and {figures['unheard']} unheard" if figures["unheard"] else "")),
        ("valence, r", interval(figures["valence"]["r"])),
        ("arousal, r", interval(figures["arousal"]["r"])),
        ("valence, slope", number(figures["valence"]["slope"])),
        ("arousal, slope", number(figures["arousal"]["slope"])),
        ("valence, mean error", number(figures["valence"]["mean_error"])),
        ("arousal, mean error", number(figures["arousal"]["mean_error"])),
        ("right quadrant", interval(figures["quadrants"])),
        ("right quadrant about the mean", number(figures["quadrants_about_mean"])),
        ("crosstalk, r", number(figures["crosstalk_r"])),
    ]


def tag_rows(figures: Content) -> list[tuple[str, str]]:
    """The same of the mood tags."""
    tags = figures["tags"]
    return [(name.replace("_", " "), number(tags[name])) for name in tags if name != "clips"]


def file_rows(content: Content) -> list[tuple[str, str, str]]:
    """Owner, name and sum of the files that sides and judges are made of: an adapter's without its base's."""
    base = content["sides"].get("base", {})
    owners = {**content["sides"], **content["judges"]}
    return [
        (owner, name, value)
        for owner, files in owners.items()
        for name, value in files.items()
        if owner == "base" or base.get(name) != value
    ]


def side_by_side(columns: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, ...]]:
    """Rows of one name and the texts of several sides, of the rows of each side."""
    return [(rows[0][0], *(text for _, text in rows)) for rows in zip(*columns, strict=True)]


def grid_words(content: Content) -> str:
    """What was asked for, in a sentence."""
    levels, seeds, seconds = (content["grid"][name] for name in ("levels", "seeds", "seconds"))
    return (
        f"{len(levels)} x {len(levels)} emotions from {levels[0]:g} to {levels[-1]:g}; clips for each: {len(seeds)}, "
        f"{seconds:g} s long."
    )


def _what(content: Content) -> str:
    players, judges = ", ".join(content["sides"]), ", ".join(content["judges"])
    return f"{grid_words(content)} Played by: {players}. Judged at one loudness by: {judges}."


def _of_judge(content: Content, judge: str, sides: Sequence[str]) -> str:
    planes = [
        plane([clip for clip in content["clips"] if clip["side"] == side], judge, f"{side}, heard by {judge}")
        for side in sides
    ]
    columns = [figure_rows(content["figures"][side][judge]) for side in sides]
    gains = content["gains"].get(judge)
    added = ""
    if gains:
        added = "".join(
            f"<p>The adapter adds {interval(gains[name])} to r of {name.removesuffix('_r')} (paired bootstrap).</p>"
            for name in gains
        )
    return (
        f"<section>\n<h2>Heard by {escape(judge)}</h2>\n"
        "<p>Orange rings: asked for. Blue: heard, a small dot for each clip, a large one for their mean.</p>\n"
        f'<div class="planes">\n{chr(10).join(planes)}\n</div>\n'
        f"{_table(['', *sides], side_by_side(columns))}\n{added}\n</section>"
    )


def _tags(content: Content, judges: Sequence[str], sides: Sequence[str]) -> str:
    rows = []
    for judge in judges:
        columns = [tag_rows(content["figures"][side][judge]) for side in sides]
        rows += [(f"{judge}: {row[0]}", *row[1:]) for row in side_by_side(columns)]
    return (
        "<section>\n<h2>Mood tags</h2>\n<p>Tags that were asked for against tags that were heard. Of a recognizer that "
        "knows no tags, those are taken that would have been asked for where it heard the music to be.</p>\n"
        f"{_table(['', *sides], rows)}\n</section>"
    )


def _clap(found: Content) -> str:
    if "absent" in found:
        body = f"<p>{escape(found['absent'])}.</p>"
    else:
        scores = found["scores"]
        rows = [(side, number(scores[side]["own_text"], 3), number(scores[side]["other_texts"], 3)) for side in scores]
        body = _table(["", "with its own text", "with the other texts"], rows)
    return f"<section>\n<h2>Text and sound (CLAP score)</h2>\n{body}\n</section>"


def _sounds(content: Content, judges: Sequence[str]) -> str:
    """A table as the plane is drawn, arousal upwards, valence to the right; in each cell all sides, to compare."""
    levels = content["grid"]["levels"]
    head = "".join(f'<th scope="col">valence {_signed(level)}</th>' for level in levels)
    rows = []
    for arousal in reversed(levels):
        cells = "".join(f"<td>{_cell(content, valence, arousal, judges)}</td>" for valence in levels)
        rows.append(f'<tr><th scope="row">arousal {_signed(arousal)}</th>{cells}</tr>')
    return (
        "<section>\n<h2>The sounds</h2>\n<p>Below each clip: the valence and arousal that were heard.</p>\n"
        f'<div class="wide"><table>\n<thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>\n</section>"
    )


def _cell(content: Content, valence: float, arousal: float, judges: Sequence[str]) -> str:
    here = [clip for clip in content["clips"] if (clip["valence"], clip["arousal"]) == (valence, arousal)]
    return "".join(_clip(clip, judges) for clip in sorted(here, key=lambda clip: int(clip["seed"])))


def _clip(clip: Content, judges: Sequence[str]) -> str:
    name = f"{clip['side']}, seed {clip['seed']}"
    place = f"valence {_signed(clip['valence'])}, arousal {_signed(clip['arousal'])}"
    heard = "".join(f"<p>{escape(_heard(judge, clip['heard'][judge]))}</p>" for judge in judges)
    return (
        f'<div class="clip"><p>{escape(name)}</p><audio controls preload="none" src="{escape(clip["file"])}" '
        f'aria-label="{escape(f"{name}, {place}")}"></audio>{heard}</div>'
    )


def _signed(level: float) -> str:
    return f"{level:+g}" if level else "0"


def _heard(judge: str, opinion: Content) -> str:
    if "unheard" in opinion:
        return f"{judge}: {opinion['unheard']}"
    return f"{judge}: {opinion['valence']:+.2f}, {opinion['arousal']:+.2f}"


def _made_of(content: Content) -> str:
    software = ", ".join(f"{name} {version}" for name, version in content["software"].items())
    table = _table(["", "file", "SHA-256, or version"], file_rows(content))
    return f"<section>\n<h2>Made with</h2>\n<p>{escape(software)}</p>\n{table}\n</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = []
    for first, *others in rows:
        cells = "".join(f'<td class="number">{escape(text)}</td>' for text in others)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    body = f"<thead><tr>{top}</tr></thead>\n<tbody>\n{chr(10).join(lines)}\n</tbody>"
    return f'<div class="wide"><table>\n{body}</table></div>'
