"""MusicGen's decoder: a transformer over four delayed streams of audio tokens (Copet et al. 2023, arXiv 2306.05284).

Read from the bottom up: `MusicgenDecoder` embeds the columns of the delay pattern, runs its layers over them, and gives
logits of the next column. Each `Layer` looks back (self-attention), at the prompt (cross-attention), and into itself (a
feed-forward net). Modules are named as in transformers' `MusicgenForConditionalGeneration`, so that its checkpoints
load and PEFT's adapters fit.

Hidden states have the shape (n, rows, T, width): n threads of music; T steps; and a row for each reading of a thread.
Training has one row. Generation with classifier-free guidance has two, which differ in one thing: row 0 follows the
prompt, while row 1 has none. As no projection of the attention has a bias, a prompt of zeros gives a cross-attention of
exactly zero, so it is left out there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

FRAME_RATE = 50  # codec frames per second
WINDOW_STEPS = 1503  # the model was trained on 30 s: 1500 frames and what the delay pattern adds
PROMPT_TOKENS = 64  # the longest prompt, in T5's tokens


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The shape of a decoder. `small` is 24 x 1024 x 16 heads, `medium` 48 x 1536 x 24, `large` 48 x 2048 x 32."""

    layers: int
    width: int
    heads: int
    ffn: int
    text_width: int = 768  # of the text encoder's hidden states
    codebooks: int = 4
    vocab: int = 2048  # tokens of a codebook; the token `vocab` itself pads the delay pattern

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def apply_delay(codes: torch.Tensor, pad: int) -> torch.Tensor:
    """Frames (..., codebooks, T) to columns (..., codebooks, T + codebooks - 1): codebook k comes k columns late.

    Where a column has no frame yet, or none any more, it holds `pad`, the token `vocab`. The column of pads that a
    decoder is started with is not among them.
    """
    codebooks, frames = codes.shape[-2:]
    columns = codes.new_full((*codes.shape[:-1], frames + codebooks - 1), pad)
    for k in range(codebooks):
        columns[..., k, k : k + frames] = codes[..., k, :]
    return columns


def undo_delay(columns: torch.Tensor) -> torch.Tensor:
    """Columns (..., codebooks, S) to the whole frames in them, (..., codebooks, S - codebooks + 1)."""
    codebooks, steps = columns.shape[-2:]
    frames = steps - codebooks + 1
    return torch.stack([columns[..., k, k : k + frames] for k in range(codebooks)], dim=-2)


def sinusoids(steps: int, width: int) -> torch.Tensor:
    """Positions (steps, width) float32: cosines, then sines, as tensor2tensor lays out Vaswani et al. 2017, 3.5."""
    rate = torch.exp(torch.arange(width // 2) * -(math.log(10_000) / (width // 2 - 1)))
    angle = torch.arange(steps)[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What one layer remembers: a place for the keys and values of every step of the window, allocated once."""

    kept: torch.Tensor  # (2, n, rows, heads, places, head_width): keys and values
    threads: torch.Tensor  # (n, 1) int64: 0, 1, ...
    places: torch.Tensor  # (n, T) int64: where the new steps go
    mask: torch.Tensor  # (n * rows, 1, T, span): 0 where a new step sees a place, -inf elsewhere; span <= places

    def extend(self, keys_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new steps' (2, n, rows, heads, T, head_width); all that may be seen: (n * rows, heads, span, .)."""
        self.kept[:, self.threads, :, :, self.places] = keys_values.permute(1, 4, 0, 2, 3, 5)
        keys, values = self.kept[..., : self.mask.shape[-1], :]
        return keys.flatten(0, 1), values.flatten(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A prompt as one layer's cross-attention sees it."""

    keys: torch.Tensor  # (n, heads, tokens, head_width)
    values: torch.Tensor  # the same shape
    log_weight: torch.Tensor  # (n, 1, 1, tokens): added to the scores


class Attention(nn.Module):
    """Attention of several heads, without biases."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj: nn.Module = nn.Linear(config.width, config.width, bias=False)
        self.k_proj: nn.Module = nn.Linear(config.width, config.width, bias=False)
        self.v_proj: nn.Module = nn.Linear(config.width, config.width, bias=False)
        self.out_proj: nn.Module = nn.Linear(config.width, config.width, bias=False)

    def split(self, x: torch.Tensor, parts: int) -> torch.Tensor:
        """(n, rows, T, parts * width) to (parts, n, rows, heads, T, head_width)."""
        return x.view(*x.shape[:-1], parts, self.heads, -1).permute(3, 0, 1, 4, 2, 5)

    def attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """What queries (n, rows, heads, T, head_width) find, (n, rows, T, width); causal where there is no mask."""
        rows = queries.flatten(0, 1)
        if mask is not None and queries.shape[3] == 1 and queries.device.type == "cpu":
            # One query by the definition: the fused attention takes three times as long for it in bfloat16 there.
            scores = (rows * rows.shape[-1] ** -0.5) @ keys.mT + mask
            found: torch.Tensor = scores.softmax(-1) @ values
        else:
            found = functional.scaled_dot_product_attention(rows, keys, values, mask, is_causal=mask is None)
        return found.transpose(1, 2).reshape(*queries.shape[:2], queries.shape[3], -1)


class SelfAttention(Attention):
    """Looks back over the steps so far."""

    def forward(self, x: torch.Tensor, past: Past | None) -> torch.Tensor:
        gathered: torch.Tensor = self.out_proj(self.look(x, past))
        return gathered

    def look(self, x: torch.Tensor, past: Past | None) -> torch.Tensor:
        """What is found there, (n, rows, T, width): the heads' shares side by side."""
        parts = self.split(self.queries_keys_values(x), 3)
        queries, keys_values = parts[0], parts[1:]
        if past is None:
            keys, values = keys_values.flatten(1, 2)
            return self.attend(queries, keys, values, None)
        return self.attend(queries, *past.extend(keys_values), past.mask)

    def queries_keys_values(self, x: torch.Tensor) -> torch.Tensor:
        """(n, rows, T, width) to (n, rows, T, 3 * width)."""
        return torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], dim=-1)


class CrossAttention(Attention):
    """Looks at the prompt."""

    def forward(self, x: torch.Tensor, text: Text) -> torch.Tensor:
        gathered: torch.Tensor = self.out_proj(self.look(x, text))
        return gathered

    def look(self, x: torch.Tensor, text: Text) -> torch.Tensor:
        """What is found there, (n, rows, T, width): the heads' shares side by side."""
        return self.attend(self.split(self.q_proj(x), 1)[0], text.keys, text.values, text.log_weight)

    def read(self, text: torch.Tensor, log_weight: torch.Tensor) -> Text:
        """The prompt `text` (n, 1, tokens, width), `log_weight` (n, tokens), as this layer sees it."""
        keys, values = self.split(self.keys_values(text), 2)[:, :, 0]
        return Text(keys, values, log_weight[:, None, None])

    def keys_values(self, text: torch.Tensor) -> torch.Tensor:
        """(n, 1, tokens, width) to (n, 1, tokens, 2 * width)."""
        return torch.cat([self.k_proj(text), self.v_proj(text)], dim=-1)


class Layer(nn.Module):
    """One layer: each part reads the normed stream and adds to it."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.self_attn: SelfAttention = SelfAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.encoder_attn: CrossAttention = CrossAttention(config)
        self.encoder_attn_layer_norm = nn.LayerNorm(config.width)
        self.fc1: nn.Module = nn.Linear(config.width, config.ffn, bias=False)
        self.fc2: nn.Module = nn.Linear(config.ffn, config.width, bias=False)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: torch.Tensor, past: Past | None, text: Text) -> torch.Tensor:
        """(n, rows, T, width) to the same; without a past, x is all there is to see."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), past)
        led, free = x[:, :1], x[:, 1:]
        x = torch.cat([led + self.encoder_attn(self.encoder_attn_layer_norm(led), text), free], dim=1)
        x = x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x


class Transformer(nn.Module):
    """The stack of layers, between the embeddings of tokens and the last norm."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.ModuleList(nn.Embedding(config.vocab + 1, config.width) for _ in range(config.codebooks))
        layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.layers = cast("Sequence[Layer]", layers)  # torch's own type forgets what the list holds
        self.layer_norm = nn.LayerNorm(config.width)


class _Model(nn.Module):
    """Here for its place in the names, `decoder.model.decoder`."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.decoder = Transformer(config)


class _LanguageModel(nn.Module):
    """The transformer, and a head for each codebook."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.model = _Model(config)
        heads = (nn.Linear(config.width, config.vocab, bias=False) for _ in range(config.codebooks))
        self.lm_heads = nn.ModuleList(heads)


class MusicgenDecoder(nn.Module):
    """The whole decoder, as it is trained. What generates, at speed, is an `Engine` with the same weights."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.decoder = _LanguageModel(config)
        self.enc_to_dec_proj = nn.Linear(config.text_width, config.width)

    def forward(
        self, codes: torch.Tensor, hidden: torch.Tensor, log_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (B, codebooks, T, vocab) of the columns that follow each of `codes` (B, codebooks, T).

        `codes` are delayed columns and begin with one of pads: `apply_delay`, shifted by one. `hidden` (B, tokens,
        text_width) is the text encoder's last hidden state; `log_weight` (B, tokens) is added to the scores of the
        cross-attention: 0, or -inf for what pads the prompt. A row of -inf alone is unconditional, as guidance needs
        some of the training to be.
        """
        if log_weight is None:
            log_weight = hidden.new_zeros(hidden.shape[:2])
        seen = log_weight > -torch.inf
        projected = self.enc_to_dec_proj(hidden) * seen[..., None]
        log_weight = log_weight.masked_fill(~seen.any(-1, keepdim=True), 0.0)  # over zeros: the softmax stays finite
        stack = self.decoder.model.decoder
        x = torch.stack([embed(codes[:, k]) for k, embed in enumerate(stack.embed_tokens)]).sum(0)
        x = (x + sinusoids(codes.shape[-1], self.config.width).to(x))[:, None]  # (B, 1, T, width)
        for layer in stack.layers:
            x = layer(x, None, layer.encoder_attn.read(projected[:, None], log_weight.to(x)))
        x = stack.layer_norm(x)[:, 0]
        return torch.stack([head(x) for head in self.decoder.lm_heads], dim=1)
