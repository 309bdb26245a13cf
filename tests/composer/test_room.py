"""What the hall promises."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from musicmed_live.composer.room import Room, hall_response
from musicmed_live.core.generator import SAMPLE_RATE

Wave = NDArray[np.float32]

SECOND = SAMPLE_RATE


def noise(frames: int, seed: int = 0) -> Wave:
    return np.random.default_rng(seed).standard_normal(frames).astype(np.float32) * np.float32(0.1)


def in_stretches(room: Room, send: Wave, ends: list[int]) -> Wave:
    """The hall's answer to `send`, asked for in stretches that end at `ends` and at its end."""
    edges = sorted({0, len(send), *ends})
    return np.concatenate([room.render(send[a:b]) for a, b in pairwise(edges)], axis=1)


def test_the_hall_answers_by_convolution_with_its_response() -> None:
    send, response = noise(2 * SECOND), hall_response()
    size = 2**19
    expected = np.fft.irfft(np.fft.rfft(send, size) * np.fft.rfft(response, size), size)[:, : 5 * SECOND]
    silence = np.zeros(3 * SECOND, np.float32)
    np.testing.assert_allclose(Room().render(np.concatenate([send, silence])), expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, SECOND - 1), max_size=8), st.integers(0, 10**6))
def test_the_answer_depends_neither_on_the_split_nor_on_where_it_begins(ends: list[int], position: int) -> None:
    send = noise(SECOND)
    whole = Room().render(send)
    np.testing.assert_allclose(in_stretches(Room(position), send, ends), whole, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, SECOND), st.lists(st.integers(1, SECOND - 1), max_size=3), st.integers(0, 20_000))
def test_after_a_rewind_it_goes_on_as_if_nothing_had_been_sent_from_there(
    back: int, ends: list[int], begin: int
) -> None:
    send, other = noise(SECOND), noise(SECOND, seed=1)
    room = Room(begin)
    in_stretches(room, send, ends)
    room.rewind(begin + back)
    expected = Room().render(np.concatenate([send[:back], other]))[:, back:]
    assert room.position == begin + back
    np.testing.assert_allclose(room.render(other), expected, atol=1e-5)


def test_it_remembers_fifteen_seconds_and_its_own_tail() -> None:
    send = noise(22 * SECOND)
    room = Room()
    whole = in_stretches(room, send, list(range(0, 22 * SECOND, SECOND // 2)))
    room.rewind(7 * SECOND)
    np.testing.assert_allclose(room.render(send[7 * SECOND : 8 * SECOND]), whole[:, 7 * SECOND : 8 * SECOND], atol=1e-5)


def test_silence_stays_silence() -> None:
    assert not Room().render(np.zeros(SECOND, np.float32)).any()


def test_nothing_comes_back_before_the_pre_delay() -> None:
    impulse = np.zeros(SECOND, np.float32)
    impulse[0] = 1
    answer = np.abs(Room().render(impulse))
    assert answer[:, : SECOND // 50].max() < 1e-6
    assert answer[:, SECOND // 50 : SECOND // 20].max() > 1e-2


def reverberation_seconds(response: Wave, low_hz: float, high_hz: float) -> float:
    """T30 by Schroeder's backward integration (1965) of one band: -5 to -35 dB, times two."""
    spectrum = np.fft.rfft(response.astype(np.float64))
    low, high = (round(edge * response.shape[1] / SAMPLE_RATE) for edge in (low_hz, high_hz))
    band = np.zeros_like(spectrum)
    band[:, low:high] = spectrum[:, low:high] * np.hanning(high - low)  # a steeper filter would ring longer than a hall
    energy = (np.fft.irfft(band, response.shape[1]) ** 2).sum(axis=0)[::-1].cumsum()[::-1]
    level_db = 10 * np.log10(energy / energy[0])
    begin, end = (int(np.argmax(level_db < limit)) for limit in (-5, -35))
    return 2 * (end - begin) / SAMPLE_RATE


def test_the_hall_rings_for_two_and_a_half_seconds_and_shorter_the_higher() -> None:
    response = hall_response()
    times = [reverberation_seconds(response, low, high) for low, high in ((250, 500), (700, 1500), (6000, 8000))]
    assert times[0] == pytest.approx(2.6, abs=0.3)
    assert times[1] == pytest.approx(2.5, abs=0.3)
    assert times[2] < 1.3


def test_the_hall_keeps_its_energy_is_wide_and_lets_the_bass_be() -> None:
    response = hall_response().astype(np.float64)
    np.testing.assert_allclose((response**2).sum(axis=1), 1, rtol=1e-4)
    assert abs(float((response[0] * response[1]).sum())) < 0.1  # of the energy, which is 1
    power = (np.abs(np.fft.rfft(response[:, : 2 * SECOND])) ** 2).mean(axis=0)
    assert power[: 2 * 60].mean() < 0.25 * power[2 * 300 : 2 * 1000].mean()
