"""The report of a session: one HTML page that needs nothing else, to be read on a screen, aloud or on paper."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from musicmed_live.core.bounds import Bounds, bounds_object
from musicmed_live.core.emotion import Emotion, parse_emotion
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.judgement import Judgement
from musicmed_live.journal import svg
from musicmed_live.journal.account import Account
from musicmed_live.journal.circumplex import circumplex, letter
from musicmed_live.journal.course import course
from musicmed_live.journal.entries import Entry, Kind
from musicmed_live.journal.features import in_words
from musicmed_live.journal.summary import count, in_short, length
from musicmed_live.journal.wording import changes, who

BOUNDS = ("region", "tempo_bpm", "loudest_lufs", "loudest_dba")
REASONS = 3  # features that are named for each clip
MISSING = "–"
TOLD = (Kind.OPENED, Kind.EVENT, Kind.DECISION, Kind.CUT, Kind.UNDERRUN, Kind.RESUMED, Kind.ENDED)

NOTE = (
    "What was heard is the judgement of a program that was fitted on people's ratings of other music, with its doubt; "
    "nobody listened to these clips for this page. The music relaxes; it diagnoses and treats nothing, and so does "
    "this page."
)
KEY = (
    "Valence goes from -1, unpleasant, to 1, pleasant; arousal from -1, calm, to 1, activated. ± is one standard "
    "deviation. Off by: how far what was heard lies from what was asked for, in the same units, the axis that is known "
    "better weighing more."
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1.5rem 4rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem }
h2 { font-size: 1.2rem; margin-top: 2rem }
figure { margin: 1rem 0 }
.plane { max-width: 38rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
caption { text-align: left; padding-bottom: .4rem }
th, td { border-bottom: 1px solid #8886; padding: .25rem .5rem; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.wide { overflow-x: auto }
.wide svg { min-width: 44rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }
dt { font-weight: 600 }
dd { margin: 0 }
@page { size: A4; margin: 12mm }
@media print {
  :root { color-scheme: light }
  body { max-width: none; padding: 0; font-size: 9.5pt; line-height: 1.35 }
  h1 { font-size: 15pt }
  h2 { font-size: 11.5pt; margin: .8rem 0 0; break-after: avoid }
  p { margin: .25rem 0 }
  table { font-size: 7.5pt }
  .plane { max-width: 8cm; margin: .2rem auto }
  figure { margin: .2rem 0 }
  figure, tr { break-inside: avoid }
  .wide { overflow: visible }
  .wide svg { min-width: 0 }
}
""".strip()


def page(account: Account) -> str:
    """The page as HTML."""
    title = f"Session of {account.sitting.patient}, {_utc(account.sitting.opened_at, '%Y-%m-%d %H:%M')} UTC"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _paragraphs(in_short(account)),
        *_section("The way through the plane", f'<figure class="plane">{circumplex(account)}</figure>'),
        *_section("Over time", f'<figure class="wide" tabindex="0">{course(account)}</figure>'),
        *_section("What was planned", _definitions(_planned(account))),
        *_section("What was heard", _clips(account)),
        *_section("What happened", _events(account)),
        *_section("How to read this", _paragraphs([KEY, NOTE])),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n{svg.STYLE}\n</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _planned(account: Account) -> Iterator[tuple[str, str]]:
    opened = account.opened
    yield "from", MISSING if opened["start"] is None else _point(parse_emotion(opened["start"], "start"))
    yield "to", _point(parse_emotion(opened["goal"], "goal"))
    yield "length", "open-ended" if opened["frames"] is None else length(opened["frames"] / SAMPLE_RATE)
    yield "rules", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _rules(opened["rules"]))
    for name in ("instruments", "style"):
        wishes = [f"{word} {', '.join(opened[name][word])}" for word in ("prefer", "forbid") if opened[name][word]]
        yield name, "; ".join(wishes) or "all free"
    if "plan" in opened:  # journals of earlier versions have none
        yield "bounds", changes(_limited(opened["plan"])) or "nothing is limited"
    generator = opened["generator"]
    yield "generator", ", ".join(str(part) for part in (generator["name"], generator["model"]) if part)
    yield "seed", str(opened["seed"])
    yield "made with", ", ".join(f"{name} {number}" for name, number in opened["versions"].items())
    yield "session", account.sitting.id


def _limited(plan: dict[str, Any]) -> dict[str, Any]:
    free = bounds_object(Bounds())
    return {name: plan[name] for name in BOUNDS if plan[name] != free[name]}


def _rules(rules: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in rules.items():
        if name == "hold_frames":
            yield "hold", length(value / SAMPLE_RATE)
        else:
            yield name, value


def _clips(account: Account) -> str:
    if not account.clips:
        return "<p>Nothing.</p>"
    columns = ("clip", "at", "length", "asked for", "heard", "off by", "because of", "by", "key, tempo, instruments")
    rows = []
    for number, clip in enumerate(account.clips, 1):
        off = MISSING if clip.miss is None else f"{clip.miss:.2f}"
        played = [clip.key or "", "" if clip.tempo_bpm is None else f"{clip.tempo_bpm:.0f} bpm", *clip.instruments]
        rows.append(
            (
                str(number),
                length(clip.position / SAMPLE_RATE),
                length(clip.frames / SAMPLE_RATE),
                _point(clip.asked),
                "not judged" if clip.heard is None else _judged(clip.heard),
                off,
                MISSING if clip.heard is None else _reasons(clip.heard),
                clip.generator,
                ", ".join(part for part in played if part) or MISSING,
            )
        )
    caption = "Every clip, in order; times are minutes and seconds of music. Emotions are valence, arousal."
    return _table(caption, columns, rows, numbers=(0, 1, 2, 5))


def _events(account: Account) -> str:
    """Everything but what repeats itself, and the clips, which have a table of their own."""
    letters = iter(range(len(account.reports)))
    rows = []
    for entry in account.of_kind(*TOLD):
        what, detail = _told(entry)
        if entry.kind is Kind.EVENT and entry.body["event"] == "report":
            what = f"report {letter(next(letters))}"
        at = length(entry.position / SAMPLE_RATE)
        rows.append((_utc(entry.at, "%H:%M:%S"), at, who(entry.body), what, detail))
    caption = "In order, with the time of day (UTC) and the place in the music."
    return _table(caption, ("time", "music", "by", "what", ""), rows, numbers=(0, 1))


def _told(entry: Entry) -> tuple[str, str]:
    """An entry in words: what it is, and what there is to say of it."""
    body = entry.body
    match entry.kind:
        case Kind.EVENT if body["event"] in ("report", "goal"):
            return body["event"], _point(Emotion(body["valence"], body["arousal"]))
        case Kind.EVENT:
            return body["event"].replace("_", " "), changes(body)
        case Kind.DECISION:
            return body["phase"].replace("_", " "), body["why"]
        case Kind.CUT:
            return "music changed", f"because of: {body['reason'].replace('_', ' ')}"
        case Kind.UNDERRUN:
            return "music was late", count(body["times"], "time")
        case Kind.RESUMED:
            return "went on", f"after {body['seconds']:g} s without its server"
        case Kind.ENDED:
            return "ended", body["reason"].replace("_", " ")
        case _:
            return entry.kind.value, ""


def _point(emotion: Emotion) -> str:
    return f"{_signed(emotion.valence)}, {_signed(emotion.arousal)}"


def _judged(heard: Judgement) -> str:
    at = heard.emotion
    told = f"{_signed(at.valence)} ± {heard.valence_sd:.2f}, {_signed(at.arousal)} ± {heard.arousal_sd:.2f}"
    return told.replace(" ±", "\N{NO-BREAK SPACE}±").replace("± ", "±\N{NO-BREAK SPACE}")


def _reasons(heard: Judgement) -> str:
    told = [f"{in_words(reason.feature)} ({reason.axis} {_signed(reason.adds)})" for reason in heard.reasons[:REASONS]]
    return ", ".join(told) or MISSING


def _signed(number: float) -> str:
    """Two decimals, with a sign that is as wide as a plus."""
    return f"{number:+.2f}".replace("-", "−")


def _utc(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _section(heading: str, content: str) -> tuple[str, str]:
    return f"<h2>{escape(heading)}</h2>", content


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f"<p>{escape(text)}</p>" for text in texts)


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>\n" + "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "\n</dl>"


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td class="number">{escape(cell)}</td>' if i in numbers else f"<td>{escape(cell)}</td>"
            for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0"><table>\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )
