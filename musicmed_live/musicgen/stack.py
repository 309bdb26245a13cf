"""The decoder as the torch engine runs it: matrices fused, the past and the prompts in tensors that stay in place."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from musicmed_live.musicgen.decoder import (
    PROMPT_TOKENS,
    CrossAttention,
    DecoderConfig,
    Layer,
    Past,
    SelfAttention,
    Text,
    sinusoids,
)
from musicmed_live.musicgen.projection import Loader, Projection

_ROWS = 2  # of guidance: conditional, unconditional
_STACK = "decoder.model.decoder"


class _FusedSelfAttention(SelfAttention):
    """Queries, keys and values come from one matrix."""

    def __init__(self, config: DecoderConfig, loader: Loader, name: str) -> None:
        nn.Module.__init__(self)
        self.heads = config.heads
        self.fused = loader.projection(*(f"{name}.{part}_proj" for part in "qkv"))
        self.out_proj: Projection = loader.projection(f"{name}.out_proj")

    def queries_keys_values(self, x: torch.Tensor) -> torch.Tensor:
        fused: torch.Tensor = self.fused(x)
        return fused


class _FusedCrossAttention(CrossAttention):
    """Keys and values come from one matrix."""

    def __init__(self, config: DecoderConfig, loader: Loader, name: str) -> None:
        nn.Module.__init__(self)
        self.heads = config.heads
        self.q_proj = loader.projection(f"{name}.q_proj")
        self.fused = loader.projection(*(f"{name}.{part}_proj" for part in "kv"))
        self.out_proj: Projection = loader.projection(f"{name}.out_proj")

    def keys_values(self, text: torch.Tensor) -> torch.Tensor:
        fused: torch.Tensor = self.fused(text)
        return fused


class _FusedLayer(Layer):
    """Each part's last matrix adds to the stream in place, which spares a GPU many small kernels."""

    self_attn: _FusedSelfAttention
    encoder_attn: _FusedCrossAttention
    fc2: Projection

    def __init__(self, config: DecoderConfig, loader: Loader, name: str) -> None:
        nn.Module.__init__(self)
        self.self_attn = _FusedSelfAttention(config, loader, f"{name}.self_attn")
        self.self_attn_layer_norm = loader.norm(f"{name}.self_attn_layer_norm")
        self.encoder_attn = _FusedCrossAttention(config, loader, f"{name}.encoder_attn")
        self.encoder_attn_layer_norm = loader.norm(f"{name}.encoder_attn_layer_norm")
        self.fc1 = loader.projection(f"{name}.fc1")
        self.fc2 = loader.projection(f"{name}.fc2")
        self.final_layer_norm = loader.norm(f"{name}.final_layer_norm")

    def forward(self, x: torch.Tensor, past: Past | None, text: Text) -> torch.Tensor:
        """See `Layer`; `x` is overwritten."""
        self.self_attn.out_proj.onto(x, self.self_attn.look(self.self_attn_layer_norm(x), past))
        led = x[:, :1]
        self.encoder_attn.out_proj.onto(led, self.encoder_attn.look(self.encoder_attn_layer_norm(led), text))
        self.fc2.onto(x, functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x


class Stack:
    """The whole decoder, for `places` steps."""

    def __init__(self, config: DecoderConfig, loader: Loader, places: int) -> None:
        books = range(config.codebooks)
        self.codebooks = config.codebooks
        self.project = loader.projection_with_bias("enc_to_dec_proj")
        self.embed = loader.embedding(*(f"{_STACK}.embed_tokens.{k}" for k in books))
        self.positions = sinusoids(places, config.width).to(loader.device, loader.activations)
        self.layers = [_FusedLayer(config, loader, f"{_STACK}.layers.{i}") for i in range(config.layers)]
        self.norm = loader.norm(f"{_STACK}.layer_norm")
        self.heads = loader.projection(*(f"decoder.lm_heads.{k}" for k in books))

    def run(
        self, columns: torch.Tensor, places: torch.Tensor, pasts: Sequence[Past], texts: Sequence[Text]
    ) -> torch.Tensor:
        """Run columns (n, T, codebooks) at places (n, T): states (n, rows, T, width). Each layer's past is extended.

        n or T is 1: many threads go one step at a time.
        """
        x: torch.Tensor = self.embed(columns) + self.positions[places][:, None]
        x = x.repeat(1, _ROWS, 1, 1)
        for layer, past, text in zip(self.layers, pasts, texts, strict=True):
            x = layer(x, past, text)
        return x

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """States (n, rows, T, width) to (n, rows, T, codebooks, vocab)."""
        logits: torch.Tensor = self.heads(self.norm(x))
        return logits.view(*x.shape[:-1], self.codebooks, -1)

    def texts(self, hidden: torch.Tensor, log_weight: torch.Tensor) -> list[Text]:
        """The prompts (n, tokens, text_width), (n, tokens), as each layer sees them."""
        projected = self.project(hidden.to(self.positions)[:, None])
        return [layer.encoder_attn.read(projected, log_weight.to(self.positions)) for layer in self.layers]


class Memory:
    """What all slots remember: `places` keys and values in each layer and row, and the prompt that they follow.

    A slot without a prompt looks at one token of zeros, which adds nothing.
    """

    def __init__(self, config: DecoderConfig, slots: int, places: int, dtype: torch.dtype, device: str) -> None:
        heads = (config.heads, places, config.head_width)
        self.kept = torch.zeros(config.layers, 2, slots, _ROWS, *heads, dtype=dtype, device=device)
        heads = (config.heads, PROMPT_TOKENS, config.head_width)
        self.text = torch.zeros(config.layers, 2, slots, *heads, dtype=dtype, device=device)
        self.log_weight = torch.zeros(slots, PROMPT_TOKENS, dtype=dtype, device=device)
        self.log_weight[:, 1:] = -torch.inf

    def pasts(self, slots: slice, places: torch.Tensor, span: int) -> list[Past]:
        """Each layer's past in some slots, for new steps at `places` (n, T), none of which sees more than `span`."""
        seen = torch.arange(span, device=places.device) <= places[..., None]  # (n, T, span)
        mask = torch.zeros_like(seen, dtype=self.kept.dtype).masked_fill(~seen, -torch.inf)
        mask = mask[:, None, None].expand(-1, _ROWS, -1, -1, -1).flatten(0, 1)
        threads = torch.arange(len(places), device=places.device)[:, None]
        return [Past(kept[:, slots], threads, places, mask) for kept in self.kept]

    def texts(self, slots: slice) -> list[Text]:
        """What each layer sees of the prompts of some slots."""
        log_weight = self.log_weight[slots, None, None]
        return [Text(keys[slots], values[slots], log_weight) for keys, values in self.text]

    def read(self, slot: int, texts: Sequence[Text]) -> None:
        """Follow another prompt, given as each layer sees it (n = 1)."""
        tokens = texts[0].keys.shape[2]
        for (keys, values), text in zip(self.text, texts, strict=True):
            keys[slot, :, :tokens], values[slot, :, :tokens] = text.keys[0], text.values[0]
        self.log_weight[slot, :tokens] = texts[0].log_weight[0, 0, 0]
        self.log_weight[slot, tokens:] = -torch.inf

    def copy(self, source: int, target: int, length: int) -> None:
        """Make the slot `target` what `source` is, whose first `length` places count."""
        self.kept[:, :, target, :, :, :length] = self.kept[:, :, source, :, :, :length]
        self.text[:, :, target] = self.text[:, :, source]
        self.log_weight[target] = self.log_weight[source]
