"""The stages of the proof. Each leaves its result in a place of its own; where that is there, it is not made again."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file
from transformers import EncodecModel

from models import checkpoints
from models.conditioned import ADAPTER, DECODER
from models.history import History
from models.proof import checkpoint, codec, corpus, quantiser
from models.proof.dataset import write_shards
from models.proof.measure import JUDGE, ceilings, lower_r, measure, write_json
from models.proof.picture import write_pictures
from models.proof.recipes import adapter_recipe, base_recipe
from models.proof.semitones import Levels, levels
from models.proof.sizes import Size
from models.shards import PREPARED, read_prepared
from models.train import train
from models.whole import whole, whole_folder

Tell = Callable[[str], None]

RESULT = "proof.json"

_CODEBOOKS = "codebooks.safetensors"
_CEILING_TRACKS = 40
_FITTED_FRAMES = 60_000  # that the codebooks are fitted to, at most


class Stages:
    """One run of the proof in a folder."""

    def __init__(self, out: Path, size: Size, tell: Tell) -> None:
        """`tell` is given a line now and then."""
        self._out, self._size, self._tell = out, size, tell
        self.model, self.adapter = out / "model", out / "adapter" / ADAPTER

    def run(self) -> dict[str, Any]:
        """All of them; returns what `proof.json` holds.

        Raises what the composer, the training and the evaluation raise; what was finished is not made again.
        """
        out, size = self._out, self._size
        for number, track in enumerate(corpus.write(out / "corpus", size.tracks, size.track_seconds, size.seed)):
            self._analyse(track)
            if number % 50 == 0:
                self._tell(f"corpus: {number} of {size.tracks} tracks")
        tiny = self._codec()
        self._shards(tiny, "untold", told=False)
        self._shards(tiny, "told", told=True)
        if not self.model.exists():
            self._start(tiny)
            self._train("base", base_recipe(size), out / "start", "untold")
            self._finish_base(tiny)
        self._train("adapter", adapter_recipe(size), self.model, "told")
        return self._measure(tiny)

    def _measure(self, tiny: EncodecModel) -> dict[str, Any]:
        size = self._size
        played = measure(self.model, self.adapter, self._out / "evaluation", size)
        unseen = [track for track in corpus.plan(size.tracks, size.seed) if track.split == "validation"]
        content = {
            "size": asdict(size),
            "figures": {f"proof_{side}_r": lower_r(found) for side, found in played.items()},
            "played": played,
            "ceilings": ceilings(self._out / "corpus", unseen[:_CEILING_TRACKS], tiny, size.clip_seconds),
        }
        write_json(self._out / RESULT, content)
        write_pictures(self._out, JUDGE)
        return content

    def _analyse(self, track: corpus.Track) -> None:
        path = self._levels_of(track)
        if not path.exists():
            mono, _ = soundfile.read(self._out / "corpus" / track.name, dtype="float32")
            with whole(path) as partial, partial.open("wb") as file:
                np.save(file, levels(mono).astype(np.float16))

    def _levels_of(self, track: corpus.Track) -> Path:
        return self._out / "levels" / f"{track.name}.npy"

    def _heard(self) -> Iterator[tuple[corpus.Track, Levels]]:
        for track in corpus.plan(self._size.tracks, self._size.seed):
            yield track, np.load(self._levels_of(track)).astype(np.float32)

    def _codec(self) -> EncodecModel:
        path, seed = self._out / _CODEBOOKS, self._size.seed
        tiny = codec.make_codec(self._size.vocab, seed)
        if not path.exists():
            frames = torch.from_numpy(
                np.concatenate([heard for track, heard in self._heard() if track.split == "train"])
            )
            chosen = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))[:_FITTED_FRAMES]
            fitted = quantiser.fit_codebooks(frames[chosen], codec.CODEBOOKS, self._size.vocab, seed)
            with whole(path) as partial:
                save_file({str(book): centres for book, centres in enumerate(fitted)}, partial)
            self._tell("codec: the codebooks are fitted")
        stored = load_file(path)
        quantiser.install(tiny, [stored[str(book)] for book in range(codec.CODEBOOKS)])
        return tiny

    def _shards(self, tiny: EncodecModel, name: str, told: bool) -> None:
        folder = self._out / name
        if not (folder / PREPARED).exists() or not read_prepared(folder).complete:
            write_shards(folder, tiny, list(self._heard()), self._size, told)

    def _start(self, tiny: EncodecModel) -> None:
        with whole_folder(self._out / "start") as folder:
            checkpoint.save(checkpoint.make_model(tiny, self._size), folder)

    def _finish_base(self, tiny: EncodecModel) -> None:
        model = checkpoint.make_model(tiny, self._size)
        checkpoint.with_decoder(model, self._out / "base" / ADAPTER / DECODER)
        with whole_folder(self.model) as folder:
            checkpoint.save(model, folder)

    def _train(self, name: str, recipe: str, model: Path, shards: str) -> None:
        path = self._out / f"{name}.toml"
        path.write_text(recipe, encoding="utf-8")
        out = self._out / name
        train(path, model, self._out / shards, out, checkpoints.is_begun(out), self._watch(name))

    def _watch(self, name: str) -> Callable[[History], None]:
        def watch(history: History) -> None:
            if history.step % 20 == 0:
                self._tell(f"{name}: step {history.step}, loss {history.losses[-1]:.3f}")

        return watch
