"""Voices that keep the bounds, and say so."""

from collections.abc import Iterator
from dataclasses import replace

from musicmed_live.core.generator import Block, ClipRequest
from tests.service.stage import ToneGenerator, ToneVoice


class ObedientVoice(ToneVoice):
    """Says that it plays as it is asked to."""

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        lowest, highest = request.tempo_bpm or (120.0, 120.0)
        tempo_bpm = min(highest, max(lowest, 120.0))
        player = next(name for name in ("piano", "harp", "pad") if name not in request.instruments.forbid)
        for block in super()._blocks(request, clip):
            yield replace(block, tempo_bpm=tempo_bpm, instruments=(player,))


class Obedient(ToneGenerator):
    """Opens such voices."""

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> ObedientVoice:
        return ObedientVoice(seed, position, memory)
