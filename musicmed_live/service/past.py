"""The music of a session whose process has died: how each clip can be made again, and making it again."""

import asyncio
from dataclasses import replace

from musicmed_live.core.generator import Recipe
from musicmed_live.core.snapshot import Passage, Past
from musicmed_live.core.timeline import Clip
from musicmed_live.errors import GeneratorFailed
from musicmed_live.service.sources import Part


def passage_of(clip: Clip, recipe: Recipe) -> Passage:
    """What has to be known of a clip for that."""
    generator = clip.track.generator
    return Passage(clip.position, clip.start, clip.end_emotion, clip.heard, clip.heard_as, generator, recipe)


async def take_up(past: Past, part: Part) -> Clip:
    """The clip that is heard where `past` goes on, made again by `part` up to there and a little further.

    Raises `GeneratorFailed` where that is not possible: another generator had made it, or it has no memory that fits.
    """
    passage = past.passage
    if passage is None:
        raise GeneratorFailed("nothing is known of what was heard")
    if passage.generator != part.source.name:
        raise GeneratorFailed(f"it was made by {passage.generator}, and now {part.source.name} plays")
    heard_from = max(passage.position, min(past.position, passage.end - 1))  # the clip may have ended since
    part.add(await part.voice.take_up(passage.recipe, heard_from, asyncio.get_running_loop().time()))
    clip = Clip(passage.position, passage.end - passage.position, passage.start, passage.end_emotion, part.track)
    return replace(clip, heard=passage.heard, heard_as=passage.heard_as)
