"""Texture: the accompaniment of a bar, layer by layer, in beats.

Every layer has a presence that moves smoothly with the emotion, on top of the rhythms that fill up with arousal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from musicmed_live.composer.expression import SILENT_DB, between, decibels, ramp, tension
from musicmed_live.composer.harmony import Chord, Scale, Voicing
from musicmed_live.composer.melody import Sung
from musicmed_live.composer.orchestration import Cast, bed_stops, into_range, presence
from musicmed_live.composer.preferences import Ensemble, Layer
from musicmed_live.composer.rhythm import (
    BACKBEAT,
    BASS,
    CROTCHETS,
    CYMBALS,
    FIGURE,
    KICKS_AT_EASE,
    KICKS_IN_TENSION,
    OFFBEATS,
    OSTINATO,
    TAMBOURINES,
    TIMPANI,
    Hit,
    sounding,
)
from musicmed_live.core.emotion import Emotion

_OVERLAPS = {"pad": 0.7}  # beats that a chord sounds into the next one, which takes as long to speak
_OVERLAP = 0.25  # of the other instruments


@dataclass(frozen=True, slots=True)
class Stroke:
    """A note in beats of its bar, before it is laid on the beat grid. `softer` is in velocity steps."""

    layer: Layer
    beat: float
    beats: float
    instrument: str
    key: int
    level_db: float
    softer: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the bar with one chord."""

    beat: float
    beats: float
    chord: Chord
    voicing: Voicing


@dataclass(frozen=True, slots=True)
class Setting:
    """All that the accompaniment of a bar depends on."""

    emotion: Emotion
    ensemble: Ensemble
    cast: Cast
    scale: Scale
    spans: tuple[Span, ...]
    bar: int  # of the phrase, 0..3
    shape: int  # of the figure, 0..3
    rng: Random


@dataclass(frozen=True, slots=True)
class Drum:
    """One drum of the kit (a key of the General MIDI drum map), and the valences between which it is faded in."""

    key: int
    hits: tuple[Hit, ...]
    balance_db: float
    absent_at: float
    full_at: float


DRUMS = (
    Drum(70, CYMBALS, -12.0, -0.3, 0.2),  # shaker
    Drum(42, CYMBALS, -6.0, 0.2, -0.3),  # closed hi-hat
    Drum(36, KICKS_AT_EASE, -14.0, -0.3, 0.2),
    Drum(36, KICKS_IN_TENSION, -14.0, 0.2, -0.3),
    Drum(38, BACKBEAT, -10.0, -2.0, -1.0),  # snare, brushed
    Drum(54, TAMBOURINES, -19.0, 0.0, 0.4),
)


def accompany(setting: Setting) -> list[Stroke]:
    """The whole accompaniment of one bar of four beats."""
    strokes = [*_drums(setting), *_timpani(setting)]
    for span in setting.spans:
        strokes += [*_bed(setting, span), *_bass(setting, span), *_figure(setting, span), *_pulse(setting, span)]
    return strokes


def counter_melody(setting: Setting, sung: Sequence[Sung]) -> Iterator[Stroke]:
    """A second voice in chord tones, which moves where the melody holds or rests."""
    player = setting.cast.counter
    share = ramp(setting.emotion.arousal, 0.9, 0.2)
    if player is None or share == 0:
        return
    busy = {int(one.beat) for one in sung}
    for start in (0, 2):
        if start in busy and start + 1 in busy:
            continue
        span = _span_at(setting.spans, start)
        beat, beats = (start, 2.0) if start not in busy else (start + 1, 1.0)
        key = into_range(span.voicing[1 + (start == 2)], player)
        yield Stroke(Layer.COUNTER, beat, beats, player, key, -6.0 + decibels(share), 8)


def shimmer(setting: Setting, sung: Sequence[Sung]) -> Iterator[Stroke]:
    """Bells that double a joyful melody an octave above."""
    emotion = setting.emotion
    share = presence(
        setting.ensemble, "glockenspiel", ramp(emotion.valence, 0.1, 0.6) * ramp(emotion.arousal, 0.3, 0.8)
    )
    level_db = decibels(share)
    if level_db <= SILENT_DB:
        return
    for one in sung:
        if one.beat == int(one.beat):
            key = into_range(one.key + 12, "glockenspiel")
            yield Stroke(Layer.SHIMMER, one.beat, one.beats, "glockenspiel", key, level_db - 10)


def _bed(setting: Setting, span: Span) -> Iterator[Stroke]:
    for stop in bed_stops(setting.ensemble, setting.emotion):
        level_db = decibels(stop.presence) - 11 - 2 * ramp(setting.emotion.arousal, -0.2, -0.9)
        if stop.instrument == "tremolo":
            level_db += 4 * tension(setting.emotion)
        beats = span.beats + _OVERLAPS.get(stop.instrument, _OVERLAP)
        for key in span.voicing:
            placed = into_range(key, stop.instrument)
            yield Stroke(Layer.BED, span.beat, beats, stop.instrument, placed, level_db, 8)


def _bass(setting: Setting, span: Span) -> Iterator[Stroke]:
    player, emotion = setting.cast.bass, setting.emotion
    if player is None:
        return
    lowest = round(between(emotion.valence, 35, 41))
    root = into_range(lowest + (span.chord.root - lowest) % 12, player)
    fifth = root + (span.chord.fifth - span.chord.root) % 12
    gate = between(emotion.arousal, 1.0, 0.7)
    weight_db = -6 - 3 * ramp(emotion.valence, 0.0, 0.8)  # joy is light
    for beat, beats, level_db in sounding(BASS, emotion.arousal, (span.beat, span.beats)):
        within = beat - span.beat
        key = fifth if within == 2 and span.beats == 4 else root
        if within % 1 == 0.5 and emotion.valence > 0.2:
            key = root + 12
        yield Stroke(Layer.BASS, beat, beats * gate, player, into_range(key, player), level_db + weight_db, 4)


def _figure(setting: Setting, span: Span) -> Iterator[Stroke]:
    player, emotion, rng = setting.cast.figure, setting.emotion, setting.rng
    if player is None:
        return
    steps = _shape(setting.shape, sorted({*span.voicing, span.voicing[0] + 12, span.voicing[1] + 12}))
    lift = 12 if player in ("harp", "celesta") else 0
    keep, gate = between(emotion.arousal, 0.9, 0.98), between(emotion.arousal, 2.2, 0.8)
    for step, (beat, beats, level_db) in enumerate(sounding(FIGURE, emotion.arousal, (span.beat, span.beats))):
        if step == 0 or rng.random() < keep:
            key = into_range(steps[step % len(steps)] + lift, player)
            yield Stroke(Layer.FIGURE, beat, beats * gate, player, key, level_db - 5, 6)


def _shape(shape: int, keys: list[int]) -> list[int]:
    """The order in which a figure runs through its keys: up, down, broken, there and back."""
    if shape == 0:
        return keys
    if shape == 1:
        return keys[::-1]
    if shape == 2:
        return [key for pair in zip(keys[::2], keys[1::2], strict=False) for key in pair[::-1]]
    return keys + keys[-2:0:-1]


def _pulse(setting: Setting, span: Span) -> Iterator[Stroke]:
    emotion, ensemble = setting.emotion, setting.ensemble
    stretch = (span.beat, span.beats)
    plucked = presence(ensemble, "pizzicato", 0.7 + 0.3 * ramp(emotion.valence, -0.4, 0.4))
    for beat, _, level_db in sounding(OFFBEATS, emotion.arousal, stretch):
        lift = 12 if setting.rng.random() < ramp(emotion.valence, -0.4, 0.4) else 0
        key = into_range(setting.rng.choice(span.voicing) + lift, "pizzicato")
        yield from _audible(Stroke(Layer.PULSE, beat, 0.3, "pizzicato", key, level_db + decibels(plucked) - 6, 4))
    bowed = presence(ensemble, "violins", ramp(emotion.valence, -0.1, 0.3))
    for beat, _, level_db in sounding(CROTCHETS, emotion.arousal, stretch):
        for key in span.voicing[-3:]:
            placed = into_range(key + 12, "violins")
            yield from _audible(Stroke(Layer.PULSE, beat, 0.45, "violins", placed, level_db + decibels(bowed) - 9, 6))
    driven = presence(ensemble, "cello", ramp(emotion.valence, 0.05, -0.4))
    low = into_range(36 + span.chord.root, "cello")
    for beat, _, level_db in sounding(OSTINATO, emotion.arousal, stretch):
        yield from _audible(Stroke(Layer.PULSE, beat, 0.3, "cello", low, level_db + decibels(driven) - 7, 2))


def _timpani(setting: Setting) -> Iterator[Stroke]:
    emotion = setting.emotion
    share = presence(setting.ensemble, "timpani", ramp(emotion.valence, 0.1, -0.4))
    tonic, dominant = into_range(36 + setting.scale.tonic, "timpani"), into_range(43 + setting.scale.tonic, "timpani")
    key = dominant if setting.bar == 3 else tonic
    for beat, _, level_db in sounding(TIMPANI, emotion.arousal, (0, 4)):
        yield from _audible(Stroke(Layer.DRUMS, beat, 1.5, "timpani", key, level_db + decibels(share) - 7))


def _drums(setting: Setting) -> Iterator[Stroke]:
    kit_db = decibels(presence(setting.ensemble, "percussion", 1.0))
    arousal = _drum_arousal(setting)
    for drum in DRUMS:
        level_db = kit_db + drum.balance_db + decibels(ramp(setting.emotion.valence, drum.absent_at, drum.full_at))
        for beat, _, hit_db in sounding(drum.hits, arousal, (0, 4)):
            yield from _audible(Stroke(Layer.DRUMS, beat, 0.25, "percussion", drum.key, hit_db + level_db))


def _drum_arousal(setting: Setting) -> float:
    """The drums are an ornament: where they are wanted, or all that may play, they begin earlier."""
    cast = setting.cast
    alone = cast.melody is None and cast.bass is None
    if alone or "percussion" in setting.ensemble.wanted:
        return max(setting.emotion.arousal, between(setting.emotion.arousal, 0.2, 1.0))
    return setting.emotion.arousal


def _audible(stroke: Stroke) -> Iterator[Stroke]:
    if stroke.level_db > -36:
        yield stroke


def _span_at(spans: tuple[Span, ...], beat: float) -> Span:
    return next(span for span in reversed(spans) if span.beat <= beat)
