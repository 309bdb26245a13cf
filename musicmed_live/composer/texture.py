"""Texture: the accompaniment of a bar, layer by layer, in beats.

Every rhythm is a list of hits that each know from which arousal on they are heard, and are faded in from there. So a
pattern fills up gradually as arousal rises, and no layer is ever switched on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from musicmed_live.composer.expression import SILENT_DB, between, decibels, ramp, tension
from musicmed_live.composer.harmony import Chord, Scale, Voicing
from musicmed_live.composer.melody import Sung
from musicmed_live.composer.orchestration import Cast, bed_stops, into_range, presence
from musicmed_live.composer.preferences import Ensemble, Layer
from musicmed_live.core.emotion import Emotion

ALWAYS = -9.0
FADE_WIDTH = 0.3  # of arousal, over which a hit is faded in
BED_OVERLAP = 0.25  # beats that a chord sounds into the next one, which takes as long to speak

SHAKER, CLOSED_HAT, KICK, SNARE, TAMBOURINE = 70, 42, 36, 38, 54  # keys of the General MIDI drum map


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the bar (in beats), the arousal from which on it is heard, and its accent."""

    beat: float
    enters_at: float
    accent_db: float = 0.0


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


BASS = (
    Hit(0, ALWAYS),
    Hit(0.5, 0.55, -5),
    Hit(1, 0.05, -3),
    Hit(1.5, 0.55, -5),
    Hit(2, -0.55, -1.5),
    Hit(2.5, 0.55, -5),
    Hit(3, 0.05, -3),
    Hit(3.5, 0.55, -5),
)
FIGURE = (
    *(Hit(beat, ALWAYS, 0.0) for beat in (0, 2)),
    *(Hit(beat, -0.75, -1.0) for beat in (1, 3)),
    *(Hit(beat, -0.35, -2.0) for beat in (0.5, 1.5, 2.5, 3.5)),
    *(Hit(beat, 0.5, -4.0) for beat in (0.75, 1.75, 2.75, 3.75)),
    *(Hit(beat, 0.95, -5.0) for beat in (0.25, 1.25, 2.25, 3.25)),
)
OFFBEATS = tuple(Hit(beat, -0.05, -1.0) for beat in (0.5, 1.5, 2.5, 3.5))
CROTCHETS = tuple(Hit(beat, 0.4) for beat in (0, 1, 2, 3))
OSTINATO = (
    *(Hit(beat, 0.15) for beat in (0, 1, 2, 3)),
    *(Hit(beat, 0.3, -3.0) for beat in (0.5, 1.5, 2.5, 3.5)),
)
TIMPANI = (Hit(0, 0.2), Hit(2.5, 0.35, -2.0), Hit(1.5, 0.6, -3.0), Hit(3.5, 0.7, -3.0))
CYMBALS = (
    *(Hit(beat, -0.05) for beat in (0, 1, 2, 3)),
    *(Hit(beat, 0.1, -3.0) for beat in (0.5, 1.5, 2.5, 3.5)),
    *(Hit(beat, 0.6, -6.0) for beat in (0.75, 1.75, 2.75, 3.75)),
    *(Hit(beat, 0.95, -6.0) for beat in (0.25, 1.25, 2.25, 3.25)),
)
KICKS_AT_EASE = (Hit(0, 0.3), Hit(2, 0.35))
KICKS_IN_TENSION = (Hit(0, 0.3), Hit(1.5, 0.5, -2.0), Hit(3, 0.4, -1.0))
BACKBEAT = (Hit(1, 0.4), Hit(3, 0.4))
TAMBOURINES = tuple(Hit(beat, 0.5) for beat in (0.5, 1.5, 2.5, 3.5))


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


def sounding(hits: Sequence[Hit], arousal: float, span: tuple[float, float]) -> Iterator[tuple[float, float, float]]:
    """(beat, beats until the next hit, level in dB) of the hits heard at this arousal within (beat, beats)."""
    start, end = span[0], span[0] + span[1]
    heard = []
    for hit in sorted(hits, key=lambda one: one.beat):
        level_db = decibels(ramp(arousal, hit.enters_at - FADE_WIDTH / 2, hit.enters_at + FADE_WIDTH / 2))
        if start <= hit.beat < end and level_db > SILENT_DB:
            heard.append((hit.beat, level_db + hit.accent_db))
    for (beat, level_db), (following, _) in pairwise([*heard, (end, 0.0)]):
        yield beat, following - beat, level_db


def _bed(setting: Setting, span: Span) -> Iterator[Stroke]:
    for stop in bed_stops(setting.ensemble, setting.emotion):
        level_db = decibels(stop.presence) - 11 - 2 * ramp(setting.emotion.arousal, -0.2, -0.9)
        if stop.instrument == "tremolo":
            level_db += 4 * tension(setting.emotion)
        for key in span.voicing:
            placed = into_range(key, stop.instrument)
            yield Stroke(Layer.BED, span.beat, span.beats + BED_OVERLAP, stop.instrument, placed, level_db, 8)


def _bass(setting: Setting, span: Span) -> Iterator[Stroke]:
    player, emotion = setting.cast.bass, setting.emotion
    if player is None:
        return
    root = (
        into_range(36 + span.chord.root, player)
        if emotion.valence < 0
        else into_range(40 + (span.chord.root - 4) % 12, player)
    )
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
    lift = 12 if player in ("harp", "celesta") and emotion.valence > 0 else 0
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
    plucked = presence(ensemble, "pizzicato", between(ramp(emotion.valence, -0.4, 0.4), 0.4, 1.0))
    octave = 12 if emotion.valence > 0 else 0
    for beat, _, level_db in sounding(OFFBEATS, emotion.arousal, stretch):
        key = into_range(setting.rng.choice(span.voicing) + octave, "pizzicato")
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
    emotion = setting.emotion
    pleasant = emotion.valence > 0
    kit = [
        (SHAKER, CYMBALS, -12.0) if pleasant else (CLOSED_HAT, CYMBALS, -6.0),
        (KICK, KICKS_AT_EASE if pleasant else KICKS_IN_TENSION, -14.0),
        (SNARE, BACKBEAT, -10.0),
    ]
    if pleasant:
        kit.append((TAMBOURINE, TAMBOURINES, -19.0))
    level_db = decibels(presence(setting.ensemble, "percussion", 1.0))
    for key, hits, balance_db in kit:
        for beat, _, hit_db in sounding(hits, _drum_arousal(setting), (0, 4)):
            yield from _audible(Stroke(Layer.DRUMS, beat, 0.25, "percussion", key, hit_db + balance_db + level_db))


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
