"""The play-head: it goes, halts where it is told, follows a sound card, and never goes back."""

from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.transport import Transport


def test_it_stands_at_the_beginning_until_it_is_set_going() -> None:
    transport = Transport()
    assert [transport.position(now) for now in (0.0, 5.0)] == [0, 0]
    assert not transport.moves(0.0)
    assert transport.halts_at == 0


def test_it_moves_one_second_of_frames_in_a_second() -> None:
    transport = Transport()
    transport.run(100.0)
    assert transport.moves(100.0)
    assert transport.halts_at is None
    assert transport.position(100.0) == 0
    assert transport.position(101.5) == SAMPLE_RATE * 3 // 2


def test_it_plays_up_to_where_it_is_to_halt_and_stands_there() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.halt(SAMPLE_RATE)
    assert transport.moves(0.9)
    assert not transport.moves(1.0)
    assert transport.halts_at == SAMPLE_RATE
    assert transport.position(0.5) == SAMPLE_RATE // 2
    assert transport.position(1.5) == transport.position(9.0) == SAMPLE_RATE


def test_it_goes_on_from_where_it_halted() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.halt(SAMPLE_RATE)
    transport.run(60.0)
    assert transport.halts_at is None
    assert transport.position(60.0) == SAMPLE_RATE
    assert transport.position(61.0) == 2 * SAMPLE_RATE


def test_where_it_has_halted_another_halt_does_not_move_it() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.halt(SAMPLE_RATE)
    assert transport.position(5.0) == SAMPLE_RATE
    transport.halt(2 * SAMPLE_RATE)
    assert not transport.moves(5.0)
    assert transport.position(9.0) == transport.halts_at == SAMPLE_RATE


def test_a_halt_on_the_way_to_another_takes_its_place() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.halt(2 * SAMPLE_RATE)
    assert transport.position(0.5) == SAMPLE_RATE // 2
    transport.halt(SAMPLE_RATE)
    assert transport.position(9.0) == SAMPLE_RATE


def test_going_on_before_the_halt_was_reached_forgets_it() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.halt(SAMPLE_RATE)
    transport.run(0.5)
    assert transport.position(2.0) == 2 * SAMPLE_RATE


def test_a_sound_card_that_is_behind_holds_it_until_it_has_caught_up() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.follow(SAMPLE_RATE // 2, 1.0)
    assert transport.position(1.0) == SAMPLE_RATE
    assert transport.position(1.25) == SAMPLE_RATE
    assert transport.position(2.0) == SAMPLE_RATE * 3 // 2


def test_a_sound_card_that_is_ahead_pulls_it_along() -> None:
    transport = Transport()
    transport.run(0.0)
    transport.follow(2 * SAMPLE_RATE, 1.0)
    assert transport.position(1.0) == 2 * SAMPLE_RATE


def test_a_sound_card_cannot_set_it_going() -> None:
    transport = Transport()
    transport.follow(SAMPLE_RATE, 1.0)
    assert transport.position(2.0) == 0


deeds = st.lists(
    st.tuples(st.sampled_from(["run", "halt", "follow", "wait"]), st.floats(0, 3), st.integers(-5000, 5000))
)


@given(deeds)
def test_it_never_goes_back(deeds: list[tuple[str, float, int]]) -> None:
    transport, now, reached = Transport(), 0.0, 0
    for deed, seconds, offset in deeds:
        now += seconds
        here = transport.position(now)
        assert here >= reached
        if deed == "run":
            transport.run(now)
        elif deed == "halt":
            transport.halt(here + abs(offset))
        elif deed == "follow":
            transport.follow(max(0, here + offset), now)
        reached = transport.position(now)
        assert reached >= here
