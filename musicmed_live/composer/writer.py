"""The writer: one bar after the other, as a pure function of the thread so far and the emotion wanted.

All chance is drawn from generators seeded with the session's seed, the bar and a purpose. So keeping a thread is
keeping everything: whoever takes an old thread up again continues from there.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random

from musicmed_live.composer import texture
from musicmed_live.composer.expression import PHRASE_ARCH_DB, loudness_lufs, melody_centre, ramp, velocity
from musicmed_live.composer.form import BARS_PER_PHRASE, is_answer, theme_label
from musicmed_live.composer.harmony import Chord, Voicing, build_chord, lead_voices
from musicmed_live.composer.instruments import INSTRUMENTS, Instrument
from musicmed_live.composer.level import level_bar
from musicmed_live.composer.melody import Line, Sung, sing, theme
from musicmed_live.composer.orchestration import into_range
from musicmed_live.composer.phrase import Phrase, begin_phrase
from musicmed_live.composer.preferences import Ensemble, Layer
from musicmed_live.composer.score import Bar, Note
from musicmed_live.composer.tempo import BEATS_PER_BAR
from musicmed_live.composer.texture import Setting, Span, Stroke
from musicmed_live.core.emotion import Emotion

LARGE_MOVE = 0.35  # of emotion within a phrase: the phrase begins anew, in other clothes

_DROWNED_DB = 36.0  # below the loudest note of the bar
_TIMING_BEATS = 0.006  # standard deviation of a player's timing
_VELOCITY_STEPS = 3.0  # and of the touch
_HOLD_BEATS = 5.0  # of the final chord


class Ending(Enum):
    """What a bar is to the end of the piece."""

    NONE = auto()
    CADENCE = auto()  # leads to the rest
    REST = auto()  # the final chord
    SILENCE = auto()  # in which it dies away


@dataclass(frozen=True, slots=True)
class Thread:
    """The music so far, as much of it as its continuation depends on."""

    seed: int
    bars: int = 0  # written so far
    phrase: Phrase | None = None
    bar: int = 0  # of the phrase: the next to be written
    voicing: Voicing = ()
    melody_key: int | None = None


def write_bar(
    thread: Thread,
    emotion: Emotion,
    ensemble: Ensemble,
    beats: tuple[int, ...],
    tempo_bpm: float,
    ending: Ending = Ending.NONE,
) -> tuple[Bar, Thread]:
    """Write the next bar and return it with the thread after it.

    `beats` are the positions of its beats and of its end; a bar of fewer than four beats is cut short.
    """
    phrase, place = _phrase_of(thread, emotion, ensemble)
    setting = _setting(thread, phrase, place, emotion, ending)
    sung = _melody(thread, phrase, setting) if ending in (Ending.NONE, Ending.CADENCE) else []
    touch = Random(f"{thread.seed}:{thread.bars}:touch")
    strokes = [stroke for stroke in _strokes(phrase, setting, sung, ending) if stroke.beat < len(beats) - 1]
    notes = _undrowned([_place(stroke, setting, beats, touch) for stroke in strokes])
    loudness = loudness_lufs(emotion) + PHRASE_ARCH_DB[place]
    bar = Bar(beats, level_bar(notes, beats[-1] - beats[0], loudness), tempo_bpm, phrase.scale.name, emotion)
    following = replace(
        thread,
        bars=thread.bars + 1,
        phrase=phrase,
        bar=(place + 1) % BARS_PER_PHRASE,
        voicing=setting.spans[-1].voicing,
        melody_key=sung[-1].key if sung else thread.melody_key,
    )
    return bar, following


def _phrase_of(thread: Thread, emotion: Emotion, ensemble: Ensemble) -> tuple[Phrase, int]:
    """The phrase of the next bar, and the bar's place in it."""
    phrase = thread.phrase
    if phrase is None:
        return begin_phrase(thread.seed, 0, emotion, ensemble, None), 0
    if thread.bar == 0 and thread.bars:
        cast = phrase.cast if is_answer(phrase.number + 1) and phrase.ensemble == ensemble else None
        return begin_phrase(thread.seed, phrase.number + 1, emotion, ensemble, cast), 0
    if phrase.emotion.distance(emotion) > LARGE_MOVE or phrase.ensemble != ensemble:
        return begin_phrase(thread.seed, phrase.number, emotion, ensemble, None), 0
    return phrase, thread.bar


def _setting(thread: Thread, phrase: Phrase, place: int, emotion: Emotion, ending: Ending) -> Setting:
    return Setting(
        emotion,
        phrase.ensemble,
        phrase.cast,
        phrase.scale,
        _spans(thread, phrase, place, emotion, ending),
        place,
        Random(f"{thread.seed}:{theme_label(phrase.number)}:shape").randrange(4),
        Random(f"{thread.seed}:{thread.bars}:texture"),
    )


def _spans(thread: Thread, phrase: Phrase, place: int, emotion: Emotion, ending: Ending) -> tuple[Span, ...]:
    degrees = _degrees(thread.seed, phrase, place, emotion, ending)
    beats = BEATS_PER_BAR / len(degrees)
    voicing = thread.voicing
    spans = []
    for index, degree in enumerate(degrees):
        rng = Random(f"{thread.seed}:{theme_label(phrase.number)}:{place}:{index}:colour")
        chord: Chord = build_chord(phrase.scale, degree, emotion, rng)
        voicing = lead_voices(chord, voicing, emotion)
        spans.append(Span(index * beats, beats, chord, voicing))
    return tuple(spans)


def _degrees(seed: int, phrase: Phrase, place: int, emotion: Emotion, ending: Ending) -> tuple[int, ...]:
    """The bar's one or two chords."""
    if ending is not Ending.NONE:
        return (phrase.scale.dominant,) if ending is Ending.CADENCE else (0,)
    degree = phrase.progression[place]
    rng = Random(f"{seed}:{theme_label(phrase.number)}:{place}:rhythm")
    quickens = rng.random() < 0.5 * ramp(emotion.arousal, 0.2, 0.8)
    if quickens and place != BARS_PER_PHRASE - 1:
        seconds = [second for step in (2, 5) if phrase.scale.has_fifth(second := (degree + step) % 7)]
        return degree, rng.choice(seconds)
    return (degree,)


def _melody(thread: Thread, phrase: Phrase, setting: Setting) -> list[Sung]:
    singer = phrase.cast.melody
    if singer is None or phrase.melody_rests:
        return []
    player = INSTRUMENTS[singer]
    line = Line(
        player,
        _within(melody_centre(setting.emotion), player),
        phrase.scale,
        tuple(span.chord for span in setting.spans),
        setting.emotion,
    )
    rng = Random(f"{thread.seed}:{thread.bars}:melody")
    tune = theme(thread.seed, theme_label(phrase.number))
    same_singer = thread.phrase is not None and thread.phrase.cast.melody == singer
    last_key = thread.melody_key if same_singer else None
    return sing(tune, setting.bar, line, last_key, is_answer(phrase.number), rng)


def _within(centre: float, player: Instrument) -> float:
    """The centre moved by octaves until the melody has room above and below it."""
    while centre > player.highest - 7:
        centre -= 12
    while centre < player.lowest + 6:
        centre += 12
    return centre


def _strokes(phrase: Phrase, setting: Setting, sung: list[Sung], ending: Ending) -> list[Stroke]:
    if ending is Ending.SILENCE:
        return []
    if ending is Ending.REST:
        return _final_chord(setting)
    return [*texture.accompany(setting), *_voices(phrase, setting, sung)]


def _voices(phrase: Phrase, setting: Setting, sung: list[Sung]) -> list[Stroke]:
    singer = phrase.cast.melody
    level_db = -2.5 * ramp(setting.emotion.arousal, -0.2, -0.9)  # in calm the melody is one voice among others
    melody = [
        Stroke(Layer.MELODY, one.beat, one.beats, singer, one.key, level_db, -6) for one in sung if singer is not None
    ]
    counter = list(texture.counter_melody(setting, sung)) if phrase.counter_sings or not sung else []
    return [*melody, *counter, *texture.shimmer(setting, sung)]


def _final_chord(setting: Setting) -> list[Stroke]:
    """The tonic, spread upwards and held."""
    cast, span = setting.cast, setting.spans[0]
    strokes = [stroke for stroke in texture.accompany(setting) if stroke.layer is Layer.BED]
    strokes = [replace(stroke, beats=_HOLD_BEATS) for stroke in strokes]
    if cast.bass is not None:
        root = into_range(36 + span.chord.root, cast.bass)
        strokes.append(Stroke(Layer.BASS, 0, _HOLD_BEATS, cast.bass, root, -3.0, 4))
    if cast.figure is not None:
        spread = [*span.voicing, span.voicing[0] + 12]
        strokes += [
            Stroke(Layer.FIGURE, 0.15 * index, _HOLD_BEATS, cast.figure, into_range(key, cast.figure), -4.0, 6)
            for index, key in enumerate(spread)
        ]
    if cast.melody is not None:
        centre = round(_within(melody_centre(setting.emotion), INSTRUMENTS[cast.melody]))
        tonic = centre + (setting.scale.tonic - centre + 6) % 12 - 6
        strokes.append(Stroke(Layer.MELODY, 0, _HOLD_BEATS, cast.melody, into_range(tonic, cast.melody), -2.0))
    return strokes or texture.accompany(setting)


def _undrowned(notes: list[Note]) -> list[Note]:
    """Without those that the others drown anyway."""
    loudest = max((note.level_db for note in notes), default=0.0)
    return [note for note in notes if note.level_db > loudest - _DROWNED_DB]


def _place(stroke: Stroke, setting: Setting, beats: tuple[int, ...], touch: Random) -> Note:
    """Lay a stroke on the beat grid, as a player would, but never before its beat: the music may be cut there."""
    played = max(math.floor(stroke.beat), stroke.beat + touch.gauss(0, _TIMING_BEATS))
    onset = min(_frame_at(played, beats), beats[-1] - 1)
    release = _frame_at(stroke.beat + stroke.beats, beats)
    accent = 4 if stroke.beat % 2 == 0 else 0
    struck = velocity(setting.emotion) + accent - stroke.softer + touch.gauss(0, _VELOCITY_STEPS)
    return Note(
        onset,
        max(1, release - onset),
        stroke.instrument,
        stroke.key,
        min(122.0, max(8.0, struck)),
        stroke.level_db + setting.ensemble.fader_db(stroke.layer),
    )


def _frame_at(beat: float, beats: tuple[int, ...]) -> int:
    """The frame of a place in the bar; past its end the last beat's length goes on."""
    whole = min(int(beat), len(beats) - 2)
    return round(beats[whole] + (beat - whole) * (beats[whole + 1] - beats[whole]))
