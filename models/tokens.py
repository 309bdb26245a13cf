"""From sound to tokens: EnCodec's encoder, arranged so that a processor's caches hold what it works on.

The convolutions see about 500 samples to either side. So they are run on a second of sound at a time, with one token
frame more at either end that is dropped: the result is that of the whole, but what lies between the layers stays in the
cache. The LSTM behind them reads its weights at each frame, so it takes many segments at once. Processors that
multiply in bfloat16 do all this in it, but for the codebooks.
"""

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecConv1d, EncodecEuclideanCodebook, EncodecLSTM

from models.shards import Codec
from musicmed_live.musicgen.decoder import FRAME_RATE
from musicmed_live.musicgen.parts import CODEC_RATE

HOP = CODEC_RATE // FRAME_RATE  # samples of a token frame

_TILE = 50  # token frames that the convolutions take at once

Mono = NDArray[np.float32]  # shape (samples,), at CODEC_RATE; full scale is 1.0


def codec_of(model: EncodecModel) -> Codec:
    """What tells this codec from others: its shape, and the SHA-256 of its weights as float32, by their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    config = model.config
    return Codec(digest.hexdigest(), FRAME_RATE, config.num_quantizers, config.codebook_size)


def fastest_type(device: torch.device) -> torch.dtype:
    """bfloat16 on processors that multiply in it, float32 on others and on GPUs, which are fast enough."""
    supported = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if supported.get("avx512_bf16") or supported.get("amx_bf16") else torch.float32


class SoundEncoder:
    """Encodes sound with the encoder and the codebooks of a codec."""

    def __init__(self, model: EncodecModel, device: torch.device, dtype: torch.dtype) -> None:
        """Take what encoding needs of `model`, which is one whose configuration `parts.codec_config` has read."""
        encoder = copy.deepcopy(model.encoder)
        for name, module in list(encoder.named_modules()):
            if isinstance(module, EncodecConv1d):
                encoder.set_submodule(name, _Convolution(module))
        layers = list(encoder.to(device, dtype).eval().requires_grad_(False).layers)
        recurrent = next(i for i, layer in enumerate(layers) if isinstance(layer, EncodecLSTM))
        self._convolutions, self._rest = layers[:recurrent], layers[recurrent:]
        self._halo = _frames_seen(self._convolutions)
        codebooks = (part for part in model.quantizer.modules() if isinstance(part, EncodecEuclideanCodebook))
        self._codebooks = [codebook.embed.detach().to(device, torch.float32) for codebook in codebooks]
        self._device, self._dtype = device, dtype

    @torch.inference_mode()
    def encode(self, sounds: Sequence[Mono]) -> list[NDArray[np.int16]]:
        """The tokens of each, (codebooks, frames), not delayed. A last frame that is not whole is left out.

        Each is at least a second long; those of the same length are encoded at once, so let most of them be.
        """
        found: dict[int, NDArray[np.int16]] = {}
        for frames in {len(sound) // HOP for sound in sounds}:
            places = [place for place, sound in enumerate(sounds) if len(sound) // HOP == frames]
            latents = self._latents(torch.from_numpy(np.stack([sounds[place][: frames * HOP] for place in places])))
            found |= zip(places, map(self._quantize, latents), strict=True)
        return [found[place] for place in range(len(sounds))]

    def _latents(self, sounds: Tensor) -> Tensor:
        """What the codebooks are compared with: of (n, samples), (n, frames, width) in float32."""
        rows = torch.split(sounds, len(sounds) if self._device.type == "cuda" else 1)
        hidden = torch.cat([self._convolved(row) for row in rows])
        for layer in self._rest:
            hidden = layer(hidden)
        return hidden.float().transpose(1, 2)

    def _convolved(self, sounds: Tensor) -> Tensor:
        frames = sounds.shape[1] // HOP
        tiles = []
        for begin in range(0, frames, _TILE):
            end = min(begin + _TILE, frames)
            first, last = max(0, begin - self._halo), min(end + self._halo, frames)
            hidden = sounds[:, None, first * HOP : last * HOP].to(self._device, self._dtype)
            for layer in self._convolutions:
                hidden = layer(hidden)
            tiles.append(hidden[..., begin - first : end - first])
        return torch.cat(tiles, dim=-1)

    def _quantize(self, latents: Tensor) -> NDArray[np.int16]:
        """The nearest entry of each codebook to what the ones before it left over."""
        left, tokens = latents.clone(), []
        for codebook in self._codebooks:
            half_norms = codebook.square().sum(1) / 2
            nearest = torch.addmm(half_norms, left, codebook.t(), beta=-1).argmax(1)  # |left|² is the same for all
            left -= codebook[nearest]
            tokens.append(nearest)
        return torch.stack(tokens).to("cpu", torch.int16).numpy()


def _frames_seen(layers: Sequence[nn.Module]) -> int:
    """How many token frames to either side these layers see at most, in whole ones."""
    samples, stride = 0, 1
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, _Convolution):
                samples += part.left * stride
                stride *= part.stride[0]
    return -(-samples // HOP)


class _Convolution(nn.Module):
    """A layer's convolution, its normalised weight worked out, mirrored at either end by copying and not by index."""

    def __init__(self, layer: EncodecConv1d) -> None:
        super().__init__()
        conv = layer.conv
        self.weight, self.bias = nn.Parameter(conv.weight.detach().clone()), conv.bias
        self.stride, self.dilation = conv.stride, conv.dilation
        surplus = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1 - conv.stride[0]
        self.left, self.right = surplus - surplus // 2, surplus // 2

    def forward(self, hidden: Tensor) -> Tensor:
        if self.left:
            begin = hidden[..., 1 : 1 + self.left].flip(-1)
            end = hidden[..., -1 - self.right : -1].flip(-1)
            hidden = torch.cat([begin, hidden, end], dim=-1)
        return F.conv1d(hidden, self.weight, self.bias, self.stride, dilation=self.dilation)
