"""Evaluation: does the music carry the emotion that was asked for? Clips over a grid, recognizers, figures, a page.

What comes of it is a folder: the clips, `evaluation.json` with every judgement and figure and with what it was all made
of, and `index.html`, to listen for oneself. Recognizers are no listeners; the page and the card say so.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.agreement import Heard, agreement, gain, interval_json
from models.clips import Clip, Grid, Side, digests, make_clips, read_clip, write_text
from models.loudness import at_one_loudness
from models.page import page
from models.tagging import TagPair, Tags, prompt_at, tag_figures, tags_at
from musicmed_live import __version__
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.judgement import Judgement, Recognizer
from musicmed_live.errors import CannotJudge
from musicmed_live.recognition.features import listen
from musicmed_live.recognition.neural import Tagger
from musicmed_live.service.generators import Choice, load_generator

if TYPE_CHECKING:
    from models.clap import Clap

VERSION = 1
RESULT = "evaluation.json"
PAGE = "index.html"
COMPOSER = "composer"
LIBRARIES = ("numpy", "scipy", "soundfile", "torch", "transformers", "onnxruntime")

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """A recognizer that takes part, under its name."""

    name: str
    recognizer: Recognizer
    made_of: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of each file of its weights


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one judge says of one clip; `unheard` says why, where it says nothing."""

    judgement: Judgement | None
    tags: Tags = frozenset()
    unheard: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A clip with all that was said of it."""

    clip: Clip
    text: str  # what asked for it, "" of a generator that takes no text
    asked: Tags
    opinions: Mapping[str, Opinion]  # by the judge's name


def sides_of(choice: Choice) -> list[Side]:
    """What is compared: the generator; with an adapter, the base model without it and the model with it.

    Raises `InvalidInput` where the model or the adapter cannot be used, before anything is made with the other one.
    """
    if choice.name == COMPOSER:
        return [Side(COMPOSER, lambda: load_generator(choice), {"musicmed_live": __version__})]
    from musicmed_live.musicgen.adapters import load_adapter, parse_adapter_option
    from musicmed_live.musicgen.weights import open_checkpoint

    checkpoint = open_checkpoint(choice.model)
    folders = [parse_adapter_option(option)[1] for option in choice.adapters]
    for folder in folders:
        load_adapter(folder, checkpoint.config)
    plain = Choice(choice.name, choice.model, (), choice.device)
    model = digests(checkpoint.folder)
    sides = [Side("base", lambda: load_generator(plain), model)]
    if folders:
        added = {f"{folder.resolve().name}/{name}": sha for folder in folders for name, sha in digests(folder).items()}
        sides.append(Side("adapter", lambda: load_generator(choice), {**model, **added}))
    return sides


def evaluate(
    sides: Sequence[Side],
    judges: Sequence[Judge],
    grid: Grid,
    out: Path,
    clap: "Clap | None" = None,
    told: Callable[[str, Clip], None] = lambda _what, _clip: None,
) -> Content:
    """Make the clips that are missing, judge them all, and write `evaluation.json` and `index.html` into `out`.

    The clips are judged at one loudness: a voice of MusicGen is brought to the one that the asked emotion wants,
    whatever it plays, which would tell a recognizer what was asked for, of the base as of the adapter.

    `told` hears of every clip when it is "made" and when it is "judged". Returns what `evaluation.json` holds. Raises
    `InvalidInput` and `CannotServe` as `make_clips` does, and what loading a generator raises.
    """
    clips = make_clips(out, grid, sides, lambda clip: told("made", clip))
    embedded: list[Any] = []
    judged = []
    for clip in clips:
        samples = read_clip(out, clip)
        mono = at_one_loudness(listen(samples))
        judged.append(_judged(clip, {judge.name: _opinion(judge.recognizer, mono) for judge in judges}))
        if clap is not None:
            embedded.append(clap.of_sound(samples))
        told("judged", clip)
    content = _content(sides, judges, grid, judged)
    content["clap"] = _clap_figures(clap, judged, embedded)
    write_text(out / RESULT, json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(out / PAGE, page(content))
    return content


def _judged(clip: Clip, opinions: Mapping[str, Opinion]) -> Judged:
    text = "" if clip.side == COMPOSER else prompt_at(clip.emotion)
    return Judged(clip, text, tags_at(clip.emotion), opinions)


def _opinion(recognizer: Recognizer, mono: Any) -> Opinion:
    try:
        if isinstance(recognizer, Tagger):
            tagged = recognizer.tag(mono)
            return Opinion(tagged.judgement, tagged.tags)
        judgement = recognizer.judge(mono)
    except CannotJudge as fault:
        return Opinion(None, unheard=str(fault))
    return Opinion(judgement, tags_at(judgement.emotion))


def _content(sides: Sequence[Side], judges: Sequence[Judge], grid: Grid, judged: Sequence[Judged]) -> Content:
    figures = {side.name: {judge.name: _figures(judged, side.name, judge.name) for judge in judges} for side in sides}
    return {
        "version": VERSION,
        "grid": {"levels": grid.places, "seeds": list(range(grid.seeds)), "seconds": grid.seconds},
        "sides": {side.name: dict(side.made_of) for side in sides},
        "judges": {judge.name: dict(judge.made_of) for judge in judges},
        "software": _software(),
        "figures": figures,
        "gains": {judge.name: _gains(judged, judge.name) for judge in judges} if len(sides) > 1 else {},
        "clips": [_clip_content(entry) for entry in judged],
    }


def _figures(judged: Sequence[Judged], side: str, judge: str) -> Content:
    heard, tags, unheard = [], [], 0
    for entry in judged:
        opinion = entry.opinions[judge]
        if entry.clip.side != side:
            continue
        if opinion.judgement is None:
            unheard += 1
            continue
        heard.append((entry.clip.emotion, opinion.judgement.emotion))
        tags.append((entry.asked, opinion.tags))
    return {**agreement(heard).as_json(), "unheard": unheard, "tags": _tag_figures(tags)}


def _tag_figures(pairs: Sequence[TagPair]) -> Content:
    return asdict(tag_figures(pairs))


def _gains(judged: Sequence[Judged], judge: str) -> Content:
    """How much the adapter adds to r, over the wishes of which both sides' clips could be judged."""
    heard: dict[str, dict[tuple[Emotion, int], Heard]] = {"base": {}, "adapter": {}}
    for entry in judged:
        judgement = entry.opinions[judge].judgement
        if judgement is not None:
            wish = entry.clip.emotion, entry.clip.seed
            heard[entry.clip.side][wish] = entry.clip.emotion, judgement.emotion
    both = [wish for wish in heard["base"] if wish in heard["adapter"]]
    base, adapter = ([heard[side][wish] for wish in both] for side in ("base", "adapter"))
    return {f"{axis}_r": interval_json(gain(base, adapter, axis)) for axis in ("valence", "arousal")}


def _clip_content(entry: Judged) -> Content:
    clip = entry.clip
    return {
        "side": clip.side,
        "valence": clip.emotion.valence,
        "arousal": clip.emotion.arousal,
        "seed": clip.seed,
        "file": clip.file,
        "text": entry.text,
        "tags": sorted(entry.asked),
        "heard": {name: _opinion_content(opinion) for name, opinion in entry.opinions.items()},
    }


def _opinion_content(opinion: Opinion) -> Content:
    judgement = opinion.judgement
    if judgement is None:
        return {"unheard": opinion.unheard}
    return {
        "valence": round(judgement.emotion.valence, 4),
        "arousal": round(judgement.emotion.arousal, 4),
        "valence_sd": round(judgement.valence_sd, 4),
        "arousal_sd": round(judgement.arousal_sd, 4),
        "tags": sorted(opinion.tags),
    }


def _clap_figures(clap: "Clap | None", judged: Sequence[Judged], embedded: Sequence[Any]) -> Content:
    if not any(entry.text for entry in judged):
        return {"absent": "The composer is asked with an emotion, not with a text"}
    if clap is None:
        return {"absent": "CLAP's weights are not here, so how well the music fits the texts was not measured"}
    from models.clap import scores

    texts = sorted({entry.text for entry in judged})
    points = clap.of_texts(texts)
    found = {}
    for side in dict.fromkeys(entry.clip.side for entry in judged):
        of_side = [index for index, entry in enumerate(judged) if entry.clip.side == side]
        sounds = np.stack([embedded[index] for index in of_side])
        found[side] = scores(sounds, points, [texts.index(judged[index].text) for index in of_side])
    return {"scores": found}


def _software() -> dict[str, str]:
    """Versions of what the figures depend on, as far as it is installed."""
    found = {"python": platform.python_version(), "musicmed_live": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
