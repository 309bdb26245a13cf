"""What audiocraft itself makes of a checkpoint: run as a program, so that its stand-ins stay in a process of their own.

`python -m tests.musicgen.audiocraft_lm FOLDER OUT` reads the checkpoint with audiocraft's own loaders and writes the
logits of some tokens, the tokens of a greedy generation, and the sound of some tokens. Of what audiocraft imports,
what takes part in this is real; the rest, which reads files, trains or follows melodies, is stood in for by empty
modules.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

PROMPT = "calm piano music with flute"
FRAMES = 200  # generated, and sounded
ABSENT = ("torchaudio", "spacy", "librosa", "julius", "av", "soundfile", "flashy", "num2words")


def install_stand_ins() -> None:
    """Put empty modules in the place of those that audiocraft imports and this does not use."""
    for name in ABSENT:
        _stand_in(name)
    _stand_in("audiocraft.solvers")  # training
    _stand_in("audiocraft.solvers.compression", CompressionSolver=None)
    xformers = {"unbind": torch.unbind, "memory_efficient_attention": None, "LowerTriangularMask": object}
    _stand_in("xformers", ops=_stand_in("xformers.ops", **xformers))
    sys.modules["librosa"].__dict__["filters"] = None
    sys.modules["num2words"].__dict__["num2words"] = None
    sys.modules["flashy"].__dict__["distrib"] = _stand_in("flashy.distrib")


def _stand_in(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    module.__dict__.update(contents, __path__=[])
    sys.modules[name] = module
    return module


@torch.no_grad()
def measure(folder: Path) -> dict[str, torch.Tensor]:
    """Logits (2, 4, T, vocab) with and without the prompt, tokens (4, T), and sound (samples,)."""
    from audiocraft.models.loaders import load_compression_model, load_lm_model
    from audiocraft.modules.conditioners import ClassifierFreeGuidanceDropout, ConditioningAttributes, T5Conditioner

    os.chdir(folder)  # where the loader then finds the folder t5-base
    T5Conditioner.MODELS_DIMS["t5-base"] = 32
    language_model, codec = load_lm_model(folder), load_compression_model(folder)
    asked = [ConditioningAttributes(text={"description": PROMPT})]
    both = asked + ClassifierFreeGuidanceDropout(p=1.0)(asked)
    codes = torch.randint(0, 2048, (1, 4, 60), generator=torch.Generator().manual_seed(1))
    return {
        "codes": codes,
        "logits": language_model.compute_predictions(codes.repeat(2, 1, 1), both, keep_only_valid_steps=False).logits,
        "tokens": language_model.generate(conditions=asked, max_gen_len=FRAMES, use_sampling=False)[0],
        "sound": codec.decode(codes)[0, 0],
    }


if __name__ == "__main__":
    install_stand_ins()
    torch.save(measure(Path(sys.argv[1])), sys.argv[2])
