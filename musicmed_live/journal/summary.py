"""A session in a few sentences."""

from collections.abc import Iterator
from statistics import mean, median

from musicmed_live.core.emotion import parse_emotion
from musicmed_live.journal.account import Account, unbroken
from musicmed_live.journal.entries import Kind


def in_short(account: Account) -> list[str]:
    """The session in a few sentences: what there was, how well it matched and led, and what is missing."""
    return [
        _sounded(account),
        *_matched(account),
        *_met(account),
        _led(account),
        _measured(account),
        *_mishaps(account),
    ]


def _sounded(account: Account) -> str:
    if not account.clips:
        return "This session never played: there is nothing to tell of music."
    makers = sorted({clip.generator for clip in account.clips})
    return (
        f"{length(account.heard_seconds)} min of music was heard, in {count(len(account.clips), 'clip')}, made by: "
        f"{', '.join(makers)}."
    )


def _matched(account: Account) -> Iterator[str]:
    if not account.clips:
        return
    judged = f"{len(account.judged)} of {count(len(account.clips), 'clip')}"
    if account.mean_miss is None:
        yield f"How well the music matched is not known. Judged: {judged}."
    else:
        yield (
            f"Judged: {judged}. What was heard lay {account.mean_miss:.2f} from what was asked for, on average "
            "over time; 0 is a hit, and from a corner of the plane to the opposite one it is 2.83."
        )


def _met(account: Account) -> Iterator[str]:
    if account.gaps:
        yield (
            f"When the patient said how they felt, {count(len(account.gaps), 'time')} while it played, the music was "
            f"{mean(account.gaps):.2f} from there on average, by what was asked of it."
        )


def _led(account: Account) -> str:
    goal = account.goal
    said = [emotion for _, emotion in account.reports]
    if account.opened["start"] is not None:
        said.insert(0, parse_emotion(account.opened["start"], "start"))
    if not said:
        return "Whether the music led is not known: the patient said nothing about their mood."
    first, last = said[0].distance(goal), said[-1].distance(goal)
    if len(said) == 1:
        return f"The patient said once how they felt, {first:.2f} from the goal; whether the music led is not known."
    return (
        f"The patient said {len(said)} times how they felt: at first {first:.2f} from the goal, at last {last:.2f} "
        f"from it."
    )


def _measured(account: Account) -> str:
    known = [beat.heart_rate_bpm for beat in account.beats if beat.heart_rate_bpm is not None]
    if not known:
        return "The heart rate is missing: none was measured that was to be trusted."
    seconds = sum(run[-1][0] - run[0][0] for run in unbroken(account.beats))
    return (
        f"The heart rate was known for {length(seconds)} min: {min(known):.0f} to {max(known):.0f} beats per minute, "
        f"the median of them {median(known):.0f}."
    )


def _mishaps(account: Account) -> Iterator[str]:
    late = sum(entry.body["times"] for entry in account.of_kind(Kind.UNDERRUN))
    if late:
        yield f"The music was late {count(late, 'time')}."
    if account.ended is None:
        yield "The end is missing: the session still plays, or its server was stopped before it could write it down."
    elif account.ended["reason"] == "failed":
        yield "The session ended because something failed; the server's log has it."


def length(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def count(number: int, what: str) -> str:
    """So many of something that has a regular plural."""
    return f"{number} {what}{'s' * (number != 1)}"
