"""`musicmed-live models fit-recognizer`: rated pieces are played, heard and learned from."""

import argparse
import csv
from pathlib import Path

import mido
import numpy as np
import pytest

from models.commands import fit_recognizer as command
from models.recognizer.fitting import fit_recognizer, lines
from models.recognizer.measuring import WHOLE, Table
from models.recognizer.pieces import checksum, read_keystrokes, read_pieces
from models.recognizer.regression import fit
from models.recognizer.renderings import SUSTAINED, TIMBRES, Timbre, render, rendering_path
from models.recognizer.validation import validate
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.sampler import Sampler
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.recognition.embedded import EmbeddedRecognizer, load_recognizer
from musicmed_live.recognition.features import RATE, extract
from musicmed_live.recognition.spectrum import FloatArray

TWO = (Timbre("piano", ((0, "piano"),), seconds=6.0), Timbre("harp", ((0, "harp"),), seconds=6.0))


def write_piece(path: Path, seconds_each: float, third: int, bars: int = 3) -> None:
    """Broken triads on C with this third above the bass, in eighths of so many seconds."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)])
    ticks = round(seconds_each * 960)
    for _ in range(bars * max(1, round(2 / seconds_each))):
        for key in (60, 60 + third, 67):
            track += [mido.Message("note_on", note=key, velocity=80), mido.Message("note_off", note=key, time=ticks)]
    mido.MidiFile(type=0, tracks=[track]).save(path)


def write_ratings(folder: Path, pieces: int) -> Path:
    """Pieces whose arousal is their pace and whose valence is their third."""
    (folder / "midi").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["midi", "valence_mean", "arousal_mean", "raters"])
        for at in range(pieces):
            arousal, third = -0.4 + 0.8 * at / pieces, 3 + at % 2
            write_piece(folder / "midi" / f"{at}.mid", 0.45 - 0.35 * arousal, third)
            table.writerow([f"{at}.mid", -0.3 if third == 3 else 0.4, round(arousal, 3), 30])
    return folder


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("rated"), 20)


def test_pieces_come_with_their_ratings_in_the_order_of_the_table(ratings: Path) -> None:
    pieces = read_pieces(ratings)
    assert [piece.path.name for piece in pieces[:3]] == ["0.mid", "1.mid", "2.mid"]
    assert (pieces[1].valence, pieces[1].arousal) == (0.4, -0.36)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "0 pieces; at least 20"),
        ("midi,valence_mean\n" + "0.mid,0.1\n" * 20, "nothing in the column arousal_mean"),
        ("midi,valence_mean,arousal_mean\n" + "none.mid,0.1,0.1\n" * 20, "there is no file"),
        ("midi,valence_mean,arousal_mean\n" + "0.mid,0.1,7\n" * 20, "'7' is not a number from -1 to 1"),
        ("midi,valence_mean,arousal_mean\n" + "0.mid,high,0\n" * 20, "'high' is not a number"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    (tmp_path / "midi").mkdir()
    write_piece(tmp_path / "midi" / "0.mid", 0.5, 4)
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(InvalidInput, match=complaint):
        read_pieces(tmp_path)


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"labels\.csv: cannot be read"):
        read_pieces(tmp_path)


def test_the_checksum_knows_ratings_and_notes(ratings: Path, tmp_path: Path) -> None:
    again = write_ratings(tmp_path / "again", 20)
    assert checksum(read_pieces(again)) == checksum(read_pieces(ratings))
    write_piece(again / "midi" / "3.mid", 0.9, 3)
    assert checksum(read_pieces(again)) != checksum(read_pieces(ratings))


def test_a_key_under_the_pedal_sounds_until_it_is_lifted(tmp_path: Path) -> None:
    track = mido.MidiTrack(
        [
            mido.Message("control_change", control=64, value=127),
            mido.Message("note_on", note=60, velocity=90, time=960),
            mido.Message("note_off", note=60, time=480),
            mido.Message("control_change", control=64, value=0, time=960),
            mido.Message("note_on", note=62, velocity=90),
            mido.Message("note_off", note=62, time=480),
        ]
    )
    mido.MidiFile(type=0, tracks=[track]).save(tmp_path / "pedal.mid")
    first, second = read_keystrokes(tmp_path / "pedal.mid")
    assert [first.start, first.end] == pytest.approx([0.0, 1.5])
    assert [second.start, second.end] == pytest.approx([1.5, 2.0])


@pytest.mark.parametrize(
    "content", [b"", b"MThd", b"RIFF no music at all", b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0"]
)
def test_what_is_no_midi_file_or_has_no_note_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.mid").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"broken\.mid: "):
        read_keystrokes(tmp_path / "broken.mid")


def test_every_timbre_has_a_player_for_every_key() -> None:
    for timbre in (*TIMBRES, *SUSTAINED):
        assert timbre.instruments <= INSTRUMENTS.keys()
        assert all(timbre.player(key) in timbre.instruments for key in range(128))


def test_a_rendering_keeps_the_pace_of_its_piece(ratings: Path) -> None:
    sampler = Sampler()
    slow, fast = (read_pieces(ratings)[at] for at in (0, 18))
    rates = [[extract(render(piece, timbre, sampler))["onset_rate"] for timbre in TWO] for piece in (slow, fast)]
    assert rates[0][0] == pytest.approx(rates[0][1], rel=0.25)
    assert rates[1][0] > 1.3 * rates[0][0]


def test_a_rendering_of_another_recipe_is_another_file(ratings: Path, tmp_path: Path) -> None:
    piece = read_pieces(ratings)[0]
    longer = Timbre("piano", ((0, "piano"),), seconds=7.0)
    assert rendering_path(tmp_path, piece, TWO[0]) != rendering_path(tmp_path, piece, longer)


RANDOM = np.random.default_rng(0)


def made_up(pieces: int, timbres: int, noise: float) -> tuple[Table, FloatArray]:
    """A table whose first two features are the ratings, seen through noise, and whose third is the timbre."""
    ratings = RANDOM.uniform(-0.5, 0.5, (pieces, 2))
    piece, timbre = (grid.ravel() for grid in np.meshgrid(np.arange(pieces), np.arange(timbres)))
    features = np.hstack([ratings[piece], timbre[:, None], RANDOM.normal(size=(len(piece), 3))])
    features[:, :2] += noise * RANDOM.normal(size=(len(piece), 2))
    lengths = np.full(len(piece), WHOLE)
    beginnings = Table(("v", "a", "t", "x", "y", "z"), features, piece, timbre, lengths)
    rows = [beginnings.chosen(timbre == 0)] * 4
    short = [np.full(pieces, seconds) for seconds in (30.0, 12.0, 6.0, 3.0)]
    return Table(
        beginnings.names,
        np.concatenate([features, *(row.features for row in rows)]),
        np.concatenate([piece, *(row.pieces for row in rows)]),
        np.concatenate([timbre, *(row.timbres for row in rows)]),
        np.concatenate([lengths, *short]),
    ), ratings


def test_the_regression_finds_a_relation_and_predicts_other_pieces_by_it() -> None:
    table, ratings = made_up(100, 2, noise=0.0)
    known = table.pieces < 80
    learned = fit(table.features[known], table.pieces[known], table.timbres[known], ratings)
    estimates = learned.estimate(table.features[~known])
    for axis in (0, 1):
        assert np.corrcoef(estimates[:, axis], ratings[table.pieces[~known], axis])[0, 1] > 0.95


def test_a_piece_that_is_played_often_counts_no_more_than_another() -> None:
    features, ratings = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=(30, 2))
    once = fit(features, np.arange(30), np.zeros(30, np.intp), ratings)
    rows = np.r_[0:30, 0:30, 0:30]
    often = fit(features[rows], rows, np.repeat([0, 1, 2], 30), ratings)
    assert often.estimate(features) == pytest.approx(once.estimate(features), abs=1e-6)


def test_ratings_that_nothing_tells_of_are_not_predicted() -> None:
    table, ratings = made_up(60, 2, noise=0.1)
    shuffled = ratings[RANDOM.permutation(len(ratings))]
    assert abs(validate(table, shuffled, TWO, ()).cv_r["arousal"]) < 0.4
    assert validate(table, ratings, TWO, ()).cv_r["arousal"] > 0.9


def test_new_timbres_are_those_none_of_whose_instruments_were_fitted() -> None:
    three = (*TWO, Timbre("duo", ((0, "harp"), (60, "flute"))))
    table, ratings = made_up(40, 3, noise=0.1)
    found = validate(table, ratings, three, ())
    assert set(found.known_timbre_r) == set(found.new_timbre_r) == {"piano", "harp", "duo"}
    assert all(found.new_timbre_r["duo"][axis] > 0.6 for axis in ("valence", "arousal"))


@pytest.fixture(scope="module")
def learned(ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EmbeddedRecognizer, Path]:
    """A recognizer from start to end, and where its renderings are."""
    folder = tmp_path_factory.mktemp("fit")
    validation = fit_recognizer(
        ratings, folder / "renderings", folder / "out" / "coefficients.json", 1, TWO, (), (-0.8, 0.8), (1,)
    )
    assert len(lines(validation)) > 8
    return load_recognizer(folder / "out" / "coefficients.json"), folder / "renderings"


def test_what_was_fitted_hears_the_pieces_as_they_were_rated(
    learned: tuple[EmbeddedRecognizer, Path], ratings: Path
) -> None:
    recognizer, _ = learned
    pieces, sampler = read_pieces(ratings), Sampler()
    heard = [recognizer.judge(render(piece, TWO[1], sampler)).emotion for piece in pieces[:2] + pieces[-2:]]
    assert heard[1].valence > heard[0].valence
    assert min(heard[2].arousal, heard[3].arousal) > max(heard[0].arousal, heard[1].arousal)


def test_where_nothing_can_be_written_it_says_so(ratings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for renderings, out in ((tmp_path / "file/r", tmp_path / "out.json"), (tmp_path / "r", tmp_path / "file/out.json")):
        with pytest.raises(CannotServe, match="file"):
            fit_recognizer(ratings, renderings, out, 1, TWO, (), (-0.8, 0.8), (1,))


def test_no_workers_are_refused(tmp_path: Path) -> None:
    options = argparse.Namespace(ratings=tmp_path, renderings=tmp_path, out=tmp_path / "out.json", workers=0)
    with pytest.raises(InvalidInput, match="--workers: 0"):
        command._run(options)


def test_renderings_are_kept_and_are_sound(learned: tuple[EmbeddedRecognizer, Path], ratings: Path) -> None:
    _, renderings = learned
    kept = [rendering_path(renderings, piece, timbre) for timbre in TWO for piece in read_pieces(ratings)]
    assert all(path.is_file() for path in kept)
    assert len(list(renderings.rglob("*"))) == len(kept) + len(TWO)  # nothing half written
    assert RATE == 22_050
