"""The position-addressed ring buffer, and the play-head that reads it.

Each test lays sound down at positions, moves the head, and looks at what was read. The sound is a sine, so that
a step larger than the sine's own is a click.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.browser import Page
from tests.web.conftest import run_script

FADE = 240
GRACE = 4800
OWN_STEP = 2 * math.pi * 440 / 48_000 * 0.5  # the largest between neighbours in a 440 Hz sine at half scale
FADE_STEP = 0.5 / FADE  # what a 5 ms fade adds to it at most
ROUNDING = 1e-4

_SETUP = """
const {Ring} = await import("/ring.js");
const ring = new Ring(65536);
const sine = (position, frames, gain = 0.5, hertz = 440) => {
  const samples = new Int16Array(2 * frames);
  for (let i = 0; i < frames; i++) {
    samples[2 * i] = samples[2 * i + 1] =
      Math.round(32767 * gain * Math.sin((position + i) * 2 * Math.PI * hertz / 48000));
  }
  return samples;
};
const lay = (from, to, gain, hertz) => {
  for (let p = from; p < to; p += 1920) ring.write(p, sine(p, Math.min(1920, to - p), gain, hertz));
};
const heard = [];
let now = 0;
const play = (frames, block = 128) => {
  const left = new Float32Array(block), right = new Float32Array(block);
  for (const end = now + frames; now < end; now += block) {
    ring.read(now, left, right);
    heard.push(...left);
  }
};
"""


def listen(page: Page, script: str) -> NDArray[np.float64]:
    """What the left channel played while `script` ran."""
    return np.array(run_script(page, f"{_SETUP}{script}; return heard;"))


def sine(start: int, frames: int, gain: float = 0.5) -> NDArray[np.float64]:
    wave: NDArray[np.float64] = gain * np.sin(np.arange(start, start + frames) * 2 * np.pi * 440 / 48_000)
    return wave


def largest_step(samples: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(samples)).max())


def test_samples_are_read_where_the_head_belongs(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); ring.follow(1000); play(12800)")

    np.testing.assert_allclose(heard[FADE:], sine(1000 + FADE, 12800 - FADE), atol=ROUNDING)


@pytest.mark.parametrize("block", [1, 32, 128, 3200])
def test_what_is_heard_does_not_depend_on_the_block_size(modules: Page, block: int) -> None:
    script = "lay(0, 9600); lay(11520, 19200); ring.follow(1000); play(16000, {})"

    np.testing.assert_array_equal(listen(modules, script.format(block)), listen(modules, script.format(160)))


def test_nothing_is_heard_before_the_first_state(modules: Page) -> None:
    assert not listen(modules, "lay(0, 9600); play(3200)").any()


def test_a_head_before_the_beginning_waits_for_position_zero(modules: Page) -> None:
    heard = listen(modules, "lay(0, 9600); ring.follow(-3840); play(6400)")

    assert not heard[:3840].any()
    np.testing.assert_allclose(heard[3840 + FADE :], sine(FADE, 6400 - 3840 - FADE), atol=ROUNDING)


def test_a_later_block_overwrites_an_earlier_one(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); lay(5000, 19200, 0.25); ring.follow(0); play(12800)")

    np.testing.assert_allclose(heard[5000:], sine(5000, 7800, 0.25), atol=ROUNDING)


def test_an_overwrite_ahead_of_the_head_leaves_the_samples_before_it_as_they_were(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); ring.follow(0); play(3200); lay(3300, 19200); play(3200)")

    np.testing.assert_allclose(heard[FADE:], sine(FADE, 6400 - FADE), atol=ROUNDING)


def test_an_overwrite_under_the_head_does_not_click(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); ring.follow(0); play(6400); lay(6000, 19200, -0.5); play(3200)")

    assert largest_step(heard) < OWN_STEP + 2 * FADE_STEP + ROUNDING
    np.testing.assert_allclose(heard[6400 + FADE :], sine(6400 + FADE, 3200 - FADE, -0.5), atol=ROUNDING)


@pytest.mark.parametrize("missing", [1, 100, 1000, 5000])
def test_missing_samples_are_silence_that_comes_and_goes_softly(modules: Page, missing: int) -> None:
    heard = listen(modules, f"lay(0, 6000); lay({6000 + missing}, 19200); ring.follow(0); play(12800)")

    assert not heard[6000 : 6000 + missing].any()
    assert largest_step(heard) < OWN_STEP + FADE_STEP + ROUNDING
    recovered = 6000 + missing + FADE
    np.testing.assert_allclose(heard[recovered:], sine(recovered, 12800 - recovered), atol=ROUNDING)


def test_an_older_lap_of_the_ring_is_never_heard(modules: Page) -> None:
    heard = listen(modules, "lay(0, 65536); ring.follow(65536); play(3200)")

    assert not heard.any()


def test_a_clock_that_differs_by_little_is_left_alone(modules: Page) -> None:
    heard = listen(modules, "lay(0, 60000); ring.follow(0); play(6400); ring.follow(200); play(6400)")

    np.testing.assert_allclose(heard[FADE:], sine(FADE, 12800 - FADE), atol=ROUNDING)


@pytest.mark.parametrize("drift", [-960, 960])
def test_drift_is_edited_away_frame_by_frame(modules: Page, drift: int) -> None:
    heard = listen(modules, f"lay(0, 60000); ring.follow(0); play(6400); ring.follow({drift}); play(30976)")

    end = 6400 + 30976 + int(math.copysign(13, drift))  # one edit in 2400 frames
    np.testing.assert_allclose(heard[-2000:], sine(end - 2000, 2000), atol=ROUNDING)
    assert largest_step(heard) < 2 * OWN_STEP + ROUNDING


def test_a_correction_goes_on_until_hardly_anything_is_left(modules: Page) -> None:
    heard = listen(
        modules,
        """
        for (let n = 0; n < 15; n++) {
          lay(n * 57600, (n + 1) * 57600 + 1920);
          ring.follow(n === 0 ? 0 : 300);
          play(57600);
        }
        """,
    )

    wanted = 15 * 57600 + 300
    differences = [np.abs(heard[-2000:] - sine(wanted - 2000 - left, 2000)).max() for left in range(100)]
    assert np.argmin(differences) == 47


def test_a_clock_that_jumps_is_followed_at_once_and_softly(modules: Page) -> None:
    heard = listen(modules, "lay(0, 60000); ring.follow(0); play(6400); ring.follow(20000); play(6400)")

    assert largest_step(heard) < OWN_STEP + 2 * FADE_STEP + ROUNDING
    np.testing.assert_allclose(heard[6400 + FADE :], sine(26400 + FADE, 6400 - FADE), atol=ROUNDING)


def test_what_was_cut_off_is_not_heard_any_more(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); ring.follow(0); play(3200); ring.cut(9000); play(9600)")

    np.testing.assert_allclose(heard[FADE : 9000 - FADE], sine(FADE, 9000 - 2 * FADE), atol=ROUNDING)
    assert largest_step(heard) < OWN_STEP + FADE_STEP + ROUNDING
    assert not heard[9000:].any()


def test_after_a_cut_that_comes_too_late_the_old_goes_on_only_for_a_moment(modules: Page) -> None:
    heard = listen(modules, "lay(0, 38400); ring.follow(0); play(6400); ring.cut(5000); play(9600)")

    assert not heard[6400 + GRACE :].any()
    assert largest_step(heard) < OWN_STEP + FADE_STEP + ROUNDING


def test_what_comes_a_moment_after_a_late_cut_is_faded_over_to_without_a_gap(modules: Page) -> None:
    heard = listen(
        modules,
        "lay(0, 19200); ring.follow(0); play(6400); ring.cut(5000); play(2560); lay(5000, 19200, -0.5); play(3200)",
    )

    np.testing.assert_allclose(np.abs(heard[6400:8960]), np.abs(sine(6400, 2560)), atol=ROUNDING)
    np.testing.assert_allclose(heard[8960 + FADE :], -sine(8960 + FADE, 3200 - FADE), atol=ROUNDING)
    assert largest_step(heard) < OWN_STEP + 2 * FADE_STEP + ROUNDING


@pytest.mark.parametrize("late", [100, 1400])
def test_a_cut_that_comes_too_late_does_not_click(modules: Page, late: int) -> None:
    silenced = f"lay(0, 19200); ring.follow(0); play(6400); ring.cut({6400 - late}); play(3200);"
    answered = f"lay(0, 19200); ring.follow(0); play(6400); ring.cut({6400 - late}); lay({6400 - late}, 19200, -0.5);"

    assert largest_step(listen(modules, silenced)) < OWN_STEP + FADE_STEP + ROUNDING
    heard = listen(modules, f"{answered} play(3200)")
    assert largest_step(heard) < OWN_STEP + 2 * FADE_STEP + ROUNDING
    np.testing.assert_allclose(heard[6400 + FADE :], sine(6400 + FADE, 3200 - FADE, -0.5), atol=ROUNDING)


def test_what_comes_after_a_cut_joins_what_was_before(modules: Page) -> None:
    heard = listen(modules, "lay(0, 19200); ring.follow(0); play(3200); ring.cut(5000); lay(5000, 10000); play(9600)")

    np.testing.assert_allclose(heard[FADE : 10000 - FADE], sine(FADE, 10000 - 2 * FADE), atol=ROUNDING)
    assert not heard[10000:].any()


def test_after_a_rest_no_frame_is_lost_or_heard_twice(modules: Page) -> None:
    heard = listen(
        modules,
        """
        lay(0, 5000); ring.follow(0); play(48000);
        lay(5000, 19200); ring.follow(5000 - 48000 - 3840); play(9600);
        """,
    )

    resumed = 48000 + 3840
    assert not heard[5000:resumed].any()
    np.testing.assert_allclose(heard[resumed + FADE :], sine(5000 + FADE, 9600 - 3840 - FADE), atol=ROUNDING)
