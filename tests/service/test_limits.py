"""How often somebody may call: enough for a ward behind one address, and too little to guess a key."""

import pytest

from musicmed_live.errors import TooManyCalls
from musicmed_live.service.limits import ADDRESSES, Call, Limits

WARD = "192.0.2.7"


class Clock:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(clock)


def spend_all(limits: Limits, call: Call, address: str = WARD) -> int:
    """How many go through at once."""
    for count in range(10_000):
        try:
            limits.spend(call, address)
        except TooManyCalls:
            return count
    raise AssertionError("no limit")


def test_a_ward_comes_back_at_once_after_a_restart(limits: Limits) -> None:
    assert spend_all(limits, Call.OPEN) == 64
    assert spend_all(limits, Call.ENTER) == 4 * 64


def test_after_the_first_wrong_tokens_there_are_ten_a_minute(limits: Limits, clock: Clock) -> None:
    assert spend_all(limits, Call.GUESS) == 20
    clock.now += 60
    assert spend_all(limits, Call.GUESS) == 10


def test_a_refusal_says_how_long_to_wait(limits: Limits, clock: Clock) -> None:
    spend_all(limits, Call.GUESS)
    with pytest.raises(TooManyCalls) as refused:
        limits.check(Call.GUESS, WARD)
    assert refused.value.code == "too_many_calls"
    clock.now += refused.value.wait_seconds
    limits.check(Call.GUESS, WARD)


def test_to_ask_costs_nothing(limits: Limits) -> None:
    for _ in range(100):
        limits.check(Call.GUESS, WARD)
    assert spend_all(limits, Call.GUESS) == 20


def test_each_address_and_each_kind_of_call_has_its_own_budget(limits: Limits) -> None:
    spend_all(limits, Call.GUESS)
    limits.spend(Call.OPEN, WARD)
    limits.spend(Call.GUESS, "192.0.2.8")


def test_the_addresses_of_one_ipv6_network_share_a_budget(limits: Limits) -> None:
    spend_all(limits, Call.GUESS, "2001:db8:1:2::1")
    with pytest.raises(TooManyCalls):
        limits.spend(Call.GUESS, "2001:db8:1:2:ffff::9")
    limits.spend(Call.GUESS, "2001:db8:1:3::1")


def test_an_ipv4_address_is_the_same_by_way_of_ipv6(limits: Limits) -> None:
    spend_all(limits, Call.GUESS, WARD)
    with pytest.raises(TooManyCalls):
        limits.spend(Call.GUESS, f"::ffff:{WARD}")


def test_a_million_addresses_take_no_more_memory_than_a_few_thousand(limits: Limits) -> None:
    for number in range(3 * ADDRESSES):
        limits.spend(Call.GUESS, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limits._budgets) == ADDRESSES
