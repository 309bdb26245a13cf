"""How fast an adapter is trained, beside transformers' own MusicGen with PEFT: same LoRA, same batch, same optimizer.

`python -m benchmarks.training` prints it; without a GPU it is run on the CPU with a small shape, which does not count.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
)
from transformers.modeling_outputs import BaseModelOutput

from benchmarks.report import print_figures, print_table
from models.batches import IGNORED, Batch
from models.conditioned import Conditioned, losses
from models.fit import BETAS
from models.recipe import Lora, Recipe, read_recipe
from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder, apply_delay

RECIPE = Path(__file__).parents[1] / "models" / "lora" / "small.toml"
SMALL = DecoderConfig(layers=24, width=1024, heads=16, ffn=4096)
TRIAL = DecoderConfig(layers=4, width=256, heads=4, ffn=1024)
TEXT_TOKENS = 16
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Load:
    """What is trained on."""

    decoder: DecoderConfig
    segments: int
    frames: int
    device: torch.device
    type: torch.dtype  # of the weights that are not trained; where it is a half one, all is computed in it


def gpu_over_peft() -> float | None:
    """Steps per second of ours over theirs: musicgen-small's shape, bfloat16, on the GPU; None where there is none."""
    if not torch.cuda.is_available():
        return None
    segments = read_recipe(RECIPE).training.batch
    return ratio(Load(SMALL, segments, 1500, torch.device("cuda"), torch.bfloat16))


def ratio(load: Load) -> float:
    """Steps per second of ours over theirs, the median of rounds in which each makes a step."""
    torch.manual_seed(0)
    recipe = read_recipe(RECIPE)
    assert recipe.lora is not None
    codes = torch.randint(0, load.decoder.vocab, (load.segments, load.decoder.codebooks, load.frames))
    columns = apply_delay(codes, load.decoder.vocab).to(load.device)
    text = torch.randn(load.segments, TEXT_TOKENS, load.decoder.text_width, device=load.device)
    steps = [_ours(load, recipe, columns, text), _theirs(load, recipe.lora, columns, text)]
    for step in steps * 2:
        step()
    seconds = [[_timed(step, load.device) for step in steps] for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
    tokens = columns.numel()
    print_table(
        ["training", "s a step", "tokens/s"],
        [["ours", ours, round(tokens / ours)], ["transformers + PEFT", theirs, round(tokens / theirs)]],
        f"{load.segments} x {load.frames} frames, {load.decoder.layers} layers of {load.decoder.width}, {load.device}",
    )
    return statistics.median(their / our for our, their in seconds)


def _timed(step: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _ours(load: Load, recipe: Recipe, columns: torch.Tensor, text: torch.Tensor) -> Callable[[], None]:
    decoder = MusicgenDecoder(load.decoder).to(load.device, load.type)
    model = Conditioned(decoder, replace(recipe, emotion=None), 1.0, "small")
    pad = load.decoder.vocab
    none = torch.zeros(load.segments, 2, device=load.device)
    weight = torch.zeros(text.shape[:2], device=load.device)
    batch = Batch(
        ("",) * load.segments,
        _begun(columns, pad),
        columns.masked_fill(columns == pad, IGNORED),
        text,
        weight,
        none,
        none[:, 0],
    )
    return _step(model, load, lambda: losses(model(batch), batch.targets).mean())


def _theirs(load: Load, lora: Lora, columns: torch.Tensor, text: torch.Tensor) -> Callable[[], None]:
    model = MusicgenForConditionalGeneration(_config(load.decoder))
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # PEFT takes any number for it
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
    )
    torch.nn.Module.to(model, load.device, load.type)
    adapted = get_peft_model(model, settings).train()
    mask = torch.ones(text.shape[:2], device=load.device, dtype=torch.long)
    asked = {
        "decoder_input_ids": _begun(columns, load.decoder.vocab).flatten(0, 1),
        "encoder_outputs": BaseModelOutput(text),
        "attention_mask": mask,
        "labels": columns.mT,
        "use_cache": False,
    }
    return _step(adapted, load, lambda: adapted(**asked).loss)


def _begun(columns: torch.Tensor, pad: int) -> torch.Tensor:
    """What goes in for `columns` to come out."""
    return torch.cat([torch.full_like(columns[..., :1], pad), columns[..., :-1]], dim=-1)


def _step(model: torch.nn.Module, load: Load, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """A step of training: forth, back, and AdamW."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=BETAS)
    half = load.type is torch.bfloat16

    def step() -> None:
        with torch.autocast(load.device.type, torch.bfloat16, enabled=half):
            found = loss()
        found.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _config(decoder: DecoderConfig) -> MusicgenConfig:
    """The same decoder, beside a text encoder and a codec that are not used, and therefore small."""
    text = T5Config(vocab_size=32, d_model=decoder.text_width, d_kv=8, d_ff=8, num_layers=1, num_heads=1)
    codec = EncodecConfig(
        sampling_rate=32_000, target_bandwidths=[2.2], num_filters=4, hidden_size=8, codebook_size=2048
    )
    made = MusicgenDecoderConfig(
        pad_token_id=decoder.vocab,
        num_hidden_layers=decoder.layers,
        hidden_size=decoder.width,
        num_attention_heads=decoder.heads,
        ffn_dim=decoder.ffn,
        dropout=0.0,
    )
    return MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=made)


def main() -> None:
    """Measure on the GPU; without one, see on the CPU that it works."""
    found = gpu_over_peft()
    if found is None:
        print("no GPU: gpu_over_peft_x is not measured; a small shape on the CPU, in float32:")
        print(f"ratio {ratio(Load(TRIAL, 2, 500, torch.device('cpu'), torch.float32)):.2f}")
    else:
        print_figures("training", {"gpu_over_peft_x": found})


if __name__ == "__main__":
    main()
