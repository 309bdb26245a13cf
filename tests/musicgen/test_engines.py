import torch

from musicmed_live.musicgen.decoder import DecoderConfig, MusicgenDecoder
from musicmed_live.musicgen.engine import Conditioning
from musicmed_live.musicgen.engines import open_engine
from musicmed_live.musicgen.native import NativeEngine
from musicmed_live.musicgen.torch_engine import TorchEngine


def plays(config: DecoderConfig, kinds: tuple[type, ...]) -> bool:
    """Whether an engine of one of these kinds is opened on the CPU, and draws."""
    weights = MusicgenDecoder(config).state_dict()
    engine = open_engine(config, weights, (), 2, "cpu")
    engine.condition([0], Conditioning(torch.zeros(1, config.text_width), torch.zeros(1)))
    unknown = torch.full((1, 3, config.codebooks), -1)
    drawn = engine.advance([0], torch.zeros(1, config.codebooks).long(), unknown, torch.zeros(1, 3).long())
    return isinstance(engine, kinds) and bool((drawn >= 0).all())


def test_the_quicker_of_the_engines_is_taken() -> None:
    assert plays(DecoderConfig(layers=3, width=128, heads=2, ffn=256, text_width=32), (NativeEngine, TorchEngine))


def test_a_shape_that_the_kernel_does_not_know_is_played_in_torch() -> None:
    assert plays(DecoderConfig(layers=2, width=96, heads=2, ffn=192, text_width=32, vocab=96), (TorchEngine,))
