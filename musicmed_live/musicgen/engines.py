"""Which engine runs the decoder: the GPU's where there is one, else the fastest that this CPU has, by measurement."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from musicmed_live.musicgen import native
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder
from musicmed_live.musicgen.engine import Conditioning, Engine
from musicmed_live.musicgen.native import NativeEngine
from musicmed_live.musicgen.torch_engine import TorchEngine

TRIAL_LAYERS, TRIAL_STEPS = 2, 12

_Open = Callable[[DecoderConfig, Mapping[str, torch.Tensor], Sequence[Adapter], int], Engine]


def open_engine(
    config: DecoderConfig, weights: Mapping[str, torch.Tensor], adapters: Sequence[Adapter], slots: int, device: str
) -> Engine:
    """An engine with that many slots on `device`, "cuda" or "cpu". Raises `GeneratorFailed` where it does not fit."""
    if device == "cuda":
        return TorchEngine(config, weights, adapters, slots, device="cuda", dtype=torch.bfloat16)
    return _fastest(config)(config, weights, adapters, slots)


def _fastest(config: DecoderConfig) -> _Open:
    """The engine that is quickest with a few layers of this width, of those that run here."""
    if not native.plays(config):
        return _torch_int8
    config = replace(config, layers=TRIAL_LAYERS)
    weights = MusicgenDecoder(config).state_dict()
    return min((_native, _torch_int8), key=lambda open_it: _seconds_per_step(open_it(config, weights, (), 1)))


def _seconds_per_step(engine: Engine) -> float:
    silence = torch.zeros(1, engine.config.text_width)
    engine.condition([0], Conditioning(silence, torch.zeros(1)))
    books = engine.config.codebooks
    unknown, keys = torch.full((1, TRIAL_STEPS, books), -1), torch.zeros(1, TRIAL_STEPS, dtype=torch.int64)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        engine.advance([0], torch.zeros(1, books, dtype=torch.int64), unknown, keys)
        times.append(time.perf_counter() - began)
    return min(times) / TRIAL_STEPS


def _native(
    config: DecoderConfig, weights: Mapping[str, torch.Tensor], adapters: Sequence[Adapter], slots: int
) -> Engine:
    return NativeEngine(config, weights, adapters, slots)


def _torch_int8(
    config: DecoderConfig, weights: Mapping[str, torch.Tensor], adapters: Sequence[Adapter], slots: int
) -> Engine:
    return TorchEngine(config, weights, adapters, slots, dtype=torch.int8)
