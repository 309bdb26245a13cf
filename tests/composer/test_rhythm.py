"""Patterns fill up with arousal: hit by hit, each from soft to loud."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.composer import rhythm
from musicmed_live.composer.rhythm import ALWAYS, Hit, sounding

PATTERN = (Hit(0, ALWAYS), Hit(1, 0.5, -3.0), Hit(2, 0.0))


def test_a_hit_is_faded_in_around_the_arousal_at_which_it_enters() -> None:
    arousals = [step / 100 for step in range(-30, 31)]
    levels = [{beat: level for beat, _, level in sounding(PATTERN, a, (0, 4))}.get(2) for a in arousals]
    heard = [level for level in levels if level is not None]
    assert levels[0] is None
    assert heard[0] < -20
    assert heard[-1] == 0
    assert heard == sorted(heard)


def test_a_hit_lasts_until_the_next_one_that_is_heard() -> None:
    assert list(sounding(PATTERN, -1, (0, 4))) == [(0, 4, 0.0)]
    assert [(beat, beats) for beat, beats, _ in sounding(PATTERN, 1, (0, 4))] == [(0, 1), (1, 1), (2, 2)]


@given(st.floats(-1, 1), st.sampled_from([(0.0, 4.0), (0.0, 2.0), (2.0, 2.0)]))
def test_the_composers_patterns_stay_within_their_span(arousal: float, span: tuple[float, float]) -> None:
    patterns = [value for value in vars(rhythm).values() if isinstance(value, tuple) and isinstance(value[0], Hit)]
    assert len(patterns) > 8
    for pattern in patterns:
        heard = list(sounding(pattern, arousal, span))
        assert all(span[0] <= beat < span[0] + span[1] and beats > 0 for beat, beats, _ in heard)
        assert all(first[0] < second[0] for first, second in pairwise(heard))
