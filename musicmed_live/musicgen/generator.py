"""MusicGen as a generator: a checkpoint, the engine that suits this machine, and the voices that share them."""

import ctypes
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Pace, Preference, frames_of
from musicmed_live.errors import DeviceFailed, GeneratorFailed, InvalidInput
from musicmed_live.musicgen.adapters import Adapter, load_adapter, parse_adapter_option
from musicmed_live.musicgen.codec import StreamingCodec
from musicmed_live.musicgen.conditioning import Conditioner
from musicmed_live.musicgen.decoder import PROMPT_TOKENS
from musicmed_live.musicgen.device import running
from musicmed_live.musicgen.engine import Engine
from musicmed_live.musicgen.engines import open_engine
from musicmed_live.musicgen.prompts import texts
from musicmed_live.musicgen.voice import BLOCK_FRAMES, MusicgenVoice, Slots, Studio
from musicmed_live.musicgen.weights import open_checkpoint

if TYPE_CHECKING:
    from transformers import T5EncoderModel, T5Tokenizer

DEVICES = ("auto", "cpu", "cuda")
# Voices, and takes of a clip that are made before it is played. On a CPU there is time for one voice and no takes; on a
# GPU there are as many as its memory has room for.
ROOM = {"cpu": ((1, 0),), "cuda": ((4, 4), (4, 0), (2, 0), (1, 0))}
M_MMAP_THRESHOLD = -3  # of glibc's mallopt
MAPPED_BYTES = 16_000_000  # somewhat less than the largest of small's matrices in float32
TRIAL_FRAMES = frames_of(3.0)
TRIAL_PAST = 1000  # frames of the codec: the middle of what a window holds while a voice grows


log = logging.getLogger(__name__)

_Room = tuple[int, int]  # voices, takes
_Made = TypeVar("_Made")


class MusicgenGenerator:
    """Opens voices that share one engine, as many at a time as it has pairs of slots.

    Raises `InvalidInput` for a checkpoint, an adapter or a device that cannot be used, `GeneratorFailed` where there is
    not memory enough.
    """

    def __init__(
        self,
        model: str,
        adapters: Sequence[str] = (),
        device: str = "auto",
        voices: int | None = None,
        takes: int | None = None,
    ) -> None:
        """`model` is a directory or a hub name, each of `adapters` a `[MOOD=]DIR`; `voices` is how many at a time,
        `takes` how many of a clip are tried at once."""
        chosen = _device(device)
        torch.set_num_threads(1)  # torch's own threads wait for each other, which a busy core makes very slow
        _keep_heap_whole()
        checkpoint = open_checkpoint(model)
        options = [parse_adapter_option(option) for option in adapters]
        loaded = [load_adapter(folder, checkpoint.config) for _, folder in options]
        _check_room_for_text(loaded)
        rooms = [(voices or most, fewest if takes is None else takes) for most, fewest in ROOM[chosen]]

        def text_encoder() -> "tuple[T5Tokenizer, T5EncoderModel]":
            tokenizer, encoder = checkpoint.text_encoder()
            return tokenizer, torch.nn.Module.to(encoder, chosen)

        def made(slots: int) -> tuple[Engine, StreamingCodec, Conditioner]:
            """All that takes the device's memory, for so many slots."""
            engine = open_engine(checkpoint.config, checkpoint.decoder_tensors(), loaded, slots, chosen)
            conditioner = Conditioner(text_encoder, keep=chosen == "cuda")
            if chosen == "cuda":
                conditioner.warm(_first_texts())  # what stays there has to fit, too
            with running():
                return engine, StreamingCodec(torch.nn.Module.to(checkpoint.codec(), chosen)), conditioner

        (self.voices, self.takes), (engine, codec, conditioner) = _roomiest(list(dict.fromkeys(rooms)), made)
        self._studio = Studio(
            engine,
            Slots(engine.slots, max(0, self.takes - 1)),
            codec,
            conditioner,
            ThreadPoolExecutor(1, "decode", torch.set_num_threads, (1,)),
            tuple(place for place, _ in options),
            tuple(adapter.tokens for adapter in loaded),
        )
        _trim_memory()

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> MusicgenVoice:
        """A new voice whose first clip begins at `position`, and goes on from the `memory` of another one.

        Raises `GeneratorFailed` where every place is taken, `InvalidInput` for a memory that is none of this model's.
        """
        return MusicgenVoice(self._studio, seed, position, memory)

    def warm_up(self) -> Pace:
        """Read the prompts, and measure how fast a voice goes on that has played for a while: it gets slower."""
        self._studio.conditioner.warm(_first_texts())
        _trim_memory()
        voice = self.open_voice(0)
        try:
            voice.pretend(TRIAL_PAST)
            list(voice.compose(ClipRequest(0, BLOCK_FRAMES, NEUTRAL, NEUTRAL)))
            began = time.perf_counter()
            list(voice.compose(ClipRequest(voice.position, TRIAL_FRAMES, NEUTRAL, NEUTRAL)))
            took = time.perf_counter() - began
            began = time.perf_counter()
            position, elsewhere = voice.rewind(voice.position // 2), Emotion(0.6, -0.4)
            list(voice.compose(ClipRequest(position, BLOCK_FRAMES, elsewhere, elsewhere)))
            return Pace(TRIAL_FRAMES / SAMPLE_RATE / took, time.perf_counter() - began)
        finally:
            voice.close()


def _roomiest(rooms: Sequence[_Room], made: Callable[[int], _Made]) -> tuple[_Room, _Made]:
    """What is `made` with the slots that the first of `rooms` takes for which memory suffices."""
    for room in rooms[:-1]:
        try:
            return room, made(_slots(room))
        except DeviceFailed:
            raise
        except GeneratorFailed as fault:
            log.info("there is no room for %d voices and %d takes: %s", *room, str(fault))  # a fault would keep tensors
        torch.cuda.empty_cache()
    return rooms[-1], made(_slots(rooms[-1]))


def _first_texts() -> tuple[str, ...]:
    """Those of a patient who prefers nothing."""
    return texts(Preference(), Preference())


def _slots(room: _Room) -> int:
    """A voice has a pair, and so has each take but the one that it plays itself."""
    voices, takes = room
    return 2 * (voices + max(0, takes - 1))


def _device(name: str) -> str:
    if name not in DEVICES:
        raise InvalidInput(f"--device: {name!r} is none of {', '.join(DEVICES)}", "device")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("--device: cuda was asked for, but torch finds no CUDA device; use --device cpu", "device")
    return name


def _check_room_for_text(adapters: Sequence[Adapter]) -> None:
    told = sum(adapter.tokens.shape.tokens for adapter in adapters if adapter.tokens is not None)
    if told > PROMPT_TOKENS // 2:
        raise InvalidInput(
            f"--adapter: all adapters together have {told} emotion tokens, and at most {PROMPT_TOKENS // 2} leave room "
            "for text; use fewer adapters at once",
            "--adapter",
        )


def _keep_heap_whole() -> None:
    """Keep glibc from putting large matrices between small things, where it could not give their memory back."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


def _trim_memory() -> None:
    """Give the system back what loading has freed; glibc would keep some 200 MB of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
