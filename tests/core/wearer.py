"""Somebody who wears sensors: readings as a living body gives them, second by second, fed to `Sensing`."""

import math
import random
from dataclasses import dataclass, field

from musicmed_live.core.profile import Profile
from musicmed_live.core.readings import HeartRate, Kind, Motion, Reading, Respiration, SkinConductance
from musicmed_live.core.sensing import ArousalObservation, Sensing
from musicmed_live.core.sources import SourceState

EPOCH = 1_763_800_000.0  # what the server's clock shows at `now` = 0


@dataclass
class Wearer:
    """Time, the body, and what has been said of it."""

    sensing: Sensing = field(default_factory=lambda: Sensing(Profile()))
    now: float = 1000.0
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    said: list[tuple[float, ArousalObservation]] = field(default_factory=list)

    @property
    def at(self) -> float:
        return EPOCH + self.now

    def send(self, reading: Reading) -> ArousalObservation | None:
        observation = self.sensing.take(reading, self.at - reading.at, self.now)
        if observation is not None:
            self.said.append((self.now, observation))
        return observation

    def beat(self, seconds: float, bpm: float, false_share: float = 0.0) -> None:
        """A chest strap's packet each second; breathing shows in the intervals."""
        over = self.now + seconds
        while self.now < over:
            swing = 1 + 0.04 * math.sin(2 * math.pi * self.now / 4) + self.chance.gauss(0, 0.01)
            rr_ms = 60_000 / bpm * swing
            if self.chance.random() < false_share:
                rr_ms *= self.chance.choice((0.4, 1.9))
            self.now += rr_ms / 1000
            self.send(HeartRate(self.at, float(round(bpm)), (rr_ms,), contact=True))

    def sweat(self, seconds: float, us: float, responses_per_minute: float) -> None:
        """Electrodes, four times a second; a response rises by .3 µS in a second and falls within some five."""
        begin = self.now
        while self.now < begin + seconds:
            self.now += 0.25
            since = (self.now - begin) % (60 / responses_per_minute)
            response = 0.3 * (min(1.0, since) if since < 1 else math.exp(-(since - 1) / 1.5))
            self.send(SkinConductance(self.at, us + response + self.chance.gauss(0, 0.002), contact=True))

    def breathe(self, seconds: float, breaths_per_minute: float) -> None:
        """A belt, once a second."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.send(Respiration(self.at, breaths_per_minute + self.chance.gauss(0, 0.2)))

    def move(self, g: float) -> None:
        self.send(Motion(self.at, g + self.chance.uniform(0, 0.001)))

    def source(self, kind: Kind = Kind.HEART_RATE) -> SourceState:
        return next(state for state in self.sensing.sources(self.now) if state.kind is kind)

    def arousal(self) -> float:
        """What was said last."""
        return self.said[-1][1].value
