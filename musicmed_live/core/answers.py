"""Answers of a session that need no new music: what is done at once, and how it fades. `soon` is a position."""

from musicmed_live.core.events import Action, End, Fade, Halt, Land
from musicmed_live.core.generator import frames_of

REACTION_FRAMES = frames_of(0.03)  # such an answer is heard so much after it was decided
PAUSE_FRAMES = frames_of(0.4)
STOP_FRAMES = frames_of(1.5)
LANDING_FRAMES = frames_of(0.8)
RETURN_FRAMES = frames_of(3.0)
REST_FRAMES = frames_of(4.0)  # a planned pause fades out for so long
LANDING_GAIN = 0.35  # -9 dB


def pause(soon: int) -> list[Action]:
    """Fade out, and stand still."""
    return [Fade(soon, PAUSE_FRAMES, 0.0, "pause"), Halt(soon + PAUSE_FRAMES)]


def rest(soon: int) -> list[Action]:
    """The same for a planned pause: nobody is in a hurry."""
    return [Fade(soon, REST_FRAMES, 0.0, "rest"), Halt(soon + REST_FRAMES)]


def land(soon: int) -> list[Action]:
    """Calm music, and quieter: it is too much."""
    return [Land(soon, LANDING_FRAMES), Fade(soon, LANDING_FRAMES, LANDING_GAIN, "too_much")]


def come_back(soon: int, softly: bool) -> Fade:
    """Fade in again, `softly` after a rest or a landing."""
    return Fade(soon, RETURN_FRAMES if softly else PAUSE_FRAMES, 1.0, "play")


def stop(soon: int, paused: bool) -> list[Action]:
    """Fade out, and end; `paused` music may be fading out yet."""
    frames = PAUSE_FRAMES if paused else STOP_FRAMES
    return [Fade(soon, frames, 0.0, "stop"), End(soon + frames)]
