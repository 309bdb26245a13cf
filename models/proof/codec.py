"""A tiny codec in EnCodec's form (Defossez et al. 2022, arXiv 2210.13438) that begins as an additive synthesizer.

A codec of this size that is trained on waveforms spends its tokens on phases, and a small language model what it can
learn on guessing them. So this one is given what a synthesizer knows: its tokens say how loud each semitone is, and the
decoder's LSTM begins with an oscillator for each, as Engel et al. 2020 (DDSP, arXiv 2001.04643) put oscillators
into a network. All of it is ordinary weights of transformers' `EncodecModel`, which can be trained on.
"""

import math
from typing import Any

import numpy as np
import torch
from transformers import EncodecConfig, EncodecModel

from models.proof.semitones import FREQUENCIES_HZ, LOUDEST, RANGE_DB, SEMITONES
from musicmed_live.musicgen.decoder import FRAME_RATE
from musicmed_live.musicgen.parts import CODEC_RATE

RATIOS = (16, 10, 4)  # of the upsampling: 50 Hz to 800, 8,000 and 32,000
FILTERS = 27  # 8 * 27 channels at 50 Hz are three for each semitone
CODEBOOKS = 4
_HOP = CODEC_RATE // FRAME_RATE
_WIDTH = FILTERS * 2 ** len(RATIOS)  # channels at 50 Hz
_OSCILLATORS = 2 * SEMITONES  # channels: cosine and sine of each semitone; its level is in a channel behind them

_GROWTH = 1.15  # of a free oscillator in a frame, until tanh holds it
_KICK = 0.01  # what sets an oscillator in motion
_OPEN, _SHUT = 20.0, -20.0  # of a gate
_SMOOTHING = (0.0, 0.0, 0.25, 0.5, 0.25, 0.0, 0.0)  # of levels in time: no note begins or ends within a frame
_LEVEL_GAIN = 0.2  # keeps levels where tanh is straight
_LOUDEST_GATE = -2.0  # below it the logistic function is an exponential, which decibels ask for
_HEADROOM = 0.3  # keeps sound where ELU is nearly straight
_PHASES = (_HOP // RATIOS[0], RATIOS[2])  # samples that lie between two steps at 800 and at 8,000 Hz

Weights = dict[str, torch.Tensor]


def codec_config(vocab: int) -> EncodecConfig:
    """The codec's shape: MusicGen's rates and four codebooks of `vocab` tokens, a power of two."""
    return EncodecConfig(
        sampling_rate=CODEC_RATE,
        target_bandwidths=[CODEBOOKS * FRAME_RATE * math.log2(vocab) / 1000],  # kbit/s
        num_filters=FILTERS,
        hidden_size=SEMITONES,
        codebook_size=vocab,
        upsampling_ratios=list(RATIOS),
        use_causal_conv=False,
        use_conv_shortcut=False,
    )


def make_codec(vocab: int, seed: int) -> EncodecModel:
    """A codec whose decoder plays the levels of semitones; what encodes has random weights."""
    torch.manual_seed(seed)
    codec: EncodecModel = EncodecModel(codec_config(vocab))
    layers: Any = codec.decoder.layers
    _set(layers[0].conv, _level_channels(layers[0].conv.weight.shape))
    lstm = layers[1].lstm.state_dict()  # the weights themselves, not a copy
    _oscillate(lstm)
    amplitude = _gate_levels(lstm)
    ups = [layer.conv for layer in layers if hasattr(layer, "trim_right_ratio")]
    _set(ups[0], _waves(ups[0].weight.shape, _HEADROOM * LOUDEST / amplitude))
    _set(ups[1], _interleave(ups[1].weight.shape, _PHASES[0], _PHASES[1]))
    _set(ups[2], _interleave(ups[2].weight.shape, _PHASES[1], 1))
    for block in (layer.block for layer in layers if hasattr(layer, "shortcut")):
        _set(block[3].conv, torch.zeros_like(block[3].conv.weight))
    last = torch.zeros_like(layers[-1].conv.weight)
    last[0, :2, last.shape[2] // 2] = torch.tensor([0.5, -0.5]) / _HEADROOM
    _set(layers[-1].conv, last)
    codec.eval()
    return codec


def _set(conv: Any, weight: torch.Tensor) -> None:
    """Give a weight-normalised convolution this weight and no bias. A filter of zeros keeps its direction."""
    parts = conv.parametrizations.weight
    with torch.no_grad():
        norm = weight.flatten(1).norm(dim=1)[:, None, None]
        parts.original1.copy_(torch.where(norm > 0, weight, parts.original1))
        parts.original0.copy_(norm)
        conv.bias.zero_()


def _level_channels(shape: torch.Size) -> torch.Tensor:
    """The first convolution: the level of each semitone, smoothed, into its channel."""
    weight = torch.zeros(shape)
    semitone = torch.arange(SEMITONES)
    weight[_OSCILLATORS + semitone, semitone] = _LEVEL_GAIN * torch.tensor(_SMOOTHING)
    return weight


def _oscillate(lstm: Weights) -> None:
    """The first layer: a rotation for each semitone by what its phase gains in a frame, and the levels passed on.

    With the gates open and nothing kept in the cell, h' = tanh(tanh(W h)): a rotation that grows until tanh holds it.
    """
    gates = _open_gates(lstm, 0)
    turn = torch.from_numpy(2 * np.pi * FREQUENCIES_HZ / FRAME_RATE).float()
    cosine, sine = torch.arange(0, _OSCILLATORS, 2), torch.arange(1, _OSCILLATORS, 2)
    recurrent = lstm["weight_hh_l0"][gates]
    recurrent[cosine, cosine], recurrent[cosine, sine] = _GROWTH * turn.cos(), -_GROWTH * turn.sin()
    recurrent[sine, cosine], recurrent[sine, sine] = _GROWTH * turn.sin(), _GROWTH * turn.cos()
    lstm["bias_ih_l0"][gates][cosine] = _KICK
    levels = torch.arange(_OSCILLATORS, _OSCILLATORS + SEMITONES)
    lstm["weight_ih_l0"][gates][levels, levels] = 1.0


def _gate_levels(lstm: Weights) -> float:
    """The second layer: each oscillator as loud as its level says. Returns the amplitude of the loudest."""
    gates = _open_gates(lstm, 1)
    channel = torch.arange(_OSCILLATORS)
    lstm["weight_ih_l1"][gates][channel, channel] = 1.0
    output = slice(3 * _WIDTH, 4 * _WIDTH)
    slope = RANGE_DB / 2 * math.log(10) / 20  # of the logarithm of an amplitude, from a level
    lstm["weight_ih_l1"][output][channel, _OSCILLATORS + channel // 2] = slope / _LEVEL_GAIN
    lstm["bias_ih_l1"][output] = _LOUDEST_GATE - slope
    return math.tanh(math.tanh(_held_amplitude())) / (1 + math.exp(-_LOUDEST_GATE))


def _open_gates(lstm: Weights, layer: int) -> slice:
    """Clear a layer, let all in and out and keep nothing; returns where what comes in stands."""
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        lstm[f"{name}_l{layer}"].zero_()
    bias = lstm[f"bias_ih_l{layer}"].view(4, _WIDTH)
    bias[0], bias[1], bias[3] = _OPEN, _SHUT, _OPEN
    return slice(2 * _WIDTH, 3 * _WIDTH)


def _held_amplitude() -> float:
    """At which tanh holds an oscillator: on average over its phase, it takes back what it grows by."""
    state = np.array([_KICK, 0.0])
    turn = 2.399963  # the golden angle, which visits all phases
    rotation = _GROWTH * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    for _ in range(1000):
        state = np.tanh(np.tanh(rotation @ state))
    return float(np.hypot(*state))


def _waves(shape: torch.Size, gain: float) -> torch.Tensor:
    """The first upsampling: two frames of a windowed sinusoid for each oscillator, 40 samples side by side in a step.

    Windows of neighbouring frames add up to one, and so sinusoids whose phase goes on add up to a sinusoid.
    """
    channels, _, taps = shape
    at = np.arange(taps * _PHASES[0])
    window = np.sin(np.pi * (at + 0.5) / len(at)) ** 2
    phase = 2 * np.pi * FREQUENCIES_HZ[:, None] * at / CODEC_RATE
    waves = np.zeros((channels, len(at)))
    waves[0:_OSCILLATORS:2], waves[1:_OSCILLATORS:2] = window * np.cos(phase), -window * np.sin(phase)
    samples = torch.from_numpy(gain * waves).float().view(channels, taps, _PHASES[0]).mT
    weight = torch.zeros(shape)
    weight[:, : _PHASES[0]], weight[:, _PHASES[0] : 2 * _PHASES[0]] = samples, -samples
    return weight


def _interleave(shape: torch.Size, coming: int, leaving: int) -> torch.Tensor:
    """A later upsampling: `coming` samples side by side become `leaving` at each of more steps.

    Each stands twice, as it is and inverted, and half their difference goes on: so ELU is straightened.
    """
    weight = torch.zeros(shape)
    trimmed = shape[2] // 4  # taps that lie before the step itself
    for sample in range(coming):
        step, place = divmod(sample, leaving)
        for sign, first in ((0.5, 0), (-0.5, coming)):
            weight[first + sample, place, trimmed + step] = sign
            weight[first + sample, leaving + place, trimmed + step] = -sign
    return weight
