"""The report of a session: the account of it, the page, and the table."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.plan import Plan, plan_object
from musicmed_live.errors import InvalidInput
from musicmed_live.journal import features
from musicmed_live.journal.account import Account, account_of, unbroken
from musicmed_live.journal.circumplex import circumplex, letter
from musicmed_live.journal.course import course
from musicmed_live.journal.entries import Entry, Kind, Sitting
from musicmed_live.journal.features import in_words
from musicmed_live.journal.page import page
from musicmed_live.journal.summary import in_short
from musicmed_live.journal.table import COLUMNS, table
from musicmed_live.recognition.embedded import load_recognizer
from tests.journal.stories import ANNA, CLIP_FRAMES, NOON, clip, done, entry, heard, opened, point, reading, story


def told(*entries: Entry) -> Account:
    """The account of a session in which that happened."""
    ended = entries[-1].at if entries and entries[-1].kind is Kind.ENDED else None
    return account_of(Sitting(ANNA, "anna", NOON, ended), [entry(0, Kind.OPENED, opened()), *entries])


@pytest.fixture(scope="module")
def whole() -> Account:
    return account_of(Sitting(ANNA, "anna", NOON, NOON + 900), story())


NEVER_PLAYED = told()
SAD, GLAD = point(-0.6, -0.2), point(0.6, 0.2)


class Checker(HTMLParser):
    """Notes what a page refers to, and whether its elements are closed in order."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: dict[str, int] = {}
        self.references: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found[tag] = self.found.get(tag, 0) + 1
        self.references += [value or "" for name, value in attributes if name in ("href", "src", "srcset", "style")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_clip_is_as_long_as_it_was_heard() -> None:
    account = told(
        entry(0, Kind.CLIP, clip(SAD, SAD, None)),
        entry(10, Kind.CLIP, clip(GLAD, GLAD, None)),
        entry(200, Kind.CUT, {"reason": "report"}),
        entry(25, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0}),
    )
    assert [clip.frames / SAMPLE_RATE for clip in account.clips] == [10, 15]
    assert account.heard_seconds == 25


def test_a_judgement_that_comes_later_belongs_to_its_clip() -> None:
    later = entry(14, Kind.JUDGED, {"heard": heard(-0.5, -0.2)}, position=0)
    account = told(entry(0, Kind.CLIP, clip(SAD, SAD, None)), later, entry(30, Kind.CLIP, clip(SAD, GLAD, None)))
    assert [clip.heard is not None for clip in account.clips] == [True, False]
    assert account.clips[0].miss == pytest.approx(0.1 * (2 * 0.3**-2 / (0.3**-2 + 0.2**-2)) ** 0.5)
    assert account.mean_miss == account.clips[0].miss


def test_what_was_played_in_a_clip_is_what_was_heard_of_it_in_the_end() -> None:
    over = {"known_from": 0, "key": "G ionian", "tempo_bpm": 80.0, "instruments": ["flute"]}
    account = told(
        entry(0, Kind.CLIP, clip(SAD, SAD, None)),
        entry(30, Kind.CLIP, clip(SAD, SAD, None)),
        entry(30, Kind.PLAYED, over, position=0),
        entry(60, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0}),
    )
    assert "G ionian, 80 bpm, flute" in page(account)
    rows = [row for row in csv.DictReader(io.StringIO(table(account))) if row["what"] == "asked"]
    played = [(row["key"], float(row["tempo_bpm"]), row["instruments"]) for row in rows]
    assert played == [("G ionian", 80.0, "flute"), ("D dorian", 96.0, "piano, strings")], "a clip that nobody completed"


def test_what_was_heard_of_a_clip_from_two_servers_adds_up() -> None:
    later = {"known_from": 20 * SAMPLE_RATE, "key": "D dorian", "tempo_bpm": 96.2, "instruments": ["flute", "piano"]}
    account = told(entry(0, Kind.CLIP, clip(SAD, SAD, None)), entry(30, Kind.PLAYED, later, position=0))
    assert account.clips[0].instruments == ("flute", "piano", "strings")
    assert account.clips[0].tempo_bpm == 96.0


def test_a_report_is_held_against_the_music_of_its_place() -> None:
    account = told(
        entry(0, Kind.CLIP, clip(SAD, GLAD, None)),
        done(15, "report", valence=0.0, arousal=0.5),
        entry(20, Kind.CLIP, clip(GLAD, GLAD, None)),
        done(21, "report", **GLAD),
        entry(30, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0}),
        done(40, "report", **SAD),
    )
    assert account.gaps == pytest.approx([0.5, 0.0])


def test_the_mean_miss_weighs_clips_by_how_long_they_were_heard() -> None:
    hit, off = heard(-0.6, -0.2), heard(0.0, -0.2)
    account = told(
        entry(0, Kind.CLIP, clip(SAD, SAD, hit)),
        entry(30, Kind.CLIP, clip(SAD, SAD, off)),
        entry(40, Kind.CLIP, clip(SAD, SAD, None)),
        entry(70, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0}),
    )
    assert account.clips[1].miss is not None
    assert account.mean_miss == pytest.approx(account.clips[1].miss * 10 / 40)


def test_the_goal_is_the_last_one_that_was_set() -> None:
    assert told().goal == Emotion(0.56, -0.31)
    assert told(done(5, "goal", "therapist", valence=0.1, arousal=0.2)).goal == Emotion(0.1, 0.2)


def test_a_heart_rate_is_broken_off_where_it_is_missing() -> None:
    beats = [reading(70.0, 1.0), reading(71.0, 1.0), reading(None, 0.0), reading(72.0, 1.0), reading(73.0, 1.0)]
    times = [0, 10, 20, 30, 90]
    account = told(*(entry(at, Kind.READING, beat) for at, beat in zip(times, beats, strict=True)))
    assert [[bpm for _, bpm in run] for run in unbroken(account.beats)] == [[70, 71], [72], [73]]


def test_a_session_in_short(whole: Account) -> None:
    sentences = " ".join(in_short(whole))
    assert "15:00 min of music was heard, in 30 clips, made by: composer." in sentences
    assert "Judged: 27 of 30 clips." in sentences
    assert whole.mean_miss is not None
    assert f"lay {whole.mean_miss:.2f} from what was asked for" in sentences
    assert "The patient said 5 times how they felt: at first 1.61 from the goal, at last 0.44 from it." in sentences
    assert "The heart rate was known for 11:40 min" in sentences
    assert "The music was late 2 times." in sentences
    assert "missing" not in sentences


def test_what_is_missing_is_said() -> None:
    sentences = in_short(told(entry(0, Kind.CLIP, clip(SAD, SAD, None)), entry(9, Kind.ESTIMATE, heard(0, 0))))
    assert "0:09 min of music was heard, in 1 clip, made by: composer." in sentences
    assert "How well the music matched is not known. Judged: 0 of 1 clip." in sentences
    assert "Whether the music led is not known: the patient said nothing about their mood." in sentences
    assert "The heart rate is missing: none was measured that was to be trusted." in sentences
    assert sentences[-1].startswith("The end is missing")


def test_a_session_that_never_played_has_a_page_that_says_so() -> None:
    text = page(NEVER_PLAYED)
    Checker(text)
    assert "This session never played" in text
    assert "no heart rate was measured" in text
    assert table(NEVER_PLAYED).count("\r\n") == 2


def test_the_page_is_whole_and_needs_nothing_else(whole: Account) -> None:
    text = page(whole)
    checked = Checker(text)
    assert checked.references == []
    assert not re.search(r"https?://|url\(|@import|<script", text)
    assert (checked.found["h1"], checked.found["main"], checked.found["svg"], checked.found["table"]) == (1, 1, 2, 2)
    assert '<html lang="en">' in text


def test_every_clip_has_a_row_with_what_was_asked_for_what_was_heard_and_why(whole: Account) -> None:
    text = page(whole)
    row = next(
        line.replace("\N{NO-BREAK SPACE}", " ")
        for line in text.splitlines()
        if line.startswith('<tr><td class="number">1</td>')
    )
    for cell in (
        "−0.58, +0.58",
        "−0.48 ± 0.30, +0.48 ± 0.20",
        "tempo (arousal +0.21)",
        "major rather than minor (valence −0.12)",
    ):
        assert f"<td>{cell}</td>" in row or cell in row
    assert "D dorian, 96 bpm, piano, strings" in row
    assert text.count("not judged") == 3


def test_pictures_have_a_name_and_words_for_those_who_do_not_see_them(whole: Account) -> None:
    for drawn in (circumplex(whole), course(whole), circumplex(NEVER_PLAYED), course(NEVER_PLAYED)):
        picture = ElementTree.fromstring(drawn)
        assert picture.get("role") == "img"
        assert picture.get("aria-label") == picture.findtext("title")
        assert picture.findtext("desc")


def test_every_emotion_is_drawn_where_it_is() -> None:
    account = told(
        done(1, "report", valence=-1, arousal=1),
        entry(0, Kind.CLIP, clip(SAD, GLAD, heard(1.0, -1.0))),
        entry(30, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0}),
    )
    picture = ElementTree.fromstring(circumplex(account))
    square = next(box for box in picture.iter("rect") if box.get("class") == "frame")
    frame = {side: float(square.get(side, 0)) for side in ("x", "y", "width", "height")}
    dots = [dot for dot in picture.iter("circle") if dot.get("class") == "heard" and len(dot)]
    right, bottom = frame["x"] + frame["width"], frame["y"] + frame["height"]
    assert [(float(dot.get("cx", 0)), float(dot.get("cy", 0))) for dot in dots[-1:]] == [(right, bottom)]
    reports = [mark.get("d", "") for mark in picture.iter("path") if mark.findtext("title") == "report A"]
    assert reports == [f"M{frame['x']:.1f} {frame['y'] - 6:.1f}l6 6l-6 6l-6 -6z"]


def test_reports_are_lettered() -> None:
    assert [letter(number) for number in (0, 25, 26, 52)] == ["A", "Z", "A2", "A3"]


def test_a_hostile_name_of_a_thing_stays_text() -> None:
    evil = '<script>alert("1")</script>'
    body = {**clip(SAD, GLAD, heard(0.1, 0.1)), "instruments": [evil], "key": evil, "generator": evil}
    account = told(entry(0, Kind.CLIP, body), done(1, "rules", evil, step=evil))
    text = page(account)
    Checker(text)
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_the_table_has_a_row_for_everything_that_has_a_time(whole: Account) -> None:
    rows = list(csv.DictReader(io.StringIO(table(whole))))
    assert list(rows[0]) == list(COLUMNS)
    by_kind = {kind.value: [row for row in rows if row["kind"] == kind] for kind in Kind}
    assert len(by_kind["clip"]) == 30 + 24, "what was asked for, and what was heard where that was known"
    assert len(by_kind["reading"]) == len(whole.beats)
    report = next(row for row in by_kind["event"] if row["what"] == "report")
    assert (report["by"], float(report["valence"]), float(report["arousal"])) == ("patient", -0.7, 0.7)
    assert report["time_utc"].endswith("+00:00")
    assert by_kind["reading"][0]["heart_rate_bpm"] == "92.0"


def test_a_session_that_went_on_after_its_server_was_closed_has_not_ended_until_it_does() -> None:
    closed = entry(60, Kind.ENDED, {"reason": "server_closed", "underruns": 0, "bridges": 0})
    resumed = entry(63, Kind.RESUMED, {"seconds": 3.0, "version": "0.1.0"})
    ended = entry(90, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0})
    music = entry(0, Kind.CLIP, clip(SAD, GLAD, None))
    assert told(music, closed).ended == closed.body
    assert told(music, closed, resumed).ended is None
    assert told(music, closed, resumed, ended).ended == ended.body
    text = page(told(music, closed, resumed))
    assert "after 3 s without its server" in text
    assert "the session still plays" in text
    rows = list(csv.DictReader(io.StringIO(table(told(music, closed, resumed)))))
    assert [row["kind"] for row in rows][-2:] == ["ended", "resumed"]


def test_what_a_therapist_did_is_told_with_the_name_and_in_words() -> None:
    region = {"valence": [-0.5, 1.0], "arousal": [-1.0, 0.5]}
    bounds = {"region": region, "tempo_bpm": [50, 80], "loudest_lufs": None, "forbid": ["flute", "oboe"]}
    account = told(done(0, "play"), done(9, "bounds", "therapist", name="Ada", **bounds), done(20, "rest", "server"))
    words = "region valence -0.5 to 1 and arousal -1 to 0.5, tempo 50 to 80 bpm, loudness free, forbid flute and oboe"
    text = page(account)
    assert "therapist (Ada)" in text
    assert words in text
    row = next(row for row in csv.DictReader(io.StringIO(table(account))) if row["what"] == "bounds")
    assert (row["by"], row["detail"]) == ("therapist (Ada)", words)
    drawn = course(account)
    assert drawn.count(">bounds<") == 1
    assert drawn.count(">paused<") == 1, "a planned pause is one, too"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, "nothing is limited"),
        ({"tempo_bpm": (50.0, 80.0)}, "tempo 50 to 80 bpm"),
        ({"loudest_lufs": -24.0, "loudest_dba": 60.0}, "loudness at most -24 LUFS, sound level at most 60 dB(A)"),
        ({"region": Region((-1.0, 0.5), (-1.0, 0.0))}, "region valence -1 to 0.5 and arousal -1 to 0"),
    ],
)
def test_of_the_bounds_the_page_names_what_is_limited(bounds: dict[str, Any], words: str) -> None:
    plan = plan_object(Plan(None, Emotion(0.56, -0.31), None, 7, bounds=Bounds().changed(bounds)))
    first = entry(0, Kind.OPENED, opened(plan=json.loads(json.dumps(plan))))
    assert f"<dt>bounds</dt><dd>{words}</dd>" in page(account_of(Sitting(ANNA, "anna", NOON, None), [first]))


def test_what_the_recognizer_listens_for_has_words_and_what_another_does_its_name() -> None:
    names = load_recognizer().coefficients.features
    assert set(names) <= set(features.WORDS)
    assert len({in_words(name) for name in names}) == len(names), "no two have the same"
    assert in_words("happy_mood") == "happy mood"


def test_a_session_of_which_nothing_is_kept_any_more_has_no_account() -> None:
    with pytest.raises(InvalidInput, match="nothing is kept"):
        account_of(Sitting(ANNA, "anna", NOON, None), [])


def test_a_clip_may_be_of_any_length_and_a_session_of_any() -> None:
    account = told(*(entry(30 * n, Kind.CLIP, clip(SAD, GLAD, None, 2 * CLIP_FRAMES)) for n in range(480)))
    assert len(account.clips) == 480
    Checker(page(account))
