"""Texts and emotions to what the decoder's cross-attention sees, blended where several texts are asked for at once."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import BadWeights
from musicmed_live.musicgen.decoder import PROMPT_TOKENS
from musicmed_live.musicgen.device import running
from musicmed_live.musicgen.emotion_tokens import EmotionTokens
from musicmed_live.musicgen.engine import Conditioning
from musicmed_live.musicgen.prompts import WeightedPrompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5EncoderModel

_CACHED = 128  # texts, some 10 MB of hidden states: all anchors under several patients' preferences
_NEGLIGIBLE = 1e-6  # share of a prompt that nobody would hear; also keeps the logarithm of a weight finite


class Conditioner:
    """Encodes texts with MusicGen's T5 and blends them. One thread at a time."""

    def __init__(
        self, load: "Callable[[], tuple[PreTrainedTokenizerBase, T5EncoderModel]]", keep: bool = False
    ) -> None:
        """`load` gives the tokenizer and the encoder; it is called where a text is new.

        With `keep` the encoder stays in memory from then on; without it, it is let go of after each use, which is
        right where its weights are mapped from a file and memory is scarce.
        """
        self._load = load
        self._keep = keep
        self._kept: tuple[PreTrainedTokenizerBase, T5EncoderModel] | None = None
        self._cache: OrderedDict[str, torch.Tensor] = OrderedDict()

    def warm(self, texts: Sequence[str]) -> None:
        """Encode texts that will be asked for, in one batch, so that the encoder is not needed when they are."""
        self.encode(texts)

    def encode(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """The last hidden states of each text, (tokens, text_width) float32 on the CPU, not to be changed.

        They are what transformers' MusicGen takes for that prompt by itself, the end token included. A text is cut to
        `PROMPT_TOKENS`. Raises `BadWeights` where the encoder is damaged, and what `running` does where a GPU fails.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._cache]
        found = {text: self._cache[text] for text in texts if text in self._cache}
        if new:
            found |= zip(new, self._encode(new), strict=True)
        for text in texts:
            self._cache[text] = found[text]
            self._cache.move_to_end(text)
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return [found[text] for text in texts]

    def blend(self, prompts: Sequence[WeightedPrompt], adapters: Sequence[float] = ()) -> Conditioning:
        """One conditioning for all prompts by their weights, which need not sum to 1.

        At each position stands the weighted mean of the hidden states of those prompts that have a token there, and
        `log_weight` is the logarithm of their share of the whole weight: 0 where all have one. So the decoder attends
        to a token as much as the prompts that it comes from weigh. The result moves continuously with the weights,
        is the prompt's own where there is only one, and is never longer than the longest prompt, however many are
        blended. Prompts of one pattern (`prompts.py`) have like words at like positions, so that the means lie
        between words that may stand for each other.

        Raises `ValueError` where no prompt has a positive weight.
        """
        whole = sum(prompt.weight for prompt in prompts)
        heard = [prompt for prompt in prompts if prompt.weight > _NEGLIGIBLE * whole]
        if not heard:
            raise ValueError("none of the prompts to blend has a positive weight")
        states = self.encode([prompt.text for prompt in heard])
        hidden, shares = _mean(states, [prompt.weight for prompt in heard])
        return Conditioning(hidden, shares.log(), tuple(adapters))

    def _encode(self, texts: list[str]) -> list[torch.Tensor]:
        with running():
            tokenizer, encoder = self._kept or self._load()
            if self._keep:
                self._kept = tokenizer, encoder
            batch = tokenizer(texts, padding=True, truncation=True, max_length=PROMPT_TOKENS, return_tensors="pt")
            mask = batch["attention_mask"].bool()
            states = encoder(**batch.to(encoder.device)).last_hidden_state.float().cpu()
        if not states.isfinite().all():
            raise BadWeights("the text encoder makes numbers of prompts that are none; download the model again")
        return [row[present] for row, present in zip(states, mask, strict=True)]


def beside(
    conditioning: Conditioning, emotion: Emotion, adapters: Sequence[tuple[EmotionTokens | None, float]]
) -> Conditioning:
    """The conditioning with the emotion tokens of `adapters` behind the text, each set weighted as its adapter is.

    A token's log weight is the logarithm of its adapter's, so that it fades in and out with it; what has no weight is
    left out. Where all of it would be longer than `PROMPT_TOKENS`, the text is cut short.
    """
    heard = [(tokens, weight) for tokens, weight in adapters if tokens is not None and weight > _NEGLIGIBLE]
    added = sum(tokens.shape.tokens for tokens, _ in heard)
    room = PROMPT_TOKENS - added
    hidden = [conditioning.hidden[:room], *(tokens.at(emotion) for tokens, _ in heard)]
    logs = [torch.full((tokens.shape.tokens,), math.log(weight)) for tokens, weight in heard]
    return replace(
        conditioning, hidden=torch.cat(hidden), log_weight=torch.cat([conditioning.log_weight[:room], *logs])
    )


def _mean(states: Sequence[torch.Tensor], weights: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean at each position (tokens, width), and the share of the weight (tokens,) that it is taken over."""
    longest = max(len(state) for state in states)
    total = torch.zeros(longest, dtype=torch.float64)
    mixed = torch.zeros(longest, states[0].shape[1], dtype=torch.float64)
    for state, weight in zip(states, weights, strict=True):
        total[: len(state)] += weight
        mixed[: len(state)] += weight * state.double()
    return (mixed / total[:, None]).float(), (total / total[0]).float()
