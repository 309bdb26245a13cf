"""The session: what happens to it, what it does about it. Time comes in as the position that is being heard.

Which event leads from which phase to which is a table (phases.py); what is done about it stands here. The session only
decides: the shell carries its actions out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from musicmed_live.core import answers
from musicmed_live.core.answers import PAUSE_FRAMES, REACTION_FRAMES, REST_FRAMES
from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.decision import Decision, Stance
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimate, Estimator
from musicmed_live.core.events import (
    WORDS,
    Action,
    Bound,
    End,
    EndGently,
    Event,
    Fade,
    Finished,
    Goal,
    Halt,
    Hold,
    Lead,
    Obey,
    Pause,
    Play,
    Recompose,
    Report,
    Rest,
    Run,
    Sense,
    Shorten,
    StepBack,
    TooMuch,
    Unsensed,
)
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Cue, Preference, frames_of
from musicmed_live.core.path import CLIP_FRAMES, EmotionPath, stretch
from musicmed_live.core.phases import TRANSITIONS, Phase
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.planner import Planner
from musicmed_live.core.profile import Profile
from musicmed_live.core.reasons import Why
from musicmed_live.core.sensing import Sensing
from musicmed_live.errors import IllegalTransition

LARGE_MOVE = 0.5  # where the music has to move at least so far it does at the next beat, else at the next bar
HEARD_MOVE = 0.02  # two paths that are nowhere further apart sound the same
NOTICED_MOVE = 0.1  # listeners have to find their way anew where it moves at least so far at once
GENTLE_FRAMES = frames_of(45.0)  # a gentle end comes after so much music,
GENTLE_FADE_FRAMES = frames_of(20.0)  # of which at least so much fades out

LANDING_EMOTION = Emotion(0.4, -0.8)  # calm, unhurried

_RESTING = {
    Phase.PAUSED: Why("paused"),
    Phase.LANDING: Why("landing"),
    Phase.ENDED: Why("ended"),
}
STANCES = {
    Stance.MATCH: "matching",
    Stance.LEAD: "leading",
    Stance.HOLD: "holding",
    Stance.STEP_BACK: "stepping_back",
    Stance.ARRIVE: "arrived",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens: the frame being heard, what the music there was asked for and what it expresses, and a
    steady clock's seconds."""

    heard: int
    music: Emotion
    expresses: Emotion
    now: float


class Session:
    """One session's state. `handle` is its only way to change."""

    def __init__(self, wish: Plan, profile: Profile | None = None, now: float = 0.0) -> None:
        """`profile` is what is known of the patient from earlier sessions; `now` in seconds of a steady clock."""
        self.wish = wish
        self.phase = Phase.READY
        self.sensing = Sensing(profile or Profile())
        self.estimator = Estimator(wish.start, now, self.sensing.profile.report_sd)
        # What the patient said last, and when.
        self.reported: tuple[Emotion, float] | None = None if wish.start is None else (wish.start, now)
        self.bounds = wish.bounds
        self.ends = wish.frames  # position; None: open-ended
        self.ending = False  # whether it comes to a gentle end
        self._planner = Planner(wish.goal, wish.frames, wish.rules, wish.bounds.region)
        self._pauses = wish.pauses  # that are still to come
        self._rests_until: float | None = None  # by the clock of `now`, while a planned pause lasts
        self._landed = False  # paused or not, the music that plays is the landing's
        self._return_to: Emotion | None = None  # where the music is to go on after a landing, if the patient says so
        self._planner.meet(wish.start, 0)
        if wish.start is not None:
            self.sensing.anchor(wish.start.arousal)

    @property
    def decision(self) -> Decision:
        """What the planner has decided last."""
        return self._planner.decision

    def decision_at(self, position: int) -> Decision:
        """What has become of that at `position`: a match turns into leading by itself. While nothing plays, nothing."""
        decision, why = self._planner.at(position), _RESTING.get(self.phase)
        if self._rests_until is not None:
            why = Why("rest")
        elif self.ending and self.phase in (Phase.PLAYING, Phase.LANDING):
            why = Why("ending")
        elif self.held and self.phase is Phase.READY:
            why = Why("held_ready")
        return decision if why is None else replace(decision, why=why, asks=False)

    @property
    def path(self) -> EmotionPath:
        """Where the music goes."""
        return self.decision.path

    @property
    def goal(self) -> Emotion:
        """Where it is to lead."""
        return self._planner.goal

    @property
    def held(self) -> bool:
        """Whether the therapist holds the music."""
        return self._planner.held

    @property
    def waits_for_body(self) -> bool:
        """Whether the music holds or has stepped back because of readings."""
        return self._planner.waits_for_body

    @property
    def calm(self) -> Emotion:
        """Where "too much" leads: calm, as near as the bounds allow."""
        return self.bounds.region.nearest(LANDING_EMOTION)

    @property
    def next_pause(self) -> PlannedPause | None:
        """The planned pause that comes next. One that comes while it lands, or comes to its end, is passed over."""
        return self._pauses[0] if self._pauses else None

    def rest_seconds(self, now: float) -> float | None:
        """For how long it still rests, as was planned, before it is to play on; None where it does not."""
        return None if self._rests_until is None else max(0.0, self._rests_until - now)

    def estimate(self, now: float) -> Estimate | None:
        """How the patient feels, as far as anybody can know; None before the first word or reading."""
        return self.estimator.at(now)

    @property
    def profile(self) -> Profile:
        """What is worth keeping of the patient."""
        return replace(self.sensing.profile, report_sd=self.estimator.report_sd)

    def handle(
        self,
        event: Event,
        heard: int,
        sounding: Emotion | None = None,
        now: float | None = None,
        expresses: Emotion | None = None,
    ) -> list[Action]:
        """What to do about `event` while frame `heard` is being heard.

        `sounding` is what the music there was asked for; None: what the path says. `expresses` is what it turned out to
        express; None: just that. `now` is in seconds of the clock that the session was made with; None: that clock is
        the play-head.

        Raises `IllegalTransition` where the phase does not allow the event; then nothing has changed.
        """
        before = self.phase
        after = TRANSITIONS.get((before, type(event)))
        if after is None:
            raise IllegalTransition(f"{WORDS[type(event)]}: the session has ended")
        self.phase = after
        soon = heard + REACTION_FRAMES
        music = sounding or self.target(heard)
        moment = Moment(heard, music, expresses or music, heard / SAMPLE_RATE if now is None else now)
        match event:
            case Report(emotion):
                return self._report(emotion, moment)
            case Sense():
                return self._sense(event, moment)
            case Goal(emotion):
                return self._plan_anew(lambda: self._planner.aim(emotion, heard, moment.music), moment, "goal")
            case Unsensed():
                return self._plan_anew(lambda: self._planner.unsense(heard, moment.music), moment, "reading")
            case Obey() | Bound() | Hold() | Lead() | StepBack():
                return self._steer(event, moment)
            case Rest(seconds):
                return self._rest(seconds, before, moment)
            case Pause() | TooMuch() if before is Phase.PAUSED:
                return self._stay_paused(event, soon)
            case EndGently() if after is not Phase.ENDED:
                return self._end_gently(moment)
            case _ if before is after:
                return []
            case Play():
                return self._play(before, moment)
            case Pause():
                return answers.pause(soon)
            case TooMuch():
                self._land()
                self.estimator.music_changed(moment.now)
                return answers.land(soon)
            case _:
                return self._end(event, before, moment)

    def target(self, position: int) -> Emotion:
        """The emotion that the music is to have at `position`."""
        return self.bounds.region.nearest(self.calm if self._landed else self.path.at(position))

    def wire_phase(self, position: int) -> str:
        """The phase as a client is told it: while playing, what the plan does."""
        return STANCES[self._planner.stance_at(position)] if self.phase is Phase.PLAYING else self.phase.value

    def next_clip(self, position: int) -> ClipRequest | None:
        """The clip to make at `position`, within the bounds; None where the session ends there. A gentle end is one."""
        frames = stretch(position, self.ends, GENTLE_FRAMES if self.ending else CLIP_FRAMES)
        if frames == 0:
            return None
        asked = self._ask(position, frames, self.target(position), self.target(position + frames))
        return replace(asked, final=position + frames == self.ends)

    def landing_clip(self, frames: int) -> ClipRequest:
        """Calm music of so many frames, for whenever it is too much; its own positions begin with 0."""
        return self._ask(0, frames, self.calm, self.calm)

    def _ask(self, position: int, frames: int, start: Emotion, end: Emotion) -> ClipRequest:
        """A clip that keeps the bounds. What is forbidden is not preferred, whatever the plan says."""
        bounds, prefer = self.bounds, self.wish.instruments.prefer
        instruments = Preference(tuple(name for name in prefer if name not in bounds.forbid), bounds.forbid)
        return ClipRequest(
            *(position, frames, start, end, instruments, self.wish.style),
            tempo_bpm=bounds.tempo_bpm,
            region=bounds.region,
        )

    def _land(self) -> None:
        self._landed, self._return_to = True, None

    def _report(self, emotion: Emotion, moment: Moment) -> list[Action]:
        before = self.estimator.at(moment.now)
        self.estimator.report(emotion, moment.now)
        self.sensing.anchor(emotion.arousal)
        self.reported = (emotion, moment.now)
        if self._landed:
            self._return_to = emotion  # nothing moves until the patient says so; then the music meets this
            return []
        return self._plan_anew(
            lambda: self._planner.report(emotion, before, moment.heard, moment.music, moment.expresses),
            moment,
            "report",
        )

    def _sense(self, event: Sense, moment: Moment) -> list[Action]:
        seen = self.sensing.take(event.reading, event.age_seconds, moment.now)
        if seen is None:
            return []
        self.estimator.observe_arousal(seen.value, seen.sd, moment.now)
        estimate = self.estimator.at(moment.now)
        if estimate is None or self.phase is not Phase.PLAYING:
            return []
        return self._plan_anew(
            lambda: self._planner.sense(estimate, moment.heard, moment.music, moment.expresses), moment, "reading"
        )

    def _steer(self, event: Obey | Bound | Hold | Lead | StepBack, moment: Moment) -> list[Action]:
        """Do what the therapist says."""
        planner, heard, music = self._planner, moment.heard, moment.music
        match event:
            case Obey(changes):
                rules = replace(planner.rules, **changes)
                return self._plan_anew(lambda: planner.obey(rules, heard, music), moment, "rules")
            case Bound(changes):
                return self._bind(self.bounds.changed(changes), moment)
            case Hold():
                return self._plan_anew(lambda: planner.hold(heard, music), moment, "hold")
            case Lead():
                return self._plan_anew(lambda: planner.lead(heard, music), moment, "lead")
            case StepBack():
                return self._plan_anew(lambda: planner.step_back(heard, music), moment, "step_back")

    def _bind(self, bounds: Bounds, moment: Moment) -> list[Action]:
        """Keep other bounds from here on: what is composed already and may break them is given up at once."""
        before, calm, self.bounds = self.bounds, self.calm, bounds
        self._planner.confine(bounds.region, moment.heard, moment.music)
        if bounds.region.nearest(moment.music).distance(moment.music) >= NOTICED_MOVE:
            self.estimator.music_changed(moment.now)
        same = (before.tempo_bpm, before.forbid) == (bounds.tempo_bpm, bounds.forbid)
        stays = not self._landed or self.calm == calm
        return [] if same and stays and _covers(bounds.region, before.region) else [Recompose(Cue.BEAT, "bounds")]

    def _plan_anew(self, decide: Callable[[], Decision], moment: Moment, reason: str) -> list[Action]:
        """Let the planner decide; where that changes what is to be heard, the music has to."""
        before = self.path
        path = decide().path
        if self._landed or path is before or not _differ(path, before, moment.heard):
            return []
        move = path.at(moment.heard).distance(moment.music)
        if move >= NOTICED_MOVE:
            self.estimator.music_changed(moment.now)
        return [Recompose(Cue.BEAT if move >= LARGE_MOVE else Cue.BAR, reason)]

    def _rest(self, seconds: float, before: Phase, moment: Moment) -> list[Action]:
        """The next planned pause has come."""
        self._pauses = self._pauses[1:]
        if before is not Phase.PLAYING:
            return []
        self._rests_until = moment.now + (REACTION_FRAMES + REST_FRAMES) / SAMPLE_RATE + seconds
        return answers.rest(moment.heard + REACTION_FRAMES)

    def _stay_paused(self, event: Pause | TooMuch, soon: int) -> list[Action]:
        """A pause is asked for in a pause: one that was planned no longer ends by itself, and comes sooner."""
        if isinstance(event, TooMuch):
            self._land()  # for when it plays again
        rested, self._rests_until = self._rests_until is not None, None
        reason = "pause" if isinstance(event, Pause) else "too_much"
        return [Fade(soon, PAUSE_FRAMES, 0.0, reason), Halt(soon + PAUSE_FRAMES)] if rested else []

    def _end_gently(self, moment: Moment) -> list[Action]:
        self.ending, self._pauses = True, ()
        end = moment.heard + GENTLE_FRAMES
        if self.ends is not None and self.ends <= end:
            return []
        self.ends = end
        self._planner.end_at(end)
        fade_frames = min(GENTLE_FRAMES - REACTION_FRAMES, max(self.wish.ending_frames, GENTLE_FADE_FRAMES))
        return [Shorten(end, fade_frames), Recompose(Cue.BAR, "ending")]

    def _end(self, event: Event, before: Phase, moment: Moment) -> list[Action]:
        """Fade out what is heard, and end."""
        self._rests_until = None
        if isinstance(event, Finished) or before is Phase.READY:
            return [End(moment.heard)]
        return answers.stop(moment.heard + REACTION_FRAMES, before is Phase.PAUSED)

    def _play(self, before: Phase, moment: Moment) -> list[Action]:
        self.estimator.music_changed(moment.now)
        if before is Phase.READY:
            return [Run()]
        soon = moment.heard + REACTION_FRAMES
        rested, self._rests_until = self._rests_until is not None, None
        if not self._landed:
            return [answers.come_back(soon, softly=rested), Run()]
        self._landed = False
        if self._return_to is None or self.held:
            self._planner.land(self.calm, moment.heard)
        else:
            self._planner.meet(self._return_to, moment.heard)
        return [answers.come_back(soon, softly=True), Recompose(Cue.BEAT, "play"), Run()]


def _covers(region: Region, other: Region) -> bool:
    """Whether all of `other` belongs to `region`."""
    corners = (Emotion(*edges) for edges in zip(other.valence, other.arousal, strict=True))
    return all(map(region.holds, corners))


def _differ(path: EmotionPath, other: EmotionPath, position: int) -> bool:
    """Whether that would be heard within a clip from `position` on; later clips go the new way by themselves."""
    positions = range(position, position + CLIP_FRAMES + 1, CLIP_FRAMES // 6)
    return any(path.at(p).distance(other.at(p)) > HEARD_MOVE for p in positions)
