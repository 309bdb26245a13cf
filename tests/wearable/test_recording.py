"""Recordings: what is one, what is refused, and how it is played."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.errors import Refused
from clients.wearable.reading import HeartRate
from clients.wearable.recording import Recording, parse


def test_rows_are_told_at_their_time_since_the_first() -> None:
    text = "at,bpm,rr_ms\n1700000000.5,72,833 840.5\n1700000001.5,,\n1700000002.5,,850\n1700000003,71,\n"
    assert parse(text) == [
        (0.0, HeartRate(72, (833.0, 840.5))),
        (2.0, HeartRate(None, (850.0,))),
        (2.5, HeartRate(71)),
    ]


@given(st.lists(st.floats(300, 2000), min_size=1, max_size=50))
def test_bare_intervals_are_told_one_by_one_when_their_beat_comes(intervals: list[float]) -> None:
    told = parse("\n".join(map(repr, intervals)))
    assert [reading.rr_ms[0] for _, reading in told] == intervals
    assert told[-1][0] == pytest.approx(sum(intervals) / 1000)


def test_an_artefact_takes_its_time_and_is_not_told() -> None:
    assert parse("1000\n8000\n1000\n") == [(1.0, HeartRate(None, (1000.0,))), (10.0, HeartRate(None, (1000.0,)))]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("time,hr\n1,2\n", "line 1: 'time,hr' is neither"),
        ("at,bpm,rr_ms\n", "no heart beats"),
        ("at,bpm,rr_ms\n1,72\n", "line 2: 2 cells"),
        ("at,bpm,rr_ms\nnow,72,\n", "line 2: 'now' is not a number"),
        ("at,bpm,rr_ms\n1,72,800 x\n", "line 2: 'x' is not a number"),
        ("at,bpm,rr_ms\n5,72,\n\n4,72,\n", "line 4: at goes back from 5.000 to 4.000"),
        ("800\nnan\n", "line 2: 'nan' is not a number"),
        ("800\n-5\n", "line 2: an interval of -5 ms"),
        ("7\n5\n", "no heart beats"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_line(text: str, what: str) -> None:
    with pytest.raises(Refused, match=what):
        parse(text)


@given(st.text(alphabet="at,bpmr_s 0123456789.\n-e", max_size=200))
def test_any_text_is_a_recording_or_refused(text: str) -> None:
    try:
        told = parse(text)
    except Refused:
        return
    assert all(second >= 0 for second, _ in told)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nothing\.csv cannot be read: No such file"):
        Recording(tmp_path / "nothing.csv", 1)
    sound = tmp_path / "sound.wav"
    sound.write_bytes(b"RIFF\xff\xff")
    with pytest.raises(Refused, match="it is not text"):
        Recording(sound, 1)
    note = tmp_path / "note.txt"
    note.write_text("hello")
    with pytest.raises(Refused, match=r"note\.txt, line 1: 'hello'"):
        Recording(note, 1)


async def test_it_is_played_from_the_beginning_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "rest.csv"
    file.write_text("at,bpm,rr_ms\n0,60,1000\n1,61,980\n", "utf-8-sig")
    recording = Recording(file, speed=100)
    async with recording.open() as packets:
        assert [packet async for packet in packets] == [HeartRate(60), HeartRate(61)]
    assert recording.name == "rest.csv"


async def test_faster_than_it_was_made_it_tells_rates_only(tmp_path: Path) -> None:
    file = tmp_path / "rest.csv"
    file.write_text("at,bpm,rr_ms\n0,,1000 1000\n0.01,61,980\n")
    for speed, told in (
        (1, [HeartRate(None, (1000.0, 1000.0)), HeartRate(61, (980.0,))]),
        (2, [HeartRate(60), HeartRate(61)]),
    ):
        async with Recording(file, speed).open() as packets:
            assert [packet async for packet in packets] == told
