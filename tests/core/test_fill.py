"""What is heard while music is late gives way to the music: the slower, the further it has faded."""

import numpy as np
import pytest

from musicmed_live.core.fill import FILL_FRAMES, RESUME_FRAMES, SLOWEST_RESUME_FRAMES, Fill
from musicmed_live.core.generator import frames_of

LONG_BAR, SHORT_BAR = frames_of(4.0), frames_of(1.5)


def back_after(frames: int, bar: int = LONG_BAR) -> Fill:
    """A silent bar, so that only the music is heard, which is back so many frames later."""
    return Fill(0, np.zeros((bar, 2), np.float32), np.zeros((1, 2), np.float32), frames)


def fade_in_frames(fill: Fill) -> int:
    """Until the music is there as a whole, which rises all the time."""
    assert fill.resume is not None
    gains = fill.over(np.ones((SLOWEST_RESUME_FRAMES + 1, 2), np.float32), fill.resume)[:, 0]
    assert gains[0] == 0
    assert gains[-1] == 1
    assert (np.diff(gains) >= 0).all()
    assert np.diff(gains).max() <= 2 / RESUME_FRAMES
    return next(n for n in range(len(gains), 0, -1) if fill.gives_way_at(fill.resume + n - 1))


def test_music_that_is_hardly_late_is_back_at_once_and_after_silence_it_takes_three_seconds() -> None:
    assert fade_in_frames(back_after(0)) == RESUME_FRAMES == frames_of(0.1)
    assert fade_in_frames(back_after(FILL_FRAMES)) == SLOWEST_RESUME_FRAMES == frames_of(3.0)
    assert fade_in_frames(back_after(5 * FILL_FRAMES)) == SLOWEST_RESUME_FRAMES


def test_the_further_it_has_faded_the_longer_it_takes_without_a_jump() -> None:
    every = frames_of(0.5)
    lengths = [fade_in_frames(back_after(frames)) for frames in range(0, FILL_FRAMES + every, every)]
    steps = np.diff(lengths)
    assert (steps > 0).all()
    assert steps.max() < every / 6


@pytest.mark.parametrize("bar", [1, SHORT_BAR])
def test_it_takes_no_longer_than_the_mixer_keeps_the_bar(bar: int) -> None:
    assert fade_in_frames(back_after(FILL_FRAMES, bar)) == max(RESUME_FRAMES, bar)
