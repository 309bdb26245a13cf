"""The score: in bounds, in range, obedient, and one piece from the first bar to the last."""

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.composer.expression import melody_centre
from musicmed_live.composer.form import RONDO, theme_label
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.level import predict_lufs
from musicmed_live.composer.melody import theme
from musicmed_live.composer.preferences import Ensemble, choose_ensemble
from musicmed_live.composer.score import Bar
from musicmed_live.composer.writer import Ending, Thread, write_bar
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference

EVERYBODY = choose_ensemble()
BEAT = 24_000
coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)
seeds = st.integers(0, 2**63 - 1)
names = st.sampled_from(sorted(INSTRUMENTS))


def write(
    seed: int, emotions: Sequence[Emotion], ensemble: Ensemble = EVERYBODY, beats_per_bar: int = 4
) -> list[tuple[Bar, Thread]]:
    """One bar for each emotion, with the thread after it."""
    thread, position, written = Thread(seed), 0, []
    for emotion in emotions:
        beats = tuple(position + BEAT * beat for beat in range(beats_per_bar + 1))
        bar, thread = write_bar(thread, emotion, ensemble, beats, 120.0)
        written.append((bar, thread))
        position = beats[-1]
    return written


@settings(max_examples=60)
@given(seeds, st.lists(emotions, min_size=1, max_size=6), st.integers(1, 4))
def test_notes_lie_in_their_bar_and_in_their_instrument(seed: int, path: list[Emotion], beats_per_bar: int) -> None:
    for bar, _ in write(seed, path, beats_per_bar=beats_per_bar):
        assert bar.notes
        assert list(bar.notes) == sorted(bar.notes, key=lambda note: note.position)
        for note in bar.notes:
            player = INSTRUMENTS[note.instrument]
            assert bar.beats[0] <= note.position < bar.beats[-1]
            assert note.frames > 0
            assert player.lowest <= note.key <= player.highest
            assert 1 <= note.velocity <= 127


@settings(max_examples=60)
@given(seeds, st.lists(emotions, min_size=1, max_size=6), st.sets(names, max_size=len(INSTRUMENTS) - 1))
def test_forbidden_instruments_never_play_and_something_always_does(
    seed: int, path: list[Emotion], forbidden: set[str]
) -> None:
    ensemble = choose_ensemble(Preference(forbid=tuple(sorted(forbidden))))
    for bar, _ in write(seed, path, ensemble):
        assert bar.notes
        assert not forbidden & {note.instrument for note in bar.notes}


@given(seeds, names)
def test_one_allowed_instrument_is_enough_for_music(seed: int, allowed: str) -> None:
    ensemble = choose_ensemble(Preference(forbid=tuple(name for name in INSTRUMENTS if name != allowed)))
    for bar, _ in write(seed, [Emotion(-0.5, 0.5), Emotion(0.5, -0.5), Emotion(0.8, 0.8)], ensemble):
        assert {note.instrument for note in bar.notes} == {allowed}


@given(seeds, emotions)
def test_no_note_anticipates_the_beat_at_which_the_music_may_be_cut(seed: int, emotion: Emotion) -> None:
    for bar, _ in write(seed, [emotion] * 2):
        for beat in bar.beats[1:]:
            assert not [note for note in bar.notes if beat - BEAT // 8 < note.position < beat]


@given(names, emotions)
def test_a_preferred_instrument_is_heard(wanted: str, emotion: Emotion) -> None:
    ensemble = choose_ensemble(Preference(prefer=(wanted,)))
    written = write(7, [emotion] * 16, ensemble)
    assert wanted in {note.instrument for bar, _ in written for note in bar.notes}


@given(seeds, emotions, emotions)
def test_taking_up_an_old_thread_writes_the_same_bars_again(seed: int, first: Emotion, second: Emotion) -> None:
    written = write(seed, [first, first, second])
    _, thread = written[1]
    again, _ = write_bar(thread, second, EVERYBODY, written[2][0].beats, 120.0)
    assert again == written[2][0]


@given(seeds, emotions)
def test_the_key_stays_for_a_whole_rondo_and_moves_to_a_neighbour(seed: int, emotion: Emotion) -> None:
    written = write(seed, [emotion] * (4 * len(RONDO) + 1))
    tonics = [thread.phrase.scale.tonic for _, thread in written if thread.phrase]
    assert len(set(tonics[:-1])) == 1
    assert (tonics[-1] - tonics[0]) % 12 in (5, 7)


@given(seeds, emotions, emotions)
def test_a_large_move_renews_the_phrase_at_once_in_the_same_key(seed: int, first: Emotion, second: Emotion) -> None:
    (_, before), (_, after) = write(seed, [first, first, second])[1:]
    assert before.phrase and after.phrase
    assert after.phrase.scale.tonic == before.phrase.scale.tonic
    if first.distance(second) > 0.5:
        assert after.phrase.emotion == second
        assert after.bar == 1


def test_the_first_theme_returns_and_episodes_are_new_in_each_rondo() -> None:
    labels = [theme_label(phrase) for phrase in range(2 * len(RONDO))]
    assert labels[:4] == ["A", "A", "B0", "A"]
    assert labels.count("A") == 14
    assert labels[14] == "B1"
    assert theme(5, "A") == theme(5, labels[12])
    assert theme(5, "A") != theme(5, "B0")


def test_a_returning_theme_has_the_same_melody_and_chords() -> None:
    written = write(1003, [Emotion(0.5, 0.6)] * 24)
    threads = [thread for _, thread in written]
    first, returned = threads[3].phrase, threads[15].phrase  # both open the theme A as a question or an answer
    assert first and returned
    assert first.progression[:2] == returned.progression[:2]


@given(seeds, emotions)
def test_the_last_bar_rests_on_the_tonic(seed: int, emotion: Emotion) -> None:
    (_, thread), *_ = write(seed, [emotion])
    beats = tuple(range(4 * BEAT, 9 * BEAT, BEAT))
    bar, after = write_bar(thread, emotion, EVERYBODY, beats, 120.0, Ending.REST)
    assert after.phrase
    lowest = min((note for note in bar.notes if note.instrument == after.phrase.cast.bass), key=lambda one: one.key)
    assert lowest.key % 12 == after.phrase.scale.tonic
    assert max(note.position for note in bar.notes) < beats[1]


@given(seeds, emotions)
def test_every_bar_is_as_loud_as_its_emotion_asks(seed: int, emotion: Emotion) -> None:
    for bar, _ in write(seed, [emotion] * 8):
        loudness = predict_lufs(bar.notes, bar.beats[-1] - bar.beats[0])
        assert abs(loudness - (-22.5 + 3 * (emotion.arousal + 1))) < 1.0


def test_arousal_fills_the_bars_and_never_all_at_once() -> None:
    fills = []
    for step in range(41):
        path = [Emotion(0.3, step / 20 - 1)] * 4
        bars = [bar for seed in range(1000, 1006) for bar, _ in write(seed, path)]
        fills.append(sum(audible_notes(bar) for bar in bars) / len(bars))
    assert fills[-1] > 4 * fills[0]
    assert all(late - early < 0.12 * fills[-1] for early, late in pairwise(fills))


def audible_notes(bar: Bar) -> float:
    """The number of notes, each weighed by its amplitude against the loudest."""
    levels = [note.level_db for note in bar.notes]
    return sum(math.pow(10, (level_db - max(levels)) / 20) for level_db in levels)


def test_pleasant_melodies_lie_higher() -> None:
    assert melody_centre(Emotion(0.8, 0)) > melody_centre(Emotion(-0.8, 0)) + 8
