"""Generators by name. Imported lazily, so that only the one that is asked for is loaded."""

from musicmed_live.core.generator import Generator
from musicmed_live.errors import GeneratorFailed, InvalidInput

GENERATORS = ("composer",)
LEAST_CACHE_BYTES = 96 * 2**20  # less than the notes of two moods, and they would be made over and over


def load_generator(name: str, processes: int = 1) -> Generator:
    """The generator called `name`, one of `processes` that share this machine's memory.

    Raises `InvalidInput`, or `GeneratorFailed` if it cannot work here.
    """
    if name == "composer":
        from musicmed_live.composer.sampler import CACHE_BYTES
        from musicmed_live.composer.voice import ComposerGenerator

        return ComposerGenerator(cache_bytes=max(LEAST_CACHE_BYTES, CACHE_BYTES // processes))
    raise InvalidInput(f"generator: {name!r} is none of {', '.join(GENERATORS)}", "generator")


def check_generator(name: str) -> None:
    """Whether `load_generator` can be expected to work, without loading anything large. Raises as that does."""
    if name != "composer":
        raise InvalidInput(f"--generator: {name!r} is none of {', '.join(GENERATORS)}", "generator")
    from musicmed_live.composer.sampler import PACKAGED_FONT

    if not PACKAGED_FONT.is_file():
        raise GeneratorFailed(
            f"the sound font {PACKAGED_FONT.name} is missing from {PACKAGED_FONT.parent}; install the package again"
        )
