"""Decoding tokens block by block, in any blocks, is decoding them as a whole."""

import copy
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]  # soxr has no annotations
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import EncodecConfig, EncodecModel

from musicmed_live.core.generator import Samples
from musicmed_live.musicgen import binding
from musicmed_live.musicgen.codec import FRAME_SAMPLES, CodecState, StreamingCodec
from musicmed_live.musicgen.parts import CODEC_RATE

SHAPES: dict[str, dict[str, Any]] = {
    "musicgen": {},
    "deeper": {"num_residual_layers": 2, "use_conv_shortcut": True, "num_lstm_layers": 1, "kernel_size": 5},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small are slower when they are shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config(**changes: Any) -> EncodecConfig:
    """The shape of `facebook/encodec_32khz`, but with few filters."""
    published: dict[str, Any] = {
        **{"sampling_rate": 32_000, "target_bandwidths": [2.2], "upsampling_ratios": [8, 5, 4, 4]},
        **{"use_causal_conv": False, "use_conv_shortcut": False, "codebook_size": 2048, "hidden_size": 128},
    }
    return EncodecConfig(**{**published, "num_filters": 2, **changes})


@cache
def model(shape: str = "musicgen") -> EncodecModel:
    """Random weights; sounds at about a tenth of full scale."""
    torch.manual_seed(7)
    codec = EncodecModel(config(**SHAPES[shape]))
    for name, buffer in codec.named_buffers():
        if name.endswith("embed"):
            buffer.normal_()
    return codec


@cache
def streaming(shape: str = "musicgen") -> StreamingCodec:
    return StreamingCodec(model(shape))


def tokens(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(2048, (4, frames), generator=torch.Generator().manual_seed(seed))


def whole(codes: torch.Tensor, shape: str = "musicgen") -> NDArray[np.float32]:
    """The mono signal at 48 kHz of transformers' own decoder."""
    codec: Any = model(shape)  # whose annotations do not allow for missing scales
    with torch.no_grad():
        mono = codec.decode(codes[None, None], [None]).audio_values[0, 0].numpy()
    resampled: NDArray[np.float32] = soxr.resample(mono, CODEC_RATE, 48_000, quality="VHQ")
    return resampled


def decoded(codes: torch.Tensor, blocks: Sequence[int], codec: StreamingCodec) -> Samples:
    """The tokens' sound, decoded in blocks of so many frames."""
    state, sound = codec.begin(), []
    for start, frames in zip(accumulate(blocks, initial=0), blocks, strict=False):
        samples, state = codec.decode(codes[:, start : start + frames], state)
        sound.append(samples)
    return np.concatenate([*sound, codec.finish(state)])


def assert_same_sound(sound: Samples, mono: NDArray[np.float32]) -> None:
    assert sound.shape == (len(mono), 2)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound.mean(1), mono, atol=2e-6)


def parts_of(state: CodecState) -> list[NDArray[Any]]:
    """A copy of all that a state is made of."""
    layers = [tensor.numpy().copy() for layer in state.layers for tensor in layer]
    return [*layers, state.mono.copy(), state.side.copy()]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.sampled_from(sorted(SHAPES)), st.integers(0, 9)
)
def test_any_blocks_sound_as_transformers_decodes_the_whole(blocks: list[int], shape: str, seed: int) -> None:
    codes = tokens(sum(blocks), seed)
    assert_same_sound(decoded(codes, blocks, streaming(shape)), whole(codes, shape))


@pytest.mark.parametrize("frames", range(1, 8))
def test_a_sound_shorter_than_the_reach_of_the_first_convolution_is_padded_as_transformers_does(frames: int) -> None:
    codes = tokens(frames)
    assert_same_sound(decoded(codes, [1] * frames, streaming()), whole(codes))


@pytest.mark.parametrize("blocks", [[25] * 12, [300]], ids=["in blocks", "in one, which layers take in pieces"])
def test_a_long_sound_is_exact_too(blocks: list[int]) -> None:
    codes = tokens(300)
    assert np.std(whole(codes)) > 0.01  # or an error could not be seen
    assert_same_sound(decoded(codes, blocks, streaming()), whole(codes))


@pytest.mark.parametrize("shape", SHAPES)
def test_without_the_kernel_it_sounds_the_same(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "available", lambda: False)
    codes = tokens(60)
    assert_same_sound(decoded(codes, [7, 13, 40], StreamingCodec(model(shape))), whole(codes, shape))


@given(st.lists(st.integers(0, 9), max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_length_that_is_out_depends_on_the_frames_consumed_alone(blocks: list[int]) -> None:
    codec = streaming()
    state, out, consumed = codec.begin(), 0, 0
    for frames in blocks:
        samples, state = codec.decode(tokens(frames), state)
        out, consumed = out + len(samples), consumed + frames
        assert out == FRAME_SAMPLES * max(0, consumed - codec.latency_frames)
        assert state.frames == consumed
    assert len(codec.finish(state)) == FRAME_SAMPLES * min(consumed, codec.latency_frames)


def test_the_look_ahead_is_four_frames() -> None:
    assert streaming().latency_frames == 4


def test_decoding_goes_on_otherwise_from_an_old_state() -> None:
    first, other = tokens(20, seed=1), tokens(20, seed=2)
    other[:, :12] = first[:, :12]
    codec = streaming()
    begun, kept = codec.decode(first[:, :12], codec.begin())
    codec.finish(codec.decode(first[:, 12:], kept)[1])

    followed, state = codec.decode(other[:, 12:], kept)
    assert_same_sound(np.concatenate([begun, followed, codec.finish(state)]), whole(other))


@pytest.mark.parametrize("frames", [0, 1, 3, 9])
def test_a_state_is_never_modified(frames: int) -> None:
    codec = streaming()
    _, state = codec.decode(tokens(frames), codec.begin())
    before = parts_of(state)
    codec.decode(tokens(11), state)
    codec.finish(state)
    for was, found in zip(before, parts_of(state), strict=True):
        np.testing.assert_array_equal(was, found)


def test_a_state_holds_no_more_memory_than_it_shows() -> None:
    codec = streaming()
    _, state = codec.decode(tokens(100), codec.begin())
    for tensor in (tensor for layer in state.layers for tensor in layer):
        assert tensor.untyped_storage().nbytes() == 4 * tensor.numel()
    assert state.mono.base is None
    assert sum(part.nbytes for part in parts_of(state)) < 20_000


def test_the_same_blocks_give_the_same_samples() -> None:
    codes, codec = tokens(12), streaming()
    np.testing.assert_array_equal(decoded(codes, [5, 7], codec), decoded(codes, [5, 7], codec))


def test_a_torch_without_onednn_decodes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    codes = tokens(30)
    assert_same_sound(decoded(codes, [10] * 3, StreamingCodec(model())), whole(codes))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_codec_on_a_gpu_decodes_the_same() -> None:
    on_gpu: Any = copy.deepcopy(model())  # whose own `cuda` is not annotated
    codes, codec = tokens(30), StreamingCodec(on_gpu.cuda())
    np.testing.assert_allclose(decoded(codes, [10] * 3, codec).mean(1), whole(codes), atol=1e-4)


def test_no_frames_are_no_sound() -> None:
    codec = streaming()
    assert codec.finish(codec.begin()).shape == (0, 2)


def test_frames_of_silent_codebooks_are_silent() -> None:
    silent = EncodecModel(config())
    for name, weight in silent.decoder.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(weight)
    codec = StreamingCodec(silent)
    samples, state = codec.decode(tokens(10), codec.begin())
    assert not samples.any()
    assert not codec.finish(state).any()


def test_the_codec_keeps_nothing_of_the_model() -> None:
    own = EncodecModel(config())
    codec = StreamingCodec(own)
    before, _ = codec.decode(tokens(8), codec.begin())
    with torch.no_grad():
        for tensor in (*own.parameters(), *own.buffers()):
            tensor.zero_()
    after, _ = codec.decode(tokens(8), codec.begin())
    np.testing.assert_array_equal(before, after)


def test_weights_of_half_the_precision_are_decoded_in_float32() -> None:
    coarse = StreamingCodec(EncodecModel(config()).bfloat16())
    samples, _ = coarse.decode(tokens(8), coarse.begin())
    assert samples.dtype == np.float32
