"""How many steps a second transformers and audiocraft make by themselves, musicgen-small's shape, guidance on.

They begin with an empty cache and slow down as it grows, so a few hundred of a clip's 1503 steps flatter them.
`python -m benchmarks.musicgen_peers NAME DTYPE DEVICE STEPS` prints it; a process of its own, since audiocraft needs
stand-ins for modules that it imports and this does not use.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers.models.encodec.modeling_encodec import EncodecDecoderOutput
from transformers.models.musicgen.modeling_musicgen import MusicgenForConditionalGeneration

from benchmarks.musicgen_small import small_config
from tests.musicgen.audiocraft_lm import install_stand_ins

PROMPT_TOKENS = 12
TEXT_WIDTH = 768
WARM_UP_STEPS = 4


def steps_per_second(peer: str, dtype: str, device: str, steps: int) -> float:
    """Measured in a process of its own. `peer` is transformers or audiocraft, `dtype` a name of torch's."""
    command = [sys.executable, "-m", "benchmarks.musicgen_peers", peer, dtype, device, str(steps)]
    return float(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()[-1])


def transformers_generate(dtype: torch.dtype, device: str) -> Callable[[int], Any]:
    """`generate`, without the sound at its end; reading the prompt is a fraction of a step."""
    model = MusicgenForConditionalGeneration(small_config()).eval()
    torch.nn.Module.to(model, device=device, dtype=dtype)
    model.audio_encoder.decode = _no_sound
    asked = {
        "input_ids": torch.randint(3, 100, (1, PROMPT_TOKENS), device=device),
        "attention_mask": torch.ones(1, PROMPT_TOKENS, dtype=torch.long, device=device),
    }
    return lambda steps: model.generate(**asked, do_sample=True, top_k=250, guidance_scale=3.0, max_new_tokens=steps)


def _no_sound(*_args: Any, **_kwargs: Any) -> EncodecDecoderOutput:
    return EncodecDecoderOutput(torch.zeros(1, 1, 1))


def audiocraft_generate(dtype: torch.dtype, device: str) -> Callable[[int], Any]:
    """`LMModel.generate` with the text already encoded."""
    install_stand_ins()
    from audiocraft.models.lm import LMModel
    from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
    from audiocraft.modules.conditioners import (
        ConditionFuser,
        ConditioningAttributes,
        ConditioningProvider,
        TextConditioner,
    )

    class Encoded(TextConditioner):
        def tokenize(self, texts: list[str | None]) -> torch.Tensor:
            present = torch.tensor([[text is not None] for text in texts], dtype=dtype, device=device)
            return present.expand(-1, PROMPT_TOKENS)

        def forward(self, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = torch.randn(1, PROMPT_TOKENS, TEXT_WIDTH, dtype=dtype, device=device)
            return self.output_proj(hidden) * mask[..., None], mask

    shape: dict[str, Any] = {
        **{"n_q": 4, "card": 2048, "dim": 1024, "num_heads": 16, "num_layers": 24, "hidden_scale": 4},
        **{"cross_attention": True, "causal": True, "norm_first": True, "custom": False, "memory_efficient": True},
        **{"bias_ff": False, "bias_attn": False, "bias_proj": False, "positional_embedding": "sin", "cfg_coef": 3.0},
        **{"activation": "gelu", "norm": "layer_norm", "dropout": 0.0},
    }
    model = LMModel(
        DelayedPatternProvider(n_q=4),
        ConditioningProvider({"description": Encoded(TEXT_WIDTH, 1024)}, device=device),
        ConditionFuser({"cross": ["description"], "prepend": [], "sum": [], "input_interpolate": []}),
        **shape,
    )
    model = model.to(device=device, dtype=dtype).eval()
    asked = [ConditioningAttributes(text={"description": "calm piano music"})]
    return lambda steps: model.generate(conditions=asked, max_gen_len=steps, use_sampling=True, top_k=250)


def main() -> None:
    """One figure."""
    peer, dtype, device, steps = sys.argv[1:]
    torch.manual_seed(0)
    make = {"transformers": transformers_generate, "audiocraft": audiocraft_generate}[peer]
    with torch.inference_mode():
        generate = make(getattr(torch, dtype), device)
        generate(WARM_UP_STEPS)
        began = time.perf_counter()
        generate(int(steps))
        if device == "cuda":
            torch.cuda.synchronize()
        print(int(steps) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
