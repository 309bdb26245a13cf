"""The decoder as it is trained: told of text and emotion, adapted by LoRA or trained as a whole."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from models.batches import IGNORED, Batch
from models.recipe import Lora, Recipe
from models.whole import whole_folder
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.musicgen import adapters
from musicmed_live.musicgen.decoder import MusicgenDecoder
from musicmed_live.musicgen.emotion_tokens import EmotionShape, EmotionTokens, save_emotion_tokens

ADAPTER = "adapter"
DECODER = "decoder.safetensors"


class Conditioned(nn.Module):
    """A decoder that follows text and, where the recipe has emotion tokens, a point of the plane."""

    def __init__(self, decoder: MusicgenDecoder, recipe: Recipe, scale: float, model: str) -> None:
        """Made ready to be trained as the recipe says; new weights are drawn from torch's global generator.

        `scale` is the root mean square of the text's hidden states, `model` the name by which an adapter is to name
        what it belongs to. Raises `InvalidInput` where LoRA is to change modules that the decoder does not have.
        """
        super().__init__()
        if recipe.training.checkpoint_layers:
            _checkpoint_layers(decoder)
        self.decoder: nn.Module = decoder if recipe.lora is None else _adapted(decoder, recipe.lora, model)
        self.tokens = None
        if recipe.emotion is not None:
            wanted = recipe.emotion
            self.tokens = EmotionTokens(EmotionShape(decoder.config.text_width, wanted.tokens, wanted.width, scale))

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logits (B, codebooks, T, vocab)."""
        hidden, weight = batch.text, batch.text_weight
        if self.tokens is not None:
            told = self.tokens(batch.emotions)
            hidden = torch.cat([hidden, told.to(hidden)], dim=1)
            weight = torch.cat([weight, batch.emotion_weight[:, None].expand(-1, told.shape[1])], dim=1)
        logits: torch.Tensor = self.decoder(batch.columns, hidden, weight)
        return logits

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights that are trained, by name."""
        return ((name, weight) for name, weight in self.named_parameters() if weight.requires_grad)

    def save(self, out: Path, recipe: Path) -> None:
        """Write `out/adapter`, as PEFT has it with the emotion tokens and the recipe beside; `out` exists.

        Without LoRA it is the whole decoder's weights, `decoder.safetensors`, in place of PEFT's two files. Raises
        `CannotServe` where it cannot be written; what was there before is still there then.
        """
        with whole_folder(out / ADAPTER) as folder:
            if isinstance(self.decoder, PeftModel):
                state = get_peft_model_state_dict(self.decoder, save_embedding_layers=False)  # else it asks the hub
                save_file(_plain(state), folder / adapters.WEIGHTS)
                self.decoder.peft_config["default"].save_pretrained(str(folder))
            else:
                save_file(_plain(self.decoder.state_dict()), folder / DECODER)
            if self.tokens is not None:
                save_emotion_tokens(self.tokens, folder)
            shutil.copyfile(recipe, folder / "recipe.toml")


def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of each segment, (B,): cross-entropy in nats, the mean over all codebooks and all columns but pads.

    Each codebook has as many tokens as the others, and so the same weight; pads of the delay pattern are not counted
    (Copet et al. 2023, arXiv 2306.05284).
    """
    each = functional.cross_entropy(
        logits.flatten(0, 2).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return each.view_as(targets).sum((1, 2)) / (targets != IGNORED).sum((1, 2))


def _adapted(decoder: MusicgenDecoder, lora: Lora, model: str) -> PeftModel:
    _check_targets(decoder, lora)
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # PEFT takes any number for it
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        bias="none",
    )
    try:
        adapted = get_peft_model(decoder, settings)
    except ValueError as fault:
        raise InvalidInput(f"lora.targets: {' '.join(str(fault).split())[:200]}", "lora.targets") from fault
    settings.base_model_name_or_path = model
    settings.inference_mode = True
    return adapted


def _check_targets(decoder: MusicgenDecoder, lora: Lora) -> None:
    """PEFT itself passes over a name that fits nothing, as long as another one fits."""
    names = [name for name, module in decoder.named_modules() if isinstance(module, nn.Linear | nn.Embedding)]
    for target in lora.targets:
        if not any(f".{name}".endswith(f".{target}") for name in names):
            there = ", ".join(sorted({_end(name) for name in names}))
            raise InvalidInput(
                f"lora.targets: {shown(target)} is no matrix of the decoder; it has {there}", "lora.targets"
            )


def _end(name: str) -> str:
    """The end of a module's name that says what it is: `q_proj`, `lm_heads.0`."""
    *before, last = name.split(".")
    return f"{before[-1]}.{last}" if last.isdigit() else last


def _checkpoint_layers(decoder: MusicgenDecoder) -> None:
    """Keep of each layer only what goes into it (Chen et al. 2016, arXiv 1604.06174)."""
    for layer in decoder.decoder.model.decoder.layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)  # type: ignore[method-assign]


def _plain(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
