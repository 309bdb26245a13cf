"""Which way of asking for a clip comes nearest to the emotion that is wanted, as far as a recognizer can tell.

A generator that makes the same of the same request is asked a little beside the mark, against the error: the *shift*.
It stays within `MOST_SHIFT`, moves in a straight line within a clip, and the next clip begins with it, so that there is
no step where clips join. A generator that draws offers several takes of one request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import ClipRequest
from musicmed_live.core.judgement import Judgement, expressed, miss

NEAR = 0.1  # what is likely to lie so near to what was asked for is near enough, in units of the plane
MOST_SHIFT = 0.25
MOST_TRIES = 2

Shift = tuple[float, float]  # of valence and arousal
NO_SHIFT: Shift = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """A request that was tried, the take of it that came nearest, and what is heard there."""

    request: ClipRequest
    take: int = 0
    takes: int = 0  # of how many that were judged
    judgement: Judgement | None = None
    judged_as: Emotion | None = None  # what was asked for, on average, of what was judged
    shift: Shift = NO_SHIFT  # at its end


class Audition:
    """The clips of one session. `ask`, then tell what was heard with `hear` until it asks for nothing more."""

    def __init__(self) -> None:
        self._shift = NO_SHIFT  # where the next clip begins

    def forget(self) -> None:
        """The music moves elsewhere: what was learned of the error does not hold there."""
        self._shift = NO_SHIFT

    def ask(self, asked: ClipRequest) -> ClipRequest:
        """How to ask for the clip first."""
        self._asked = asked
        self._tries = 0
        self._trial = Trial(shifted(asked, self._shift, self._shift), shift=self._shift)
        self._best: Trial | None = None
        return self._trial.request

    def hear(self, judgements: Sequence[Judgement | None], share: float = 1.0) -> ClipRequest | None:
        """What is heard in each take of what was asked for last; how to ask once more, None where that will do.

        `share` (0 .. 1) of the clip was in the takes, from its beginning.
        """
        self._tries += 1
        emotion = self._asked.start.blend(self._asked.end, share / 2)
        heard = [(miss(emotion, found), take, found) for take, found in enumerate(judgements) if found is not None]
        if not heard:
            return None
        error, take, judgement = min(heard, key=lambda found: found[:2])
        trial = replace(self._trial, take=take, takes=len(judgements), judgement=judgement, judged_as=emotion)
        if self._best is None or self._best.judgement is None or error < miss(emotion, self._best.judgement):
            self._best = trial
        likely = expressed(emotion, judgement)
        if likely.distance(emotion) <= NEAR or self._tries == MOST_TRIES or len(judgements) > 1:
            return None
        shift = corrected(trial.shift, emotion, judgement)
        self._trial = Trial(shifted(self._asked, self._shift, shift), shift=shift)
        return None if shift == trial.shift else self._trial.request

    def settle(self) -> Trial:
        """The trial to go on with: the best that was heard, or else the first that was asked for."""
        best = self._best or self._trial
        self._shift = best.shift
        return best


def shifted(request: ClipRequest, start: Shift, end: Shift) -> ClipRequest:
    """The request with its emotions moved by so much, within its region."""
    nearest = request.region.nearest
    return replace(request, start=nearest(_moved(request.start, start)), end=nearest(_moved(request.end, end)))


def corrected(shift: Shift, asked: Emotion, judgement: Judgement) -> Shift:
    """A shift that makes up for what is likely to be wrong with music asked for with `shift`."""
    likely = expressed(asked, judgement)
    errors = likely.valence - asked.valence, likely.arousal - asked.arousal
    valence, arousal = (
        min(MOST_SHIFT, max(-MOST_SHIFT, old - error)) for old, error in zip(shift, errors, strict=True)
    )
    return valence, arousal


def _moved(emotion: Emotion, shift: Shift) -> Emotion:
    return Emotion(clamp(emotion.valence + shift[0]), clamp(emotion.arousal + shift[1]))
