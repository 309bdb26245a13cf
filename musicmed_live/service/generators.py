"""Generators by name. Imported lazily, so that only the one that is asked for is loaded."""

import importlib.util
from dataclasses import dataclass

from musicmed_live.core.generator import Generator
from musicmed_live.errors import GeneratorFailed, InvalidInput

GENERATORS = ("composer", "musicgen")
TITLES = {"composer": "The composer", "musicgen": "MusicGen"}  # as people are told of them
DEVICES = ("auto", "cpu", "cuda")
LEAST_CACHE_BYTES = 96 * 2**20  # less than the notes of two moods, and they would be made over and over
MUSICGEN_NEEDS = ("torch", "transformers", "safetensors", "huggingface_hub", "httpx2", "yaml", "soxr")


@dataclass(frozen=True, slots=True)
class Choice:
    """A generator, and what it is to work with. Worker processes are told it."""

    name: str = GENERATORS[0]
    model: str = ""  # MusicGen's weights: a directory, or a name on the hub
    adapters: tuple[str, ...] = ()  # directories, each with "MOOD=" before it where it is for a mood
    device: str = DEVICES[0]


def load_generator(choice: Choice, processes: int = 1) -> Generator:
    """What was chosen, one of `processes` that share this machine's memory.

    Raises `InvalidInput`, or `GeneratorFailed` if it cannot work here.
    """
    check_generator(choice)
    if choice.name == "musicgen":
        from musicmed_live.musicgen.generator import MusicgenGenerator

        return MusicgenGenerator(choice.model, choice.adapters, choice.device)
    from musicmed_live.composer.sampler import CACHE_BYTES
    from musicmed_live.composer.voice import ComposerGenerator

    return ComposerGenerator(cache_bytes=max(LEAST_CACHE_BYTES, CACHE_BYTES // processes))


def check_generator(choice: Choice) -> None:
    """Whether `load_generator` can be expected to work, without loading anything large. Raises as that does."""
    if choice.name not in GENERATORS:
        raise InvalidInput(f"--generator: {choice.name!r} is none of {', '.join(GENERATORS)}", "generator")
    if choice.device not in DEVICES:
        raise InvalidInput(f"--device: {choice.device!r} is none of {', '.join(DEVICES)}", "device")
    if choice.name == "musicgen":
        _check_musicgen(choice)
    for option in ("model", "adapters", "device"):
        if choice.name == "composer" and getattr(choice, option) != getattr(Choice(), option):
            raise InvalidInput(f"--{option.removesuffix('s')}: only MusicGen has one; add --generator musicgen", option)
    _check_font()


def missing_for_musicgen() -> list[str]:
    """The packages that MusicGen needs and that are not installed."""
    return [name for name in MUSICGEN_NEEDS if importlib.util.find_spec(name) is None]


def require_musicgen() -> None:
    """Raise `GeneratorFailed` unless all packages that MusicGen needs are there."""
    missing = missing_for_musicgen()
    if missing:
        raise GeneratorFailed(f"MusicGen needs {', '.join(missing)}: pip install 'musicmed-live[musicgen]'")


def _check_musicgen(choice: Choice) -> None:
    require_musicgen()
    if not choice.model:
        raise InvalidInput(
            "--generator musicgen: no weights are named; add --model DIR, or --model facebook/musicgen-small", "model"
        )


def _check_font() -> None:
    from musicmed_live.composer.sampler import PACKAGED_FONT

    if not PACKAGED_FONT.is_file():
        raise GeneratorFailed(
            f"the sound font {PACKAGED_FONT.name} is missing from {PACKAGED_FONT.parent}; install the package again"
        )
