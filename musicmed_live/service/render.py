"""A session written to a file, faster than it plays: the same session, timeline and mixer as live, on one core."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from musicmed_live.core import loudness
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Generator, Samples, Voice
from musicmed_live.core.limiter import LOOKAHEAD
from musicmed_live.core.messages import clip_object
from musicmed_live.core.mixer import GRID, Mixer
from musicmed_live.core.session import Plan, Session
from musicmed_live.core.timeline import Clip, Timeline, Track
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.remote import checked

SUBTYPES = {".wav": "PCM_24", ".flac": "PCM_24"}

Progress = Callable[[int, int], None]  # frames done, frames in all


def render(wish: Plan, generator: Generator, out: Path, report: Path | None, progress: Progress) -> None:
    """Write the session to `out` (.wav or .flac, 24 bit) and what it consists of to `report` (JSON).

    Raises `InvalidInput` for an open-ended session or an unknown file type, `CannotServe` for a file that
    cannot be written, `GeneratorFailed` where the generator makes what is no sound.
    """
    if wish.frames is None:
        raise InvalidInput("minutes: an open-ended session cannot be written to a file", "minutes")
    if out.suffix.lower() not in SUBTYPES:
        raise InvalidInput(f"output: {out.name!r} ends in none of {', '.join(SUBTYPES)}", "output")
    if report is not None and report.resolve() == out.resolve():
        raise InvalidInput(f"--report: {report} is the output itself", "report")
    try:
        with soundfile.SoundFile(out, "w", SAMPLE_RATE, CHANNELS, subtype=SUBTYPES[out.suffix.lower()]) as sink:
            if report is not None:
                report.touch()  # better refused now than after the work
            with closing(generator.open_voice(wish.seed)) as voice:
                clips = _render_clips(wish, wish.frames, voice, sink.write, progress)
        if report is not None:
            report.write_text(json.dumps(_report(wish, clips), indent=1) + "\n")
    except (soundfile.LibsndfileError, OSError) as fault:
        raise CannotServe(f"cannot write {out if report is None else f'{out} or {report}'}: {fault}") from None


def _report(wish: Plan, clips: list[dict[str, Any]]) -> dict[str, Any]:
    return {"seed": wish.seed, "sample_rate": SAMPLE_RATE, "max_step": wish.rules.step, "clips": clips}


def _render_clips(
    wish: Plan, length: int, voice: Voice, write: Callable[[Samples], None], progress: Progress
) -> list[dict[str, Any]]:
    session, timeline, track = Session(wish), Timeline(), Track()
    mixer = Mixer(timeline, length)
    waiting: deque[Clip] = deque()
    clips = []
    for clip in _compose(session, voice, timeline, track):
        if not waiting or waiting[-1] is not clip:
            waiting.append(clip)
        while waiting and (track.end >= waiting[0].end + GRID + LOOKAHEAD or track.end == length):
            done = waiting.popleft()
            samples = mixer.read(done.position, done.frames)
            write(samples)
            clips.append({**clip_object(done, timeline.describe(done)), **_measure(samples)})
            mixer.forget(done.end)
            timeline.forget_before(done.end)
        progress(track.end, length)
    return clips


def _compose(session: Session, voice: Voice, timeline: Timeline, track: Track) -> Iterator[Clip]:
    """Compose the whole session into `track`; gives the clip that is worked on after each block."""
    while (request := session.next_clip(timeline.end)) is not None:
        clip = Clip(request.position, request.frames, request.start, request.end, track)
        timeline.append(clip)
        for block in voice.compose(request):
            track.add(checked(block))
            yield clip


def _measure(samples: Samples) -> dict[str, float]:
    cells = [samples[i : i + loudness.METER_FRAMES] for i in range(0, len(samples), loudness.METER_FRAMES)]
    peak = 0.0
    for cell in cells:
        if float(np.abs(cell).max()) * loudness.OVERSHOOT > peak:  # else it cannot hold the highest true peak
            peak = max(peak, loudness.true_peak(cell))
    return {
        "loudness_lufs": round(loudness.integrated([loudness.energy(cell) for cell in cells]), 2),
        "true_peak_dbtp": round(loudness.decibels(peak), 2),
    }
