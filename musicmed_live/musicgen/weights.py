"""Checkpoints of MusicGen: found, checked, and read part by part.

Two layouts are known, that of transformers and that of audiocraft. Nothing in a checkpoint is ever run: tensors come
from safetensors files, or from pickles through torch's `weights_only` reader, which builds nothing but tensors.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import EncodecConfig, EncodecModel, T5Config, T5EncoderModel, T5Tokenizer

from musicmed_live.errors import BadWeights, shown
from musicmed_live.musicgen import audiocraft, hub, parts
from musicmed_live.musicgen.decoder import DecoderConfig
from musicmed_live.musicgen.tensors import MappedTensors, Shape, Stored, check_tensors, list_tensors, read_json

CONFIG = "config.json"

Tensors = Callable[[], Mapping[str, torch.Tensor]]


class _Finite(Mapping[str, torch.Tensor]):
    """Tensors that are looked at as they are read: one number that is none, and nothing would be heard but that."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], where: Path) -> None:
        self._tensors, self._where = tensors, where

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        if not tensor.isfinite().all():
            raise BadWeights(f"{self._where}: {name} holds what is no finite number; it is damaged: download it again")
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A checkpoint whose every tensor is known to be there, in its shape. Nothing is read before it is asked for."""

    folder: Path
    layout: str  # "transformers" or "audiocraft"
    config: DecoderConfig
    codec_config: EncodecConfig
    text_config: T5Config
    _decoder: Tensors
    _codec: Tensors
    _text: Tensors
    _tokenizer: Path

    def decoder_tensors(self) -> Mapping[str, torch.Tensor]:
        """The decoder's tensors by transformers' names, as stored: views of the files, to be dropped one by one.

        Reading one raises `BadWeights` where it is damaged.
        """
        return _Finite(self._decoder(), self.folder)

    def codec(self) -> EncodecModel:
        """The codec, float32, ready to decode. Raises `BadWeights` where it is damaged."""
        return parts.build_codec(self.codec_config, _Finite(self._codec(), self.folder))

    def text_encoder(self) -> tuple[T5Tokenizer, T5EncoderModel]:
        """What reads prompts, float32, on views of the file: cheap to make, use and drop."""
        return parts.load_tokenizer(self._tokenizer), parts.build_text_encoder(self.text_config, self._text())


@dataclass(frozen=True, slots=True)
class Findings:
    """What a checkpoint without fault consists of."""

    folder: Path
    layout: str
    config: DecoderConfig
    parameters: int  # of the decoder


def open_checkpoint(source: str | Path, offline: bool = False) -> Checkpoint:
    """The checkpoint in a directory, or under a name on the hub, such as `small` or `facebook/musicgen-small`.

    What is not in the local cache yet is downloaded, unless `offline`. Everything is checked, from the headers of the
    files alone. Raises `BadWeights` where there is none, or none that can be played.
    """
    folder = hub.locate(source, offline)
    if (folder / CONFIG).is_file():
        return _open_transformers(folder)
    if (folder / audiocraft.DECODER).is_file() or (folder / audiocraft.CODEC).is_file():
        return _open_audiocraft(folder, offline)
    raise BadWeights(f"{folder} holds neither {CONFIG} nor {audiocraft.DECODER}: it is no checkpoint of MusicGen")


def check(source: str | Path, offline: bool = False) -> Findings:
    """Look whether a checkpoint can be played, without reading its weights. Raises `BadWeights` where it cannot."""
    found = open_checkpoint(source, offline)
    parts.load_tokenizer(found._tokenizer)
    parameters = sum(torch.Size(shape).numel() for shape in parts.decoder_shapes(found.config).values())
    return Findings(found.folder, found.layout, found.config, parameters)


def _open_transformers(folder: Path) -> Checkpoint:
    where = folder / CONFIG
    content = read_json(where)
    _check_model_type(content.get("model_type"), where)
    text = parts.text_config(_section(content, "text_encoder", where), where)
    config = parts.decoder_config(_section(content, "decoder", where), text.d_model, where)
    codec = parts.codec_config(_section(content, "audio_encoder", where), config, where)
    stored = list_tensors(folder)
    decoder_tensors = _select(stored, "", parts.decoder_shapes(config), folder)
    codec_tensors = _select(_without_aliases(stored), "audio_encoder.", parts.codec_shapes(codec), folder)
    text_tensors = _select(stored, "text_encoder.", parts.text_shapes(text), folder)
    return Checkpoint(
        folder=folder,
        layout="transformers",
        config=config,
        codec_config=codec,
        text_config=text,
        _decoder=lambda: MappedTensors(decoder_tensors),
        _codec=lambda: MappedTensors(codec_tensors),
        _text=lambda: MappedTensors(text_tensors),
        _tokenizer=folder,
    )


def _open_audiocraft(folder: Path, offline: bool) -> Checkpoint:
    language_model = audiocraft.read_decoder(folder / audiocraft.DECODER)
    sound = audiocraft.read_codec(folder / audiocraft.CODEC, language_model.config)
    text_folder = hub.locate_text_encoder(folder, language_model.text_encoder, offline)
    where = text_folder / CONFIG
    text = parts.text_config(read_json(where), where)
    if text.d_model != language_model.config.text_width:
        raise BadWeights(
            f"{where}: the text encoder is {text.d_model} wide, but the decoder in {folder} was trained with one of "
            f"{language_model.config.text_width}; get {language_model.text_encoder}"
        )
    text_tensors = _select(list_tensors(text_folder), "", parts.text_shapes(text), text_folder)
    return Checkpoint(
        folder=folder,
        layout="audiocraft",
        config=language_model.config,
        codec_config=sound.config,
        text_config=text,
        _decoder=lambda: audiocraft.read_decoder(folder / audiocraft.DECODER).tensors,
        _codec=lambda: audiocraft.read_codec(folder / audiocraft.CODEC, language_model.config).tensors,
        _text=lambda: MappedTensors(text_tensors),
        _tokenizer=text_folder,
    )


def _check_model_type(found: object, where: Path) -> None:
    if found != "musicgen":
        hint = ", which follows a melody" if found == "musicgen_melody" else ""
        raise BadWeights(
            f"{where}: the model is {shown(found)}{hint}; only musicgen, which follows text alone, can be played"
        )


def _section(content: Mapping[str, object], name: str, where: Path) -> dict[str, object]:
    section = content.get(name)
    if not isinstance(section, dict):
        raise BadWeights(f"{where}: {name} is {shown(section)}, not an object; download it again")
    return section


def _without_aliases(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """With the older names of a normalised weight's magnitude and direction brought up to date."""
    return {audiocraft.current_norm_name(name): place for name, place in stored.items()}


def _select(stored: Mapping[str, Stored], prefix: str, shapes: Mapping[str, Shape], where: Path) -> dict[str, Stored]:
    """The tensors of one part, by their names in it."""
    found = {name.removeprefix(prefix): place for name, place in stored.items() if name.startswith(prefix)}
    check_tensors(found, shapes, where)
    return {name: found[name] for name in shapes}
