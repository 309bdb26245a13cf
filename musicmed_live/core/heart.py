"""The heart: from the intervals between its beats to rate and variability, without what is no beat.

Every value is a function of the intervals so far and of `now`; how they were cut into packets does not matter.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import attrgetter

from musicmed_live.core.respiration import respiration_per_minute

INTERVAL_MS = (300.0, 2000.0)  # shorter ones are no heart at rest's, longer ones hide a beat
RATE_BPM = (30.0, 200.0)  # the same
JUMP = 0.2  # Malik et al. (1989): a beat that comes 20 % sooner or later than the one before is not a sinus beat
ODD = JUMP / 3  # as far off the median, an interval beside a jump has a part in it
NEIGHBOURS = 3  # on either side: the median of seven stays true with three of them wrong

RATE_SECONDS = 12.0
RATE_INTERVALS = 3  # at least, for a rate
WINDOW_SECONDS = 60.0  # of what varies: "ultra-short-term" (Munoz et al. 2015, Shaffer & Ginsberg 2017)
DIFFERENCES = 15  # at least, for RMSSD: its standard error is about 1 in sqrt(2 n), here 18 %
DRIFT_SECONDS = 3.0  # intervals and clock may be apart by this: a packet's delay, a beat that got lost
MOST_INTERVALS = 300  # 60 s of the shortest, and half as many that are wrong

CHECKED_SECONDS = 10.0  # of packets are held against the clock, and against the rates that came with them
CHECKED_PACKETS = 3  # at least, for the rates
MOST_PACKETS = 64
CROWDED = 1.25  # seconds of beats a second; two hearts make 2, beats that were invented still 1
EXTRA_SECONDS = 5.0  # what a strap may keep back, or send again
APART = 1.5  # a rate lags behind the beats by some seconds: no heart at rest is so much faster by then


@dataclass(slots=True)
class _Interval:
    end: float
    ms: float
    follows: bool  # the beat before it ended the interval before it
    normal: bool = True


@dataclass(frozen=True, slots=True)
class _Packet:
    now: float
    seconds: float  # of beats
    ms: float  # the median of its intervals
    bpm: float | None


class HeartSignal:
    """The intervals of the last minute, each judged by its neighbours.

    A verdict on an interval may change until three more have come; so it counts at once, and in the end rightly.
    """

    def __init__(self) -> None:
        self._intervals: deque[_Interval] = deque(maxlen=MOST_INTERVALS)
        self._rates: deque[tuple[float, float]] = deque(maxlen=MOST_INTERVALS)  # when, bpm
        self._packets: deque[_Packet] = deque(maxlen=MOST_PACKETS)  # the first tells since when
        self._contradiction: str | None = None
        self._end = -math.inf  # of the last interval, by the sum of all since the last gap
        self._recent: tuple[float, list[_Interval]] = (-math.inf, [])

    def add(self, rr_ms: Sequence[float], bpm: float | None, now: float) -> None:
        """Intervals between successive beats, in order, the last of which ended about `now`; the device's own rate.

        Where the intervals and the clock disagree by more than `DRIFT_SECONDS`, beats are missing (or were sent twice),
        and what comes is not taken as the continuation of what was. Intervals that contradict the clock or the rates
        are dropped.
        """
        self._recent = (-math.inf, [])
        if bpm is not None:
            self._rates.append((now, bpm))
        if not rr_ms:
            return
        seconds = sum(rr_ms) / 1000
        self._check(_Packet(now, seconds, _median(sorted(rr_ms)), bpm))
        if self._contradiction is not None:
            self._intervals.clear()
            return
        follows = abs(now - (self._end + seconds)) <= DRIFT_SECONDS
        self._end = min(self._end + seconds, now) if follows else now
        end = self._end - seconds
        for ms in rr_ms:
            end += ms / 1000
            latest = self._intervals[-1].end if self._intervals else end
            self._intervals.append(_Interval(max(end, latest), ms, follows))
            follows = True
        self._judge(len(rr_ms))

    def heart_rate_bpm(self, now: float) -> float | None:
        """Beats a minute over the last 12 s: of the intervals, or, without any, the mean of what the device said.

        A stretch that was rejected counts as many beats as its neighbours would have made of it.
        None where fewer than three intervals, or less than half of them, are normal, and the device says nothing.
        """
        intervals = self._since(now, RATE_SECONDS)
        normal = [place for place, interval in enumerate(intervals) if interval.normal]
        if len(normal) >= max(RATE_INTERVALS, len(intervals) / 2):
            return _rate(intervals, normal)
        told = [bpm for at, bpm in self._rates if now - RATE_SECONDS < at <= now and _within(RATE_BPM, bpm)]
        return sum(told) / len(told) if told else None

    def rmssd_ms(self, now: float) -> float | None:
        """Root mean square of successive differences over the last 60 s, in ms (Task Force 1996, table 1).

        Only of normal intervals that follow each other and are no jump apart, so that a gap makes no difference. None
        where there are fewer than 15 differences.
        """
        pairs = pairwise(self._since(now, WINDOW_SECONDS))
        squares = [
            (after.ms - before.ms) ** 2
            for before, after in pairs
            if before.normal and after.normal and after.follows and abs(after.ms - before.ms) <= JUMP * before.ms
        ]
        return math.sqrt(sum(squares) / len(squares)) if len(squares) >= DIFFERENCES else None

    def ln_rmssd(self, now: float) -> float | None:
        """Natural logarithm of RMSSD in ms, which is about normally distributed. None where RMSSD is None or 0."""
        rmssd = self.rmssd_ms(now)
        return math.log(rmssd) if rmssd else None

    def respiration_per_minute(self, now: float) -> float | None:
        """Breaths a minute by respiratory sinus arrhythmia, over the last 60 s; None where it is not clear."""
        normal = [interval for interval in self._since(now, WINDOW_SECONDS) if interval.normal]
        return respiration_per_minute([interval.end for interval in normal], [interval.ms for interval in normal])

    def artefact_share(self, now: float, seconds: float = WINDOW_SECONDS) -> float:
        """How much of the last `seconds`, at most 60, is no normal interval, 0 to 1; 0 for nothing.

        Where the device tells no intervals: how many of its rates are beyond 30 to 200 beats a minute.
        """
        intervals = self._since(now, seconds)
        if intervals:
            return sum(not interval.normal for interval in intervals) / len(intervals)
        told = [_within(RATE_BPM, bpm) for at, bpm in self._rates if now - seconds < at <= now]
        return told.count(False) / len(told) if told else 0.0

    def contradiction(self, now: float) -> str | None:
        """What cannot be true of the intervals of the last 10 s, in a plain phrase; None where nothing is wrong."""
        current = bool(self._packets) and now - self._packets[-1].now < CHECKED_SECONDS
        return self._contradiction if current else None

    def _check(self, packet: _Packet) -> None:
        """Hold the last 10 s against the clock, and against the rates: by medians, which bear with a few artefacts."""
        packets = self._packets
        packets.append(packet)
        while len(packets) > 1 and packets[1].now <= packet.now - CHECKED_SECONDS:
            packets.popleft()
        beats_seconds = sum(packet.seconds for packet in islice(packets, 1, None))
        if beats_seconds > CROWDED * (packet.now - packets[0].now) + EXTRA_SECONDS:
            self._contradiction = "more beats than time; two wearables may be sending"
        else:
            self._contradiction = "its beats and its rate do not agree" if _disagree(packets) else None

    def _since(self, now: float, seconds: float) -> list[_Interval]:
        """Those that ended in the last `seconds`. The last minute's are kept until `now` moves or something comes."""
        if self._recent[0] != now:
            begin = now - WINDOW_SECONDS
            self._recent = (now, [interval for interval in self._intervals if begin < interval.end <= now])
        intervals = self._recent[1]
        return intervals[bisect_right(intervals, now - seconds, key=attrgetter("end")) :]

    def _judge(self, new: int) -> None:
        """Judges the `new` last intervals, and once more those that have neighbours among them."""
        reach = min(len(self._intervals), new + 2 * NEIGHBOURS)
        tail = list(islice(reversed(self._intervals), reach))[::-1]
        for place in range(max(0, reach - new - NEIGHBOURS), reach):
            around = tail[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]
            tail[place].normal = _is_normal(tail, place, _median(sorted(interval.ms for interval in around)))


def _is_normal(intervals: Sequence[_Interval], place: int, usual_ms: float) -> bool:
    """Whether an interval is possible, near the median around it, and has no part in a jump.

    A beat at the wrong time makes one interval too long and the other too short; both go. The good interval beside a
    missed beat stays.
    """
    interval = intervals[place]
    apart = abs(interval.ms - usual_ms)
    if not _within(INTERVAL_MS, interval.ms) or apart > JUMP * usual_ms:
        return False
    beside = intervals[max(0, place - 1) : place + 2]
    return apart <= ODD * usual_ms or all(abs(interval.ms - other.ms) <= JUMP * usual_ms for other in beside)


def _rate(intervals: Sequence[_Interval], normal: Sequence[int]) -> float:
    """Beats over time from the first normal interval to the last; what lies between two has the pace of their mean."""
    beats, total_ms = 1.0, intervals[normal[0]].ms
    for before, after in pairwise(normal):
        between = intervals[before + 1 : after + 1]
        beats, total_ms = beats + 1, total_ms + intervals[after].ms
        if len(between) > 1 and all(interval.follows for interval in between):
            rejected_ms = sum(interval.ms for interval in between[:-1])
            beats += rejected_ms / ((intervals[before].ms + intervals[after].ms) / 2)
            total_ms += rejected_ms
    return 60_000 * beats / total_ms


def _disagree(packets: Iterable[_Packet]) -> bool:
    rated = [(packet.bpm, packet.ms) for packet in packets if packet.bpm is not None]
    if len(rated) < CHECKED_PACKETS:
        return False
    usual_bpm, usual_ms = (_median(sorted(column)) for column in zip(*rated, strict=True))
    return not 1 / APART <= usual_bpm * usual_ms / 60_000 <= APART


def _within(bounds: tuple[float, float], value: float) -> bool:
    return bounds[0] <= value <= bounds[1]


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
