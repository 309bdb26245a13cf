"""What the renderer promises: any split, any rewind, no seam."""

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.renderer import Renderer
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.core.generator import SAMPLE_RATE, Samples

SECOND = SAMPLE_RATE
END = 4 * SECOND


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler()


def piece(seed: int = 0, end: int = END, longest_seconds: float = 1.5) -> list[Note]:
    """Notes of all kinds, at any time, in a random order."""
    dice = random.Random(f"{seed}:piece")
    names = ["piano", "flute", "strings", "percussion", "harp", "bass"]
    return [
        Note(
            position=dice.randrange(end),
            frames=round(dice.uniform(0.02, longest_seconds) * SECOND),
            instrument=dice.choice(names),
            key=dice.choice([48, 50, 55]),
            velocity=dice.uniform(20, 110),
            level_db=dice.uniform(-12, 3),
        )
        for _ in range(30)
    ]


def play(renderer: Renderer, notes: Sequence[Note], end: int, cuts: Sequence[int] = ()) -> Samples:
    """Everything from the renderer's position to `end`, in stretches that end at `cuts` and at `end`."""
    edges = sorted({renderer.position, end, *(cut for cut in cuts if renderer.position < cut < end)})
    return np.concatenate(
        [renderer.render([note for note in notes if a <= note.position < b], b) for a, b in pairwise(edges)]
    )


def note(instrument: str, position: int = 0, seconds: float = 1.0, velocity: float = 80, key: int = 60) -> Note:
    return Note(position, round(seconds * SECOND), instrument, key, velocity)


def test_silence_that_is_skipped_is_as_if_it_had_begun_after_it(sampler: Sampler) -> None:
    begun = round(2.3 * SECOND)
    sounds = []
    skipping = Renderer(sampler)
    skipping.skip((), begun)
    for renderer in (skipping, Renderer(sampler, begun)):
        play(renderer, [note("piano", begun), note("piano", begun + SECOND)], begun + 2 * SECOND)
        renderer.rewind(begun + SECOND // 2)
        sounds.append(renderer.render((), begun + END))
    assert np.abs(sounds[0] - sounds[1]).max() < 1e-5


def steepest(samples: Samples) -> float:
    return float(np.abs(np.diff(samples, axis=0)).max())


def power_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, END - 1), max_size=8), seed=st.integers(0, 3))
def test_any_split_gives_the_same_sound(sampler: Sampler, cuts: list[int], seed: int) -> None:
    notes = piece(seed)
    whole = Renderer(sampler).render(notes, END)
    assert whole.shape == (END, 2)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(play(Renderer(sampler), notes, END, cuts), whole, atol=1e-5)


def test_the_same_notes_give_the_same_samples_whatever_was_played_before(sampler: Sampler) -> None:
    first = play(Renderer(Sampler()), piece(1), END, [SECOND])
    play(Renderer(sampler), piece(2, longest_seconds=3), END)
    np.testing.assert_array_equal(play(Renderer(sampler), piece(1), END, [SECOND]), first)


def test_a_piece_sounds_the_same_wherever_it_begins(sampler: Sampler) -> None:
    at = 123_457
    moved = [Note(at, n.frames, n.instrument, n.key, n.velocity) for n in (note("piano"), note("flute"))]
    here = Renderer(sampler).render([note("piano"), note("flute")], SECOND)
    np.testing.assert_allclose(Renderer(sampler, at).render(moved, at + SECOND), here, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(back=st.integers(0, END), cuts=st.lists(st.integers(1, END - 1), max_size=3), seed=st.integers(0, 3))
def test_a_rewind_to_where_no_key_is_held_changes_nothing(
    sampler: Sampler, back: int, cuts: list[int], seed: int
) -> None:
    notes = [n for n in piece(seed) if not n.position < back < n.position + n.frames]
    whole = Renderer(sampler).render(notes, END)
    renderer = Renderer(sampler)
    play(renderer, notes, END, cuts)
    renderer.rewind(back)
    assert renderer.position == back
    if back < END:
        np.testing.assert_allclose(play(renderer, notes, END), whole[back:], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(back=st.integers(SECOND // 2, END - 1), seed=st.integers(0, 3))
def test_what_is_played_after_a_rewind_is_what_would_have_been_played_had_the_keys_been_let_go(
    sampler: Sampler, back: int, seed: int
) -> None:
    notes, others = piece(seed), [n for n in piece(seed + 10) if n.position >= back]
    renderer = Renderer(sampler)
    before = play(renderer, notes, END)[:back]
    renderer.rewind(back)
    after = play(renderer, others, END)
    let_go = [
        Note(n.position, min(n.frames, back - n.position), n.instrument, n.key, n.velocity, n.level_db)
        for n in notes
        if n.position < back
    ]
    expected = Renderer(sampler).render([*let_go, *others], END)
    np.testing.assert_allclose(np.concatenate([before, after]), expected, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(back=st.integers(SECOND // 4, END - 1), seed=st.integers(0, 3))
def test_a_rewind_leaves_no_step(sampler: Sampler, back: int, seed: int) -> None:
    renderer = Renderer(sampler)
    heard = play(renderer, piece(seed), END)
    renderer.rewind(back)
    after = renderer.render([], back + 100)
    joint = np.concatenate([heard[back - 1 : back], after])
    assert steepest(joint) <= steepest(heard) + 1e-5


def test_keys_that_are_held_across_a_rewind_are_let_go_there(sampler: Sampler) -> None:
    renderer = Renderer(sampler)
    held = renderer.render([note("flute", seconds=4)], END)
    renderer.rewind(2 * SECOND)
    released = renderer.render([], END)
    assert power_db(released[SECOND:]) < power_db(held[3 * SECOND :]) - 15
    assert power_db(released[:1000]) == pytest.approx(power_db(held[2 * SECOND :][:1000]), abs=2)


def test_notes_from_the_rewound_position_on_are_forgotten(sampler: Sampler) -> None:
    renderer = Renderer(sampler)
    renderer.render([note("flute", position=SECOND)], 2 * SECOND)
    renderer.rewind(SECOND)
    assert not renderer.render([], 3 * SECOND).any()


def test_one_can_rewind_again_and_again(sampler: Sampler) -> None:
    notes = piece(1, longest_seconds=0.05)
    whole = Renderer(sampler).render(notes, END)
    renderer = Renderer(sampler)
    renderer.render(notes, END)
    for back in (3 * SECOND, 2 * SECOND, SECOND):
        renderer.rewind(back)
        if not any(n.position < back < n.position + n.frames for n in notes):
            play(renderer, notes, back + SECOND // 2)
    renderer.rewind(0)
    np.testing.assert_allclose(play(renderer, notes, END), whole, atol=1e-5)


def test_fifteen_seconds_are_remembered_and_no_position_before_or_ahead(sampler: Sampler) -> None:
    renderer = Renderer(sampler, SECOND)
    with pytest.raises(ValueError, match="cannot rewind to 0"):
        renderer.rewind(0)
    notes = [note("piano", position=at, seconds=0.2) for at in range(SECOND, 21 * SECOND, SECOND // 2)]
    whole = play(renderer, notes, 21 * SECOND, range(0, 21 * SECOND, SECOND // 3))
    with pytest.raises(ValueError, match="cannot rewind"):
        renderer.rewind(21 * SECOND + 1)
    renderer.rewind(6 * SECOND)
    np.testing.assert_allclose(play(renderer, notes, 21 * SECOND), whole[5 * SECOND :], atol=1e-5)
    with pytest.raises(ValueError, match="cannot rewind to 287999"):
        renderer.rewind(6 * SECOND - 1)


def test_a_note_outside_of_the_stretch_is_refused(sampler: Sampler) -> None:
    renderer = Renderer(sampler, 1000)
    for position in (999, 2000):
        with pytest.raises(ValueError, match=f"a note at {position} is not within"):
            renderer.render([note("piano", position=position)], 2000)
    with pytest.raises(ValueError, match="rewind first"):
        renderer.render([], 999)


def test_a_refused_stretch_leaves_the_renderer_as_it_was(sampler: Sampler) -> None:
    renderer = Renderer(sampler)
    with pytest.raises(ValueError, match="is not within"):
        renderer.render([note("piano"), note("piano", position=2 * SECOND)], SECOND)
    with pytest.raises(KeyError):
        renderer.render([note("piano"), note("kazoo")], SECOND)
    assert renderer.position == 0
    assert not renderer.render([], SECOND).any()


@pytest.mark.parametrize("name", [*INSTRUMENTS])
def test_every_instrument_sounds_without_clicks_and_falls_silent(sampler: Sampler, name: str) -> None:
    instrument = INSTRUMENTS[name]
    key = 38 if name == "percussion" else instrument.middle
    samples = Renderer(sampler).render([note(name, seconds=0.5, key=key)], 8 * SECOND)
    held = Renderer(sampler).render([note(name, seconds=2, key=key)], 2 * SECOND)
    peak = float(np.abs(samples).max())
    assert 0.02 < peak < 0.6
    assert float(np.abs(samples[0]).max()) < 0.1 * peak
    assert steepest(samples) <= steepest(held) * 1.01
    assert float(np.abs(samples[7 * SECOND :]).max()) < 1e-4


def test_loudness_is_continuous_in_velocity_and_follows_its_law(sampler: Sampler) -> None:
    levels = [
        power_db(Renderer(sampler).render([note("cello", velocity=velocity, key=50)], SECOND))
        for velocity in range(20, 121, 5)
    ]
    rises = np.diff(levels)
    law = np.diff(20 * 1.7 * np.log10(np.arange(20, 121, 5)))
    np.testing.assert_allclose(rises, law, atol=1.2)  # a new layer has another timbre, hence the tolerance


def test_the_level_of_a_note_is_in_decibels(sampler: Sampler) -> None:
    full = Renderer(sampler).render([note("piano")], SECOND)
    quiet = Renderer(sampler).render([Note(0, SECOND, "piano", 60, 80, level_db=-20)], SECOND)
    np.testing.assert_allclose(quiet, full / 10, atol=1e-6)


@pytest.mark.parametrize("name", ["guitar", "horn", "harp", "celesta", "strings", "bass"])
def test_instruments_sit_where_they_are_seated(sampler: Sampler, name: str) -> None:
    instrument = INSTRUMENTS[name]
    scale = [
        note(name, position=step * SECOND // 2, seconds=0.4, key=instrument.middle + key)
        for step, key in enumerate((-5, -3, -1, 0, 2, 4, 6, 7))  # single keys are coloured by the hall
    ]
    samples = Renderer(sampler).render(scale, 4 * SECOND)
    balance_db = power_db(samples[:, 1]) - power_db(samples[:, 0])
    if instrument.pan == 0:
        assert abs(balance_db) < 2
    else:
        assert balance_db * np.sign(instrument.pan) > 0.8


def test_a_drum_rings_on_after_its_key_is_let_go(sampler: Sampler) -> None:
    short, long = (
        Renderer(sampler).render([note("percussion", seconds=seconds, key=49)], 2 * SECOND) for seconds in (0.01, 1.5)
    )
    np.testing.assert_array_equal(short, long)


def test_a_dozen_voices_stay_within_full_scale(sampler: Sampler) -> None:
    chord = [note(name, key=key) for name in ("strings", "piano", "horn") for key in (48, 55, 60, 64)]
    assert float(np.abs(Renderer(sampler).render(chord, 2 * SECOND)).max()) < 1
