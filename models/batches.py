"""What a training is fed: segments of the shards, with a caption and an emotion, or without.

Nothing here has a state. Which segment stands at a place, which caption is drawn for it and what is left out follow
from the seed and the place alone; so a training that goes on after a stop is fed what it would have been fed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any

import datasets
import numpy as np
import torch

from models.recipe import Conditioning
from models.shards import QUADRANTS, UNKNOWN, quadrant
from models.texts import EncodedTexts
from musicmed_live.errors import InvalidInput
from musicmed_live.musicgen.decoder import FRAME_RATE, PROMPT_TOKENS, WINDOW_STEPS, DecoderConfig, apply_delay

IGNORED = -100  # as a target: not counted, as torch's cross-entropy has it
_ORDER, _CHOICE = 0, 1  # purposes that chance is drawn for


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B segments, filled up to the longest of them: T columns of the delay pattern, N tokens of text."""

    ids: tuple[str, ...]
    columns: torch.Tensor  # (B, codebooks, T) int64: what goes into the decoder, a column of pads first
    targets: torch.Tensor  # (B, codebooks, T) int64: what is to come out, or IGNORED
    text: torch.Tensor  # (B, N, text_width) float32: hidden states of the captions
    text_weight: torch.Tensor  # (B, N) float32: 0, or -inf where there is no token or it is left out
    emotions: torch.Tensor  # (B, 2) float32: valence, arousal; 0 where unknown
    emotion_weight: torch.Tensor  # (B,) float32: 0, or -inf where it is unknown or left out

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        moved = {name: value.to(device) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return Batch(**values | moved)


@dataclass(frozen=True, slots=True)
class _Told:
    """What of a segment is told."""

    caption: str | None
    emotion: tuple[float, float] | None


class Segments:
    """The segments of a split, to be trained on or to be validated with."""

    def __init__(
        self, split: datasets.Dataset, texts: EncodedTexts, decoder: DecoderConfig, emotion_tokens: int
    ) -> None:
        """`emotion_tokens` is the room that they need beside the text. Raises `InvalidInput` for too long segments."""
        self._codes = split.select_columns("codes").with_format("numpy")
        self._rows: list[dict[str, Any]] = list(split.select_columns(["id", "valence", "arousal", "captions"]))
        self._texts, self._decoder, self._room = texts, decoder, PROMPT_TOKENS - emotion_tokens

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, position: int, count: int, conditioning: Conditioning, seed: int) -> Batch:
        """The `count` segments from `position` on, counted over all epochs, as they are trained on.

        Each epoch has its own order, each place its own caption and its own draw of what is left out.
        """
        indices = [self._index(place, seed) for place in range(position, position + count)]
        told = [
            _draw(self._rows[index], conditioning, np.random.default_rng([seed, _CHOICE, position + offset]))
            for offset, index in enumerate(indices)
        ]
        return self._batch(indices, told)

    def whole(self, indices: Sequence[int]) -> Batch:
        """Those segments with all that is known of them, as they are validated with."""
        return self._batch(indices, [_all_of(self._rows[index]) for index in indices])

    def quadrants(self, indices: Sequence[int]) -> list[str]:
        """The quadrant of each of those segments."""
        return [_quadrant(self._rows[index]) for index in indices]

    def sample(self, count: int, seed: int) -> list[int]:
        """Indices of at most `count` segments, as evenly spread over the quadrants as there are some."""
        by_quadrant: dict[str, list[int]] = defaultdict(list)
        for index in _permutation(len(self), seed, 0):
            by_quadrant[_quadrant(self._rows[index])].append(index)
        in_turn = zip_longest(*(by_quadrant[name] for name in (*QUADRANTS, UNKNOWN)))
        return [index for index in chain.from_iterable(in_turn) if index is not None][:count]

    def _index(self, place: int, seed: int) -> int:
        epoch, offset = divmod(place, len(self))
        return _permutation(len(self), seed, epoch)[offset]

    def _batch(self, indices: Sequence[int], told: Sequence[_Told]) -> Batch:
        rows = [self._rows[index] for index in indices]
        columns, targets = self._columns([self._frames(index) for index in indices])
        text, text_weight = self._text([each.caption for each in told])
        return Batch(
            ids=tuple(row["id"] for row in rows),
            columns=columns,
            targets=targets,
            text=text,
            text_weight=text_weight,
            emotions=torch.tensor([each.emotion or (0.0, 0.0) for each in told], dtype=torch.float32),
            emotion_weight=torch.tensor([-torch.inf if each.emotion is None else 0.0 for each in told]),
        )

    def _frames(self, index: int) -> torch.Tensor:
        codes = torch.from_numpy(np.asarray(self._codes[index]["codes"], np.int64))
        most = WINDOW_STEPS - self._decoder.codebooks + 1
        if codes.shape[1] > most:
            raise InvalidInput(
                f"{self._rows[index]['id']} is {codes.shape[1] / FRAME_RATE:g} s long, and the decoder sees at most "
                f"{most // FRAME_RATE} s; prepare shorter segments",
                "shards",
            )
        return codes

    def _columns(self, codes: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets (B, codebooks, T) of codes (codebooks, frames)."""
        pad = self._decoder.vocab
        delayed = [apply_delay(each, pad).T for each in codes]  # (columns, codebooks)
        whole = torch.nn.utils.rnn.pad_sequence(delayed, batch_first=True, padding_value=pad).mT
        begun = torch.cat([torch.full_like(whole[..., :1], pad), whole[..., :-1]], dim=-1)
        return begun, whole.masked_fill(whole == pad, IGNORED)

    def _text(self, captions: Sequence[str | None]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states (B, N, text_width) and weights (B, N), N at least 1."""
        nothing = torch.zeros(1, self._decoder.text_width)
        found = [nothing if caption is None else self._texts[caption][: self._room].float() for caption in captions]
        weights = [
            torch.full((len(states),), -torch.inf if caption is None else 0.0)
            for caption, states in zip(captions, found, strict=True)
        ]
        pad = torch.nn.utils.rnn.pad_sequence
        return pad(found, batch_first=True), pad(weights, batch_first=True, padding_value=-torch.inf)


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, _ORDER, epoch]).permutation(count).tolist()
    return order


def _quadrant(row: dict[str, Any]) -> str:
    return quadrant(row["valence"], row["arousal"])


def _emotion(row: dict[str, Any]) -> tuple[float, float] | None:
    return None if row["valence"] is None else (row["valence"], row["arousal"])


def _all_of(row: dict[str, Any]) -> _Told:
    return _Told(row["captions"][0] if row["captions"] else None, _emotion(row))


def _draw(row: dict[str, Any], conditioning: Conditioning, chance: np.random.Generator) -> _Told:
    """A caption at random, and the emotion; or one of them, or nothing."""
    captions, drawn = row["captions"], chance.random()
    caption = captions[chance.integers(len(captions))] if captions else None
    drawn -= conditioning.drop_both
    if drawn < 0:
        return _Told(None, None)
    drawn -= conditioning.drop_text
    if drawn < 0:
        return _Told(None, _emotion(row))
    return _Told(caption, None if drawn < conditioning.drop_emotion else _emotion(row))
