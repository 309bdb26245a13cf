"""The planner: in closed loop it meets the patient, leads, holds, steps back, arrives, and says why.

The rule, its sources, and what it is worth are in docs/planner.md. The paths that it takes are those of path.py.
"""

from dataclasses import dataclass, replace

from musicmed_live.core.bounds import Region
from musicmed_live.core.decision import Decision, Stance
from musicmed_live.core.emotion import NEUTRAL, Emotion, clamp
from musicmed_live.core.estimate import CORRECTION_SECONDS, Estimate
from musicmed_live.core.following import Answer, Finding, Leash, Meeting, judge, mood, nearest
from musicmed_live.core.generator import frames_of
from musicmed_live.core.path import EmotionPath, Rules, ahead_of, onwards, plan, proceed, stay, walk, within
from musicmed_live.core.reasons import Why

CORRECTION_FRAMES = frames_of(CORRECTION_SECONDS)
READINGS_FRAMES = frames_of(15.0)  # so long must readings agree to weigh as much as one report
ASKING_FRAMES = frames_of(120.0)  # after so long without a word a report is asked for

WAITS = 2  # stays that the music waits for a word where the leash ends, before it leads on
MOST_DOUBLINGS = 6  # of a stay: half an hour and more


@dataclass(frozen=True, slots=True)
class _Left:
    """What the music left for a report that surprised, in case the next one takes that back."""

    music: Emotion
    meeting: Meeting
    thought: Emotion  # where the patient was thought to be


@dataclass(frozen=True, slots=True)
class _Told:
    """When the patient last said something, and what that found, for another word that corrects it."""

    position: int
    meeting: Meeting | None
    estimate: Estimate | None
    leash: Leash
    left: _Left | None = None


class Planner:
    """The rule by which the music answers a patient: match, lead, hold, step back, arrive.

    Everything that happens is told it with the `position` that is being heard, which never falls, and the `music` that
    was asked for there. A patient is compared with what that music `expresses`, which may be something else: where the
    music is off, the patient's place is seen as off by as much. A path goes on from what was asked for. It gives the
    decision from there on: the very same object where nothing changes. A path begins where the music is, save that of
    a match, which begins where the patient is, and that after a match which the next report takes back, which begins
    where the music was before; and none is faster than the bound. No path leaves the `region` that the therapist
    allows: every decision is brought within it by `_take`, and a patient who is elsewhere is met, and compared with the
    music, at the nearest point of it.
    """

    def __init__(self, goal: Emotion, end: int | None, rules: Rules, region: Region | None = None) -> None:
        """`region` of the plane, None: all of it; a `goal` outside it is moved to the nearest point."""
        self.region = region or Region()
        self.goal = self.region.nearest(goal)
        self.rules = rules
        self.held = False  # whether the therapist lets the music stay where it is
        self.decision = Decision(Stance.MATCH, stay(self.region.nearest(NEUTRAL), 0), Why("waiting"), asks=True)
        self._end = end
        self._meeting: Meeting | None = None  # None: before the first word
        self._told: _Told | None = None
        self._off_at: int | None = None  # since when readings say that the patient is not with the music
        self._left: _Left | None = None  # while the last report was a surprise
        self.waits_for_body = False  # whether readings made it hold or step back
        self._leash = Leash()

    def at(self, position: int) -> Decision:
        """The decision as it stands at `position`: its path may have begun to lead by then, or have arrived."""
        decision, path = self.decision, self.decision.path
        if path.arrives is not None and position >= path.arrives:
            decision = decision.turned(Stance.ARRIVE, Why("arrived"))
        elif path.leads_from is not None and position >= path.leads_from:
            decision = decision.turned(Stance.LEAD, Why("leading"))
        if self._told is not None and position - self._told.position > ASKING_FRAMES:
            decision = replace(decision, asks=True)
        return decision

    def stance_at(self, position: int) -> Stance:
        """The stance as it is at `position`."""
        return self.at(position).stance

    def meet(self, here: Emotion | None, position: int) -> Decision:
        """Begin, or begin anew, where the patient is; None: play neutrally, and wait for a word."""
        self._meeting = self._told = self._off_at = self._left = None
        if here is None:
            return self._decide(Stance.MATCH, stay(NEUTRAL, position), Why("waiting"), asks=True)
        self._told = _Told(position, None, None, self._leash)
        return self._match(here, position)

    def land(self, here: Emotion, position: int) -> Decision:
        """Go on after "too much" from the calm music at `here`. Where the patient is by now, nobody has said."""
        known = self._meeting is not None
        self._meeting = Meeting(here, here, position, (here,)) if known else None
        self._told = self._off_at = self._left = None
        if self.held:
            return self._stay_held(here, position)
        path = self._plan(here, position, self.rules.hold_frames) if known else stay(here, position)
        return self._decide(Stance.MATCH, path, Why("calmed" if known else "waiting"), asks=True)

    def unsense(self, position: int, music: Emotion) -> Decision:
        """No wearable is to be trusted any more: nothing waits for what one had said."""
        self._off_at = None
        if self.held:
            return self.decision
        if self._meeting is None:
            return self._stop_listening(position, music)
        if not self.waits_for_body:
            return self._stop_heeding()
        return self._resume(self._since(self._meeting, position, music), position, music)

    def report(
        self, emotion: Emotion, before: Estimate | None, position: int, music: Emotion, expresses: Emotion | None = None
    ) -> Decision:
        """The patient says how they feel, and was thought to be at `before`.

        Within `CORRECTION_SECONDS` of the last report it takes that one's place.
        """
        told = self._told
        if told is not None and position - told.position <= CORRECTION_FRAMES:
            self._meeting, before, self._leash, self._left = told.meeting, told.estimate, told.leash, told.left
        self._told = _Told(position, self._meeting, before, self._leash, self._left)
        self._off_at, left, self._left = None, self._left, None
        if self.held:
            return self._note(emotion, position, music)
        if self._meeting is None:
            return self._match(emotion, position)
        if left is not None and self._is_taken_back(left, self._meeting.seen, emotion):
            self._meeting = replace(left.meeting, position=position)
            return self._decide(Stance.LEAD, self._plan(left.music, position, 0), Why("back"))
        if self.stance_at(position) is Stance.MATCH:
            return self._match(emotion, position)
        return self._compare(emotion, before, position, music, expresses or music)

    def _compare(
        self, emotion: Emotion, before: Estimate | None, position: int, music: Emotion, heard: Emotion
    ) -> Decision:
        """Answer a report of somebody who has been met."""
        assert self._meeting is not None
        meeting = self._since(self._meeting, position, music)
        told = _as_asked(emotion, heard, music)
        thought = None if before is None else replace(before, emotion=_as_asked(before.emotion, heard, music))
        finding = judge(told, meeting.seen, thought, music, meeting.trail, self.rules.tolerance, self.region)
        finding = replace(finding, report=emotion)
        meeting = replace(meeting, seen=finding.place)
        if finding.answer is Answer.ELSEWHERE:
            self._left = None if before is None else _Left(music, meeting, before.emotion)
            return self._match(emotion, position)
        ahead = finding.near.distance(music)
        lags = finding.answer is Answer.SAME or (finding.answer is Answer.BEHIND and ahead > self._reach)
        self._leash = self._leash.after(lags)
        return self._answer(finding, lags, meeting, position, music)

    def sense(self, estimate: Estimate, position: int, music: Emotion, expresses: Emotion | None = None) -> Decision:
        """Readings have moved the estimate."""
        if self.held:
            return self.decision
        if self._meeting is None:
            return self._go_along(estimate.emotion.arousal, position, music)
        stance = self.stance_at(position)
        gap = self.region.nearest(_as_asked(estimate.emotion, expresses or music, music)).arousal - music.arousal
        if stance is Stance.MATCH or abs(gap) - estimate.arousal_sd <= self.rules.tolerance:
            self._off_at = None
            if stance is Stance.MATCH or not self.waits_for_body:
                return self._stop_heeding()
            return self._resume(self._since(self._meeting, position, music), position, music)
        if self._off_at is None:
            self._off_at = position
        if position - self._off_at < self.rules.patience * READINGS_FRAMES:
            return self.decision
        self._off_at = position
        body = "livelier" if gap > 0 else "calmer"
        return self._heed(self._since(self._meeting, position, music), body, position, music)

    def aim(self, goal: Emotion, position: int, music: Emotion) -> Decision:
        """Lead to another goal from where the music is, or to the nearest point that is allowed."""
        goal = self.region.nearest(goal)
        if goal == self.goal:
            return self.decision
        self.goal, self._off_at = goal, None
        if self.held or self._meeting is None:
            return self.decision
        if self.stance_at(position) is Stance.MATCH:
            return self._redirect(position, music)
        meeting = self._since(self._meeting, position, music)
        self._meeting = replace(meeting, words=meeting.words[-1:], returns=0)
        return self._decide(Stance.LEAD, self._plan(music, position, 0), Why("new_goal", mood(goal)))

    def obey(self, rules: Rules, position: int, music: Emotion) -> Decision:
        """Keep other rules from here on."""
        if rules == self.rules:
            return self.decision
        self.rules = rules
        if self.held or self.stance_at(position) is Stance.ARRIVE:
            return self.decision
        return self._redirect(position, music)

    def confine(self, region: Region, position: int, music: Emotion) -> Decision:
        """Stay within another region from here on; where the way leaves it, it goes through the nearest points."""
        if region == self.region:
            return self.decision
        if self._meeting is not None:
            meeting = self._since(self._meeting, position, music)
            trail = tuple(map(region.nearest, meeting.trail))
            self._meeting = replace(meeting, place=region.nearest(meeting.place), trail=trail)
        self.region, self.goal = region, region.nearest(self.goal)
        path, why = onwards(self.decision.path, position), self._why_now()
        if within(path, region) is path and why == self.decision.why:
            return self.decision
        return self._take(replace(self.decision, path=path, why=why))

    def hold(self, position: int, music: Emotion) -> Decision:
        """The therapist lets the music stay where it is, until `lead` or `step_back`."""
        if self.held:
            return self.decision
        self.held, self._off_at = True, None
        if self._meeting is not None:
            self._meeting = self._since(self._meeting, position, music)
        return self._stay_held(music, position)

    def lead(self, position: int, music: Emotion) -> Decision:
        """The therapist lets it lead on from where it is; before the first word there is nowhere to lead."""
        self.held, self._off_at = False, None
        if self._meeting is None:
            return self._decide(Stance.MATCH, stay(music, position), Why("waiting"), asks=True)
        meeting = self._since(self._meeting, position, music)
        self._meeting = replace(meeting, words=meeting.words[-1:], returns=0)
        return self._decide(Stance.LEAD, self._plan(music, position, 0), Why("led_on"))

    def step_back(self, position: int, music: Emotion) -> Decision:
        """The therapist lets it go back to where it last met the patient; before the first word it stays."""
        self.held, self._off_at = False, None
        if self._meeting is None:
            return self._decide(Stance.MATCH, stay(music, position), Why("waiting"), asks=True)
        return self._step_back(self._since(self._meeting, position, music), Why("sent_back"), position, music)

    def end_at(self, end: int) -> None:
        """The session ends there; what is planned from now on knows it."""
        self._end = end

    def _note(self, emotion: Emotion, position: int, music: Emotion) -> Decision:
        """Remember what is reported while the music is held."""
        seen = Meeting(music, emotion, position, (music,)) if self._meeting is None else self._meeting
        self._meeting = replace(self._since(seen, position, music), seen=emotion, words=(mood(emotion),))
        return self._keep()

    def _stay_held(self, here: Emotion, position: int) -> Decision:
        return self._decide(Stance.HOLD, stay(here, position), Why("held"))

    def _redirect(self, position: int, music: Emotion) -> Decision:
        """Do what is decided, by other rules or towards another goal."""
        decision, path, meeting = self.at(position), self.decision.path, self._meeting
        last = path.corners[-1]
        if path.leads_from is None and position >= last.position:
            return self.decision
        if meeting is not None:
            self._meeting = self._since(meeting, position, music)
        if meeting is None or path.leads_from is None:
            path = walk(music, last.emotion, position, self.rules)
        else:
            here = meeting.place if decision.stance is Stance.MATCH else music  # which may still be on its way there
            waits = decision.stance is not Stance.LEAD
            path = self._plan(here, position, path.leads_from - position if waits else 0)
        return self._take(replace(decision, path=path))

    def _answer(self, finding: Finding, lags: bool, meeting: Meeting, position: int, music: Emotion) -> Decision:
        """What to do about somebody who is where they were to be expected."""
        stance, word = self.stance_at(position), mood(finding.report)
        if finding.answer is Answer.BEHIND:
            meeting = replace(meeting, place=nearest(finding.near, meeting.trail))
        if lags and stance is Stance.STEP_BACK:
            self._meeting = meeting
            return self._keep()
        if lags:
            return self._be_patient(replace(meeting, words=(*meeting.words, word)), finding, position, music)
        returns = meeting.returns
        if finding.answer is Answer.WITH:
            returns = returns if music.distance(meeting.place) <= self.rules.tolerance else 0
            meeting = Meeting(music, finding.place, position, (music,))
        self._meeting = meeting = replace(meeting, words=(word,), returns=returns)
        if returns and self.decision.path.leads_from is not None:
            return self._keep()
        if returns:
            return self._resume(meeting, position, music)
        return self._accompany(finding, position, music)

    def _is_taken_back(self, left: _Left, slip: Emotion, emotion: Emotion) -> bool:
        """Whether a report after one of `slip` says that this was one: the patient is where they were before it."""
        away = emotion.distance(slip)
        return away > self.rules.tolerance and emotion.distance(left.thought) < away

    def _match(self, here: Emotion, position: int) -> Decision:
        old, place = self._meeting, self.region.nearest(here)
        again = old is not None and old.place.distance(place) <= self.rules.tolerance
        returns = old.returns if old is not None and again else 0
        hold_frames, leads_from = self.rules.hold_frames, self.decision.path.leads_from
        if again and leads_from is not None and self.stance_at(position) is Stance.MATCH:
            hold_frames = leads_from - position  # nothing new: the stay goes on, and does not begin anew
        self._meeting = Meeting(place, here, position, (place,), (mood(here),), returns)
        why = Why(self._meeting_key(self._meeting), mood(here))
        return self._decide(Stance.MATCH, self._plan(place, position, hold_frames), why)

    def _why_now(self) -> Why:
        """The reason that stands, as it is true of a goal and a meeting that another region may have moved."""
        why = self.decision.why
        if why.key == "new_goal":
            return replace(why, mood=mood(self.goal))
        if why.key in ("meeting", "meeting_near") and self._meeting is not None:
            return replace(why, key=self._meeting_key(self._meeting))
        return why

    def _meeting_key(self, meeting: Meeting) -> str:
        """Whether the patient is met where they are, or was met as near as was allowed."""
        there = self.region.holds(meeting.seen) and meeting.place.distance(meeting.seen) <= self.rules.tolerance
        return "meeting" if there else "meeting_near"

    @property
    def _reach(self) -> float:
        """How far the music may run ahead."""
        return self._leash.tolerances * self.rules.tolerance

    def _accompany(self, finding: Finding, position: int, music: Emotion) -> Decision:
        """Lead on as far ahead of the patient as the leash allows, or come back to that."""
        there = ahead_of(finding.near, self.goal, self._reach, self.rules.shape)
        if self.stance_at(position) is Stance.ARRIVE and there == self.goal:
            return self._keep()
        rules = replace(self.rules, hold_frames=WAITS * self.rules.hold_frames)
        path = proceed(music, there, self.goal, position, self._end, rules)
        if there.distance(self.goal) > music.distance(self.goal):
            return self._decide(Stance.HOLD, path, Why("coming"))
        return self._decide(Stance.LEAD, path, self._why_on(finding, music))

    def _why_on(self, finding: Finding, music: Emotion) -> Why:
        if finding.answer is not Answer.WITH:
            return Why("following")
        barred = finding.near != finding.place and finding.place.distance(music) > self.rules.tolerance
        return Why("following_near" if barred else "followed")

    def _be_patient(self, meeting: Meeting, finding: Finding, position: int, music: Emotion) -> Decision:
        """Wait, hold, or in the end step back, for somebody who does not come along, or not so fast."""
        self._meeting = meeting
        reports, patience = len(meeting.words), self.rules.patience
        if reports >= max(patience, 2) + patience:
            return self._step_back(meeting, meeting.why("going_back"), position, music)
        if finding.answer is Answer.BEHIND:
            return self._accompany(finding, position, music)
        if reports < patience:
            return self._keep()
        path = self.decision.path
        if self.stance_at(position) is not Stance.HOLD or path.leads_from is not None:
            too_far = finding.near.distance(music) > self._reach
            there = ahead_of(finding.near, self.goal, self._reach, self.rules.shape) if too_far else music
            path = walk(music, there, position, self.rules)
        return self._decide(Stance.HOLD, path, meeting.why("staying"))

    def _heed(self, meeting: Meeting, body: str, position: int, music: Emotion) -> Decision:
        """Hold, step back or ask, as readings say that the `body` is livelier or calmer than the music."""
        stance = self.stance_at(position)
        if stance is Stance.ARRIVE:
            return self._decide(Stance.ARRIVE, self.decision.path, Why(f"arrived_{body}"), asks=True)
        if stance is Stance.HOLD and self.waits_for_body:
            return self._step_back(meeting, Why(f"going_back_{body}"), position, music, for_body=True)
        if stance is Stance.STEP_BACK or self.decision.path.leads_from is None:
            return self.decision
        self._meeting = meeting
        return self._decide(Stance.HOLD, stay(music, position), Why(f"staying_{body}"), for_body=True)

    def _stop_heeding(self) -> Decision:
        """Nothing says any more that the body is off the music: at the goal that is not told any longer."""
        if self.decision.stance is Stance.ARRIVE:
            return self._decide(Stance.ARRIVE, self.decision.path, Why("arrived"))
        return self.decision

    def _step_back(self, meeting: Meeting, why: Why, position: int, music: Emotion, for_body: bool = False) -> Decision:
        self._meeting = replace(meeting, words=meeting.words[-1:], returns=meeting.returns + 1)
        path = walk(music, meeting.place, position, self.rules)
        return self._decide(Stance.STEP_BACK, path, why, asks=True, for_body=for_body)

    def _resume(self, meeting: Meeting, position: int, music: Emotion) -> Decision:
        """Lead on without haste; the later, the more often it was in vain."""
        self._meeting = meeting
        if not meeting.returns:
            return self._decide(Stance.LEAD, self._plan(music, position, 0), Why("leading"))
        frames = self.rules.hold_frames << min(meeting.returns - 1, MOST_DOUBLINGS)
        return self._decide(Stance.HOLD, self._plan(music, position, frames), Why("lingering"))

    def _go_along(self, arousal: float, position: int, music: Emotion) -> Decision:
        """Before the first word: let the music's arousal come to that of the readings."""
        there = self.region.nearest(Emotion(music.valence, arousal))
        if abs(there.arousal - self.decision.path.corners[-1].emotion.arousal) < self.rules.tolerance / 2:
            return self.decision
        path = walk(music, there, position, self.rules)
        return self._decide(Stance.MATCH, path, Why("listening"), asks=True)

    def _stop_listening(self, position: int, music: Emotion) -> Decision:
        """Before the first word: let music that went along with readings come back to neutral."""
        if self.decision.why.key != "listening":
            return self.decision
        path = walk(music, self.region.nearest(NEUTRAL), position, self.rules)
        return self._decide(Stance.MATCH, path, Why("waiting"), asks=True)

    def _plan(self, here: Emotion, position: int, hold_frames: int) -> EmotionPath:
        return plan(here, self.goal, position, self._end, replace(self.rules, hold_frames=hold_frames))

    def _since(self, meeting: Meeting, position: int, music: Emotion) -> Meeting:
        """The meeting with the way that the music has come since."""
        corners = self.decision.path.corners
        passed = [corner.emotion for corner in corners if meeting.position < corner.position < position]
        return meeting.gone([*passed, music], position)

    def _keep(self) -> Decision:
        """Nothing changes, save that a report that was asked for has come, which goes before readings."""
        if self.decision.asks:
            self.decision = replace(self.decision, asks=False)
        return self._stop_heeding()

    def _decide(
        self, stance: Stance, path: EmotionPath, why: Why, asks: bool = False, for_body: bool = False
    ) -> Decision:
        self.waits_for_body = for_body
        return self._take(Decision(stance, path, why, asks))

    def _take(self, decision: Decision) -> Decision:
        """Let that be the decision, within the region; the one that stands, where it says the same."""
        decision = replace(decision, path=within(decision.path, self.region))
        if decision != self.decision:
            self.decision = decision
        return self.decision


def _as_asked(emotion: Emotion, heard: Emotion, asked: Emotion) -> Emotion:
    """Where a patient at `emotion` is on the map of what is asked for, while what was `asked` for is `heard` so."""
    return Emotion(
        clamp(emotion.valence - heard.valence + asked.valence), clamp(emotion.arousal - heard.arousal + asked.arousal)
    )
