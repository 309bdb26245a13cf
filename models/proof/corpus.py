"""The corpus: music that the composer makes at emotions all over the plane, 32 kHz mono, and a table of it."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # soxr has no annotations

from models.clips import make_folder
from models.loudness import at_one_loudness
from models.whole import whole
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Preference, frames_of
from musicmed_live.core.judgement import Mono
from musicmed_live.musicgen.parts import CODEC_RATE

TABLE = "corpus.csv"
COLUMNS = ("path", "valence", "arousal", "split", "instruments")
UNPITCHED = Preference(forbid=("percussion", "timpani"))  # the codec has a token for pitches, none for noise
SETTLING_SECONDS = 4.0
VALIDATION_EVERY = 10  # one track of so many is kept for validation


@dataclass(frozen=True, slots=True)
class Track:
    """One piece of the corpus: a seed of the composer, at one emotion throughout."""

    name: str
    seed: int
    emotion: Emotion
    split: str


def plan(tracks: int, seed: int) -> list[Track]:
    """So many tracks at emotions drawn evenly over the plane."""
    points = np.random.default_rng(seed).uniform(-1, 1, (tracks, 2)).round(3)
    return [
        Track(
            f"{number:05}.wav",
            seed * 1_000_000 + number,
            Emotion(float(valence), float(arousal)),
            "validation" if number % VALIDATION_EVERY == 0 else "train",
        )
        for number, (valence, arousal) in enumerate(points)
    ]


def write(folder: Path, tracks: int, seconds: float, seed: int) -> Iterator[Track]:
    """Render what is not there yet; gives each track once its file is whole, and writes the table at the end."""
    make_folder(folder)
    composer, rows = ComposerGenerator(), []
    for track in plan(tracks, seed):
        path = folder / track.name
        if not path.exists():
            with whole(path) as unfinished:
                soundfile.write(unfinished, render(composer, track, seconds), CODEC_RATE, "PCM_16", format="WAV")
        rows.append(
            (track.name, track.emotion.valence, track.emotion.arousal, track.split, "instruments of an orchestra")
        )
        yield track
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def render(composer: ComposerGenerator, track: Track, seconds: float) -> Mono:
    """The track's music, mono at 32 kHz, as loud as any other's.

    Its first seconds, in which the composer is still settling, are left out.
    """
    voice = composer.open_voice(track.seed)
    settling, length = frames_of(SETTLING_SECONDS), frames_of(seconds)
    emotion = track.emotion
    for _ in voice.compose(ClipRequest(0, settling, emotion, emotion, UNPITCHED)):
        pass
    request = ClipRequest(settling, length, emotion, emotion, UNPITCHED)
    stereo = np.concatenate([block.samples for block in voice.compose(request)])
    return at_one_loudness(soxr.resample(stereo.mean(axis=1), SAMPLE_RATE, CODEC_RATE))
