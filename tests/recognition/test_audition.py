"""Auditions: how to ask for a clip so that it is heard as it was meant."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import ClipRequest
from musicmed_live.core.judgement import Judgement, miss
from musicmed_live.recognition.audition import MOST_SHIFT, NEAR, Audition

ASKED = Emotion(0.2, -0.1)
REQUEST = ClipRequest(0, 48_000, ASKED, ASKED)
coordinates = st.floats(-1, 1)
emotions = st.builds(Emotion, coordinates, coordinates)


def heard(valence: float, arousal: float) -> Judgement:
    return Judgement(Emotion(valence, arousal), 0.25, 0.25)


def middle(request: ClipRequest) -> Emotion:
    return request.start.blend(request.end, 0.5)


def test_what_is_near_enough_is_asked_for_once() -> None:
    audition = Audition()
    assert audition.ask(REQUEST) == REQUEST
    near = heard(0.1, -0.1)
    assert audition.hear([near]) is None
    assert audition.settle().judgement is near


def test_what_is_off_is_asked_for_anew_a_little_beside_the_mark() -> None:
    audition = Audition()
    audition.ask(REQUEST)
    again = audition.hear([heard(-0.4, -0.1)])
    assert again is not None
    assert again.start == ASKED, "the clip begins where the one before it has ended"
    assert again.end.valence > ASKED.valence and again.end.arousal == ASKED.arousal
    better = heard(-0.2, -0.1)
    assert audition.hear([better]) is None, "there is an end to it"
    assert (audition.settle().request, audition.settle().judgement) == (again, better)


def test_what_only_got_worse_is_left() -> None:
    audition = Audition()
    first = audition.ask(REQUEST)
    audition.hear([heard(-0.3, -0.1)])
    audition.hear([heard(-0.8, -0.1)])
    assert audition.settle().request == first


def test_the_next_clip_begins_as_this_one_has_ended() -> None:
    audition = Audition()
    audition.ask(REQUEST)
    again = audition.hear([heard(-0.4, -0.1)])
    audition.hear([heard(0.2, -0.1)])
    audition.settle()
    assert again is not None
    assert audition.ask(REQUEST).start == again.end
    audition.forget()
    assert audition.ask(REQUEST) == REQUEST


def test_of_several_takes_the_nearest_is_chosen() -> None:
    audition = Audition()
    audition.ask(REQUEST)
    takes = [heard(-0.9, 0.5), None, heard(0.25, -0.3), heard(0.9, -0.1)]
    assert audition.hear(takes) is None, "takes are not asked for twice"
    assert (audition.settle().take, audition.settle().judgement) == (2, takes[2])


def test_what_cannot_be_judged_is_played_as_it_was_asked_for() -> None:
    audition = Audition()
    assert audition.ask(REQUEST) == REQUEST
    assert audition.hear([None]) is None
    assert (audition.settle().request, audition.settle().judgement) == (REQUEST, None)


def test_a_generator_that_is_always_off_the_same_way_is_brought_nearer() -> None:
    audition = Audition()
    errors = []
    for _ in range(6):
        asked: ClipRequest | None = audition.ask(REQUEST)
        while asked is not None:
            made = middle(asked)
            asked = audition.hear([Judgement(Emotion(made.valence - 0.3, made.arousal + 0.1), 0.25, 0.25)])
        judgement = audition.settle().judgement
        assert judgement is not None
        errors.append(miss(ASKED, judgement))
    assert errors[0] > errors[-1]
    assert errors[-1] <= 2 * NEAR, "as far as it is likely: the judgement is trusted by half"


@given(st.lists(st.tuples(emotions, emotions, emotions), min_size=1, max_size=12))
def test_however_it_goes_the_shift_is_bounded_and_has_no_steps(clips: list[tuple[Emotion, Emotion, Emotion]]) -> None:
    audition = Audition()
    played = []
    for start, end, verdict in clips:
        asked: ClipRequest | None = audition.ask(ClipRequest(0, 48_000, start, end))
        while asked is not None:
            asked = audition.hear([Judgement(verdict, 0.3, 0.2)])
        trial = audition.settle()
        played.append((trial.shift, trial.request, start))
        for was, asked_for in ((start, trial.request.start), (end, trial.request.end)):
            assert abs(asked_for.valence - was.valence) <= MOST_SHIFT + 1e-9
            assert abs(asked_for.arousal - was.arousal) <= MOST_SHIFT + 1e-9
    for (shift, _, _), (_, request, start) in pairwise(played):
        moved = clamp(start.valence + shift[0]), clamp(start.arousal + shift[1])
        assert (request.start.valence, request.start.arousal) == pytest.approx(moved)
