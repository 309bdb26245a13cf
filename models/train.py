"""Training: an adapter for MusicGen from shards of tokens, by a recipe."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import torch
from accelerate import Accelerator

from models import checkpoints
from models.batches import Segments
from models.conditioned import ADAPTER, Conditioned
from models.destination import claimed
from models.digest import digest
from models.estimate import Estimate, estimate
from models.fit import Trainer
from models.history import History
from models.place import check_apart, check_begun
from models.recipe import Recipe, read_recipe
from models.record import Record
from models.shards import PREPARED, Codec, Prepared, open_split, read_prepared
from models.texts import EncodedTexts, encode_texts
from models.tokens import codec_of
from musicmed_live.errors import InvalidInput
from musicmed_live.musicgen.decoder import MusicgenDecoder
from musicmed_live.musicgen.hub import hub_name
from musicmed_live.musicgen.weights import Checkpoint, open_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5EncoderModel

Watch = Callable[[History], None]

_VERSIONS = ("musicmed-live", "torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training has come to."""

    adapter: Path  # what was best in validation, ready to be played
    history: History


def train(
    recipe: Path,
    model: str | Path,
    shards: Path,
    out: Path,
    resume: bool = False,
    watch: Watch = lambda _history: None,
) -> Outcome:
    """Train by the recipe in a TOML file; see `Training`. `watch` is called after each step."""
    return Training(recipe, model, shards, out, resume).run(watch)


class Training:
    """A training that is ready to run: everything is read and checked."""

    def __init__(self, recipe: Path, model: str | Path, shards: Path, out: Path, resume: bool = False) -> None:
        """`model` is a checkpoint's directory or hub name; `shards` and `out` are directories.

        With `resume` it goes on from what `out` holds. Nobody else can train in `out` until it was run. Raises
        `InvalidInput` for a recipe, a model or shards that cannot be used or do not belong together, for an `out` that
        holds another training, or with `resume` none; `CannotServe` where `out` cannot be written.
        """
        self.recipe, self._recipe_path, self._out = read_recipe(recipe), recipe, out
        self._checkpoint = open_checkpoint(model)
        check_apart(out, self._checkpoint.folder, shards)
        self._prepared = read_prepared(shards)
        _check_codec(self._prepared, self._checkpoint, shards)
        self._half = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        self._accelerator = Accelerator(mixed_precision="bf16" if self._half else "no")
        self._name = _name(self._checkpoint.folder, model)
        self._begun = {
            "recipe": self.recipe.fingerprint,
            "model": digest(self._checkpoint.decoder_tensors()),
            "set of shards": sha256((shards / PREPARED).read_bytes()).hexdigest(),
            "number of processes": str(self._accelerator.num_processes),
        }
        with ExitStack() as claim:
            if self.is_main:
                claim.enter_context(claimed(out, "training"))
            check_begun(out, resume)
            self._trainer = self._make_trainer(shards)
            if resume:
                self._trainer.restore(checkpoints.read_state(self._begun, out))
            self._claim = claim.pop_all()

    @property
    def history(self) -> History:
        """What has happened so far."""
        return self._trainer.history

    @property
    def can_go_on(self) -> bool:
        """Whether what it has come to is kept, should it be stopped."""
        return checkpoints.is_begun(self._out)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return bool(self._accelerator.is_main_process)

    def estimate(self) -> Estimate:
        """What it will take, by two batches on trial. Raises `InvalidInput` where the memory does not suffice."""
        seconds = self._prepared.segment_seconds
        with _memory(self.recipe):
            return estimate(self._trainer, self.recipe, self._checkpoint.config, seconds, self._half)

    def run(self, watch: Watch) -> Outcome:
        """Train to the end; `watch` is called after each step.

        What was best in validation is in `out/adapter` at any time, what to go on from in `out/checkpoints`. Raises
        `NotFinite` where the loss gets lost, `InvalidInput` where the memory does not suffice, `CannotServe` where the
        disk is full.
        """
        with self._claim, _memory(self.recipe):
            if self.is_main:
                self._run_recorded(watch)
            else:
                self._trainer.run(_keep_nothing, watch)
        self._accelerator.end_training()
        return Outcome(self._out / ADAPTER, self.history)

    def _run_recorded(self, watch: Watch) -> None:
        record = Record(self._out, self.recipe, self._about(), self._trainer.history)

        def keep(trainer: Trainer, better: bool) -> None:
            if better:
                trainer.model.save(self._out, self._recipe_path)
            checkpoints.write_state(trainer.state(), self._begun, self._out)
            record.validated(trainer.history)

        def note(history: History) -> None:
            record.step(history)
            watch(history)

        try:
            if self.history.validated:  # it goes on; what is there may be of later steps, or damaged
                record.write(self.history)
            self._trainer.run(keep, note)
        finally:
            record.close()

    def _make_trainer(self, shards: Path) -> Trainer:
        seen, unseen = (open_split(shards, split) for split in ("train", "validation"))
        with self._accelerator.main_process_first():  # it writes the file that the others read
            texts = self._encode([seen, unseen])
        config, wanted = self._checkpoint.config, self.recipe.emotion
        room = 0 if wanted is None else wanted.tokens
        torch.manual_seed(self.recipe.seed)
        model = Conditioned(self._decoder(), self.recipe, texts.scale, self._name)
        return Trainer(
            model,
            Segments(seen, texts, config, room),
            Segments(unseen, texts, config, room),
            self.recipe,
            self._accelerator,
        )

    def _encode(self, splits: list[datasets.Dataset]) -> EncodedTexts:
        captions = {caption for split in splits for each in split["captions"] for caption in each}
        width, model = self._checkpoint.config.text_width, self._begun["model"]
        return encode_texts(captions, self._text_encoder, width, self._out, model)

    def _text_encoder(self) -> "tuple[PreTrainedTokenizerBase, T5EncoderModel]":
        tokenizer, encoder = self._checkpoint.text_encoder()
        torch.nn.Module.to(encoder, self._accelerator.device)
        return tokenizer, encoder

    def _decoder(self) -> MusicgenDecoder:
        """The model's decoder. Weights that are not trained are in bfloat16 on a GPU, as they are when it plays."""
        kind = torch.bfloat16 if self._half and self.recipe.lora is not None else torch.float32
        with torch.device("meta"):
            decoder = MusicgenDecoder(self._checkpoint.config)
        tensors = self._checkpoint.decoder_tensors()
        decoder.load_state_dict({name: tensors[name].to(kind, copy=True) for name in tensors}, assign=True)
        return decoder

    def _about(self) -> dict[str, Any]:
        """What `history.json` says beside what happened."""
        model = self._trainer.model
        return {
            "version": 1,
            "recipe": asdict(self.recipe),
            "model": {"name": self._name, "sha256": self._begun["model"]},
            "shards": {
                "sha256": self._begun["set of shards"],
                "origin": self._prepared.origin,
                "splits": {split: asdict(tally) for split, tally in self._prepared.splits.items()},
            },
            "parameters": {
                "all": sum(weight.numel() for weight in model.parameters()),
                "trained": sum(weight.numel() for _, weight in model.trained()),
            },
            "processes": self._accelerator.num_processes,
            "device": self._trainer.device.type,
            "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        }


def _keep_nothing(_trainer: Trainer, _better: bool) -> None:
    """In processes beside the main one."""


def _name(folder: Path, model: str | Path) -> str:
    """The model's name on the hub; of a directory that is not in the hub's cache, the name of that."""
    if folder != Path(model).expanduser():
        return hub_name(model)
    folder = folder.resolve()
    if folder.parent.name == "snapshots":  # MODEL/snapshots/COMMIT, where MODEL is models--OWNER--NAME
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    return folder.name


def _check_codec(prepared: Prepared, checkpoint: Checkpoint, shards: Path) -> None:
    found, wanted = prepared.codec, codec_of(checkpoint.codec())
    if found != wanted:
        raise InvalidInput(
            f"{shards}: the tokens are of {_in_words(found)}, the model's of {_in_words(wanted)}; "
            "prepare the music with this model",
            "shards",
        )


def _in_words(codec: Codec) -> str:
    books = f"{codec.codebooks} codebooks of {codec.vocab} at {codec.frame_rate} Hz"
    return f"{books} by the codec {codec.sha256[:12]}"


@contextmanager
def _memory(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as fault:
        training = recipe.training
        way_out = "" if training.checkpoint_layers else " or set checkpoint_layers = true"
        raise InvalidInput(
            f"the GPU's memory does not suffice for a batch of {training.batch} segments; lower training.batch, and "
            f"raise training.accumulate by as much,{way_out} in the recipe",
            "training.batch",
        ) from fault
