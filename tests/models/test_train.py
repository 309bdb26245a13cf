"""Training teaches a model what emotions sound like, can be stopped at any time, and leaves what can be played."""

import argparse
import json
import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import MusicgenForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from models.batches import IGNORED, Batch, Segments
from models.checkpoints import FILE, FOLDER
from models.commands import train as command
from models.conditioned import DECODER, losses
from models.fit import NotFinite
from models.history import History
from models.recipe import Conditioning
from models.shards import QUADRANTS, Segment
from models.train import Outcome, Training, train
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Preference, Samples
from musicmed_live.errors import InvalidInput
from musicmed_live.musicgen.adapters import load_adapter
from musicmed_live.musicgen.conditioning import Conditioner
from musicmed_live.musicgen.decoder import MusicgenDecoder, apply_delay
from musicmed_live.musicgen.generator import MusicgenGenerator
from musicmed_live.musicgen.weights import open_checkpoint
from tests.models.lessons import CORNERS, lesson, write_shards
from tests.musicgen import tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # by PEFT itself

RECIPE = """\
[lora]
rank = 4
alpha = 8
dropout = 0.1
targets = ["q_proj", "v_proj", "fc1"]
[emotion]
tokens = 2
width = 16
[training]
steps = 6
batch = 2
accumulate = 2
learning_rate = 1e-2
warmup_steps = 2
[validation]
every = 3
patience = 3
"""
ALL_WEIGHTS = RECIPE[RECIPE.index("[training]") :]


class Workshop:
    """A tiny model, shards for it, and folders to train in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.model = tiny.write_hf(folder / "model")
        self.shards = self.write([lesson(number) for number in range(5)], [lesson(number) for number in range(5, 9)])

    def write(self, seen: Sequence[Segment], unseen: Sequence[Segment], model: Path | None = None) -> Path:
        return write_shards(self.place("shards"), model or self.model, seen, unseen)

    def place(self, name: str) -> Path:
        """A path where nothing is yet."""
        self._count += 1
        return self._folder / f"{name}-{self._count}"

    def recipe(self, *changes: tuple[str, str], text: str = RECIPE) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.place("recipe").with_suffix(".toml")
        path.write_text(text)
        return path

    def train(self, recipe: Path | None = None, shards: Path | None = None, out: Path | None = None) -> Outcome:
        return train(recipe or self.recipe(), self.model, shards or self.shards, out or self.place("out"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def done(workshop: Workshop) -> Outcome:
    """A training of six steps. Not to be changed."""
    return workshop.train()


@pytest.fixture(scope="module")
def learned(workshop: Workshop) -> Outcome:
    """One that has seen four segments often. Not to be changed."""
    corners = [lesson(number, frames=2) for number in range(4)]  # so short that the tokens say little of each other
    changes = (
        ("steps = 6", "steps = 100"),
        ("every = 3", "every = 100"),
        ("dropout = 0.1", "dropout = 0.0"),
        ("fc1", 'fc1", "fc2", "k_proj", "out_proj", "lm_heads.0", "lm_heads.1", "lm_heads.2", "lm_heads.3'),
    )
    return workshop.train(workshop.recipe(*changes), workshop.write(corners, corners))


def test_a_few_segments_are_learned_by_heart(learned: Outcome) -> None:
    before, after = learned.history.validated
    assert before.loss > 7
    assert after.loss < 3
    assert np.mean(learned.history.losses[-10:]) < np.mean(learned.history.losses[:10]) - 3


def test_what_was_learned_hangs_on_the_emotion(workshop: Workshop, learned: Outcome) -> None:
    for number, (valence, arousal) in enumerate(CORNERS):
        segment = lesson(number, frames=2)
        right, wrong = (Emotion(sign * valence, sign * arousal) for sign in (1, -1))
        assert loss_of(workshop, learned.adapter, segment, wrong) > 3 * loss_of(
            workshop, learned.adapter, segment, right
        )


def loss_of(workshop: Workshop, adapter: Path, segment: Segment, emotion: Emotion) -> float:
    """Of a segment told with an emotion, by what is in an adapter's directory and PEFT's own loader."""
    checkpoint = open_checkpoint(workshop.model)
    tokens = load_adapter(adapter, checkpoint.config).tokens
    assert tokens is not None
    text = Conditioner(checkpoint.text_encoder).encode(segment.captions[:1])[0]
    model = PeftModel.from_pretrained(decoder_of(workshop), str(adapter)).eval()
    columns = apply_delay(torch.from_numpy(segment.codes.astype(np.int64))[None], checkpoint.config.vocab)
    begun = torch.cat([torch.full_like(columns[..., :1], checkpoint.config.vocab), columns[..., :-1]], dim=-1)
    with torch.no_grad():
        logits = model(begun, torch.cat([text, tokens.at(emotion)])[None])
    return float(losses(logits, columns.masked_fill(columns == checkpoint.config.vocab, IGNORED))[0])


def decoder_of(workshop: Workshop) -> MusicgenDecoder:
    checkpoint = open_checkpoint(workshop.model)
    decoder = MusicgenDecoder(checkpoint.config)
    decoder.load_state_dict(dict(checkpoint.decoder_tensors()))
    return decoder


def test_an_adapter_is_the_same_to_transformers(workshop: Workshop, learned: Outcome) -> None:
    """PEFT puts it into transformers' MusicGen as into our decoder."""
    columns = torch.randint(0, 2048, (1, 4, 7))
    hidden = torch.randn(1, 3, tiny.TEXT_WIDTH)
    theirs = PeftModel.from_pretrained(
        MusicgenForConditionalGeneration.from_pretrained(workshop.model), str(learned.adapter)
    ).eval()
    ours = PeftModel.from_pretrained(decoder_of(workshop), str(learned.adapter)).eval()
    with torch.no_grad():
        found = theirs(
            encoder_outputs=BaseModelOutput(hidden),
            attention_mask=torch.ones(1, 3),
            decoder_input_ids=columns.flatten(0, 1),
        ).logits
        torch.testing.assert_close(ours(columns, hidden).flatten(0, 1), found, rtol=1e-4, atol=1e-4)


def test_an_adapter_is_heard_and_so_is_where_the_slider_stands(workshop: Workshop, learned: Outcome) -> None:
    generator = MusicgenGenerator(str(workshop.model), [str(learned.adapter)], device="cpu")
    base = MusicgenGenerator(str(workshop.model), device="cpu")
    calm, excited = Emotion(0.8, -0.8), Emotion(0.8, 0.8)
    assert not np.allclose(sound(generator, calm), sound(base, calm), atol=1e-3)
    told = [generator._studio.conditioning(emotion, Preference(), Preference()) for emotion in (calm, excited)]
    tokens = load_adapter(learned.adapter, open_checkpoint(workshop.model).config).tokens
    assert tokens is not None
    assert torch.equal(told[0].hidden[-2:], tokens.at(calm))
    assert torch.equal(told[1].hidden[-2:], tokens.at(excited))
    assert told[0].log_weight[-2:].tolist() == [0.0, 0.0]


def sound(generator: MusicgenGenerator, emotion: Emotion) -> Samples:
    voice = generator.open_voice(1)
    samples = np.concatenate(
        [block.samples for block in voice.compose(ClipRequest(0, SAMPLE_RATE // 2, emotion, emotion))]
    )
    voice.close()
    return samples


class Killed(Exception):
    """Stands for whatever ends a program."""


def kill_after(step: int) -> Callable[[History], None]:
    def watch(history: History) -> None:
        if history.step == step:
            raise Killed

    return watch


def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(workshop: Workshop, done: Outcome) -> None:
    recipe, out = workshop.recipe(), workshop.place("out")
    with pytest.raises(Killed):
        train(recipe, workshop.model, workshop.shards, out, watch=kill_after(5))
    again = train(recipe, workshop.model, workshop.shards, out, resume=True)
    assert again.history == done.history
    for file in ("adapter_model.safetensors", "emotion_tokens.safetensors"):
        assert (again.adapter / file).read_bytes() == (done.adapter / file).read_bytes()
    assert_same(state(again), state(done))


def test_going_on_where_nothing_is_begins(workshop: Workshop, done: Outcome) -> None:
    begun = train(workshop.recipe(), workshop.model, workshop.shards, workshop.place("out"), resume=True)
    assert begun.history == done.history


def test_going_on_at_the_end_changes_nothing(workshop: Workshop, done: Outcome) -> None:
    out = workshop.place("out")
    shutil.copytree(done.adapter.parent, out)
    again = train(workshop.recipe(), workshop.model, workshop.shards, out, resume=True)
    assert again.history == done.history
    assert_same(state(again), state(done))


def state(outcome: Outcome) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(outcome.adapter.parent / FOLDER / FILE, weights_only=True)
    return content


def assert_same(one: Any, other: Any) -> None:
    """Bit for bit, all the way down."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for each, its in zip(one, other, strict=True):
            assert_same(each, its)
    else:
        assert one == other


def test_another_seed_is_another_training(workshop: Workshop, done: Outcome) -> None:
    other = workshop.train(workshop.recipe(text="seed = 7\n" + RECIPE))
    assert other.history.losses != done.history.losses


def test_layers_computed_twice_learn_the_same(workshop: Workshop, done: Outcome) -> None:
    recipe = workshop.recipe(("batch = 2", "batch = 2\ncheckpoint_layers = true"))
    assert workshop.train(recipe).history.losses == pytest.approx(done.history.losses, rel=1e-4)


def beside(rank: int, port: int, asked: tuple[Path, Path, Path, Path], told: "Queue[list[float]]") -> None:
    """Train as one process of two."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    AcceleratorState._reset_state(reset_partial_state=True)
    told.put(train(*asked).history.losses)


def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(workshop: Workshop) -> None:
    undropped = ("dropout = 0.1", "dropout = 0.0")
    one = workshop.train(workshop.recipe(undropped, ("batch = 2", "batch = 4")))
    out = workshop.place("out")
    context = multiprocessing.get_context("fork")  # what was imported stays imported
    told: Queue[list[float]] = context.Queue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = (workshop.recipe(undropped), workshop.model, workshop.shards, out)
    processes = [context.Process(target=beside, args=(rank, port, asked, told)) for rank in range(2)]
    for process in processes:
        process.start()
    losses = [told.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert losses[0] == losses[1] == pytest.approx(one.history.losses, rel=1e-4)
    assert json.loads((out / "history.json").read_text())["processes"] == 2
    assert (out / "adapter" / "adapter_model.safetensors").exists()


def refusal(workshop: Workshop, recipe: Path, model: Path, shards: Path, out: Path, resume: bool = True) -> str:
    with pytest.raises(InvalidInput) as caught:
        Training(recipe, model, shards, out, resume)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_training_is_not_begun_twice_in_one_place(workshop: Workshop, done: Outcome) -> None:
    message = refusal(workshop, workshop.recipe(), workshop.model, workshop.shards, done.adapter.parent, resume=False)
    assert "go on with --resume" in message


def test_another_recipe_or_other_shards_are_refused(workshop: Workshop, done: Outcome) -> None:
    out = done.adapter.parent
    assert "another recipe;" in refusal(
        workshop, workshop.recipe(("rank = 4", "rank = 2")), workshop.model, workshop.shards, out
    )
    others = workshop.write([lesson(1)], [lesson(2)])
    assert "another set of shards;" in refusal(workshop, workshop.recipe(), workshop.model, others, out)


def test_another_model_is_refused(workshop: Workshop, done: Outcome) -> None:
    other = Path(shutil.copytree(workshop.model, workshop.place("model")))
    state = load_file(other / "model.safetensors")
    state["decoder.model.decoder.layers.0.fc1.weight"] += 1
    save_file(state, other / "model.safetensors", {"format": "pt"})
    assert "another model;" in refusal(workshop, workshop.recipe(), other, workshop.shards, done.adapter.parent)


def test_tokens_of_another_codec_are_refused(workshop: Workshop) -> None:
    other = tiny.write_hf(workshop.place("model"), seed=1)
    message = refusal(workshop, workshop.recipe(), other, workshop.shards, workshop.place("out"))
    assert "prepare the music with this model" in message


def test_shards_without_a_validation_split_are_refused(workshop: Workshop) -> None:
    shards = workshop.write([lesson(0)], [])
    assert "'validation'" in refusal(workshop, workshop.recipe(), workshop.model, shards, workshop.place("out"))


def test_modules_that_the_decoder_does_not_have_are_refused(workshop: Workshop) -> None:
    recipe = workshop.recipe(('"q_proj", "v_proj", "fc1"', '"query"'))
    message = refusal(workshop, recipe, workshop.model, workshop.shards, workshop.place("out"))
    assert message.startswith("lora.targets: ")
    assert "query" in message


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "nonsense", "cut short"])
def test_a_damaged_state_is_refused(workshop: Workshop, done: Outcome, content: bytes | None) -> None:
    out = workshop.place("out")
    shutil.copytree(done.adapter.parent, out)
    path = out / FOLDER / FILE
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    assert "is damaged" in refusal(workshop, workshop.recipe(), workshop.model, workshop.shards, out)


def test_a_state_with_code_in_it_is_refused_and_not_run(workshop: Workshop, done: Outcome) -> None:
    out = workshop.place("out")
    shutil.copytree(done.adapter.parent, out)
    sprung = out / "sprung"
    torch.save({"begun": Trap(sprung)}, out / FOLDER / FILE)
    assert "is damaged" in refusal(workshop, workshop.recipe(), workshop.model, workshop.shards, out)
    assert not sprung.exists()


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(
    workshop: Workshop, done: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Segments.at

    def spoiled(segments: Segments, position: int, count: int, conditioning: Conditioning, seed: int) -> Batch:
        batch = whole(segments, position, count, conditioning, seed)
        return replace(batch, emotions=torch.full_like(batch.emotions, torch.nan)) if position == 16 else batch

    monkeypatch.setattr(Segments, "at", spoiled)
    out = workshop.place("out")
    with pytest.raises(NotFinite) as caught:
        workshop.train(out=out)
    monkeypatch.undo()
    message = caught.value.message
    assert message.startswith("step 4: the loss is nan and its gradient nan, with the segments lesson-")
    assert message.count("lesson-") == 2
    assert "\n" not in message
    again = train(workshop.recipe(), workshop.model, workshop.shards, out, resume=True)
    assert again.history == done.history


def test_it_stops_where_validation_gets_no_better(workshop: Workshop) -> None:
    unlike = [replace(lesson(number), codes=lesson(number).codes + 1000) for number in range(4)]
    shards = workshop.write([lesson(number) for number in range(4)], unlike)
    recipe = workshop.recipe(("steps = 6", "steps = 60"), ("every = 3", "every = 4"))
    history = workshop.train(recipe, shards).history
    assert history.fruitless == 3
    assert history.step < 60
    assert history.stopped.startswith("3 validations in a row were no better than that of step ")


def test_the_best_in_validation_is_what_is_kept(workshop: Workshop, learned: Outcome) -> None:
    best = learned.history.best
    assert best is not None
    found = [
        loss_of(workshop, learned.adapter, lesson(number, frames=2), Emotion(*corner))
        for number, corner in enumerate(CORNERS)
    ]
    assert np.mean(found) == pytest.approx(best.loss, rel=1e-2)


def test_validation_tells_of_each_quadrant(learned: Outcome) -> None:
    for validated in learned.history.validated:
        assert validated.quadrants.keys() == set(QUADRANTS)
        assert {share.segments for share in validated.quadrants.values()} == {1}
        losses = [share.loss for share in validated.quadrants.values()]
        assert validated.loss == pytest.approx(np.mean(losses))


def test_what_happened_is_written_down(workshop: Workshop, done: Outcome) -> None:
    out = done.adapter.parent
    written = json.loads((out / "history.json").read_text())
    assert written["losses"] == done.history.losses
    assert [each["step"] for each in written["validated"]] == [0, 3, 6]
    assert written["stopped"] == "all steps were made"
    assert written["model"]["name"] == "model"
    assert len(written["model"]["sha256"]) == len(written["shards"]["sha256"]) == 64
    assert written["parameters"]["trained"] < written["parameters"]["all"]
    assert written["versions"]["torch"] == torch.__version__
    assert (done.adapter / "recipe.toml").read_text() == RECIPE


def test_the_curves_are_there_for_tensorboard(done: Outcome) -> None:
    events = EventAccumulator(str(done.adapter.parent / "runs")).Reload()
    assert [event.value for event in events.Scalars("loss/training")] == pytest.approx(done.history.losses)
    assert [event.step for event in events.Scalars("loss/validation/pleasant-calm")] == [0, 3, 6]
    assert events.Scalars("learning_rate")[0].value == pytest.approx(5e-3)


def test_without_lora_all_weights_are_trained(workshop: Workshop) -> None:
    outcome = workshop.train(workshop.recipe(text=ALL_WEIGHTS))
    found = load_file(outcome.adapter / DECODER)
    MusicgenDecoder(open_checkpoint(workshop.model).config).load_state_dict(found)
    before = open_checkpoint(workshop.model).decoder_tensors()
    assert all(not torch.equal(found[name], before[name]) for name in before)
    assert outcome.history.losses[-1] < outcome.history.losses[0]


def test_segments_of_unknown_emotion_train_the_text_alone(workshop: Workshop) -> None:
    shards = workshop.write([lesson(number, known=False) for number in range(4)], [lesson(5)])
    outcome = workshop.train(shards=shards)
    config = open_checkpoint(workshop.model).config
    before = workshop.train(workshop.recipe(("steps = 6", "steps = 1"), ("every = 3", "every = 1")), shards)
    one, other = (load_adapter(each.adapter, config).tokens for each in (outcome, before))
    assert one is not None and other is not None
    assert torch.equal(one.at(Emotion(0.3, 0.3)), other.at(Emotion(0.3, 0.3)))
    assert outcome.history.losses[-1] < outcome.history.losses[0]


def test_an_estimate_comes_before_it_and_changes_nothing(workshop: Workshop, done: Outcome) -> None:
    training = Training(workshop.recipe(), workshop.model, workshop.shards, workshop.place("out"))
    found = training.estimate()
    assert 0 < found.trained < found.parameters
    assert found.hours > 6 * found.step_seconds / 3600
    assert found.peak_bytes is None
    assert "memory   about 10 MB\ntime     about 0 min" in found.in_words()
    assert training.run(lambda _history: None).history == done.history


def test_the_command_estimates_and_trains(
    workshop: Workshop, done: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    out = workshop.place("out")
    asked = [
        "train",
        str(workshop.recipe()),
        f"--model={workshop.model}",
        f"--shards={workshop.shards}",
        f"--out={out}",
    ]
    for extra in ("--dry-run", "--resume"):
        options = parser.parse_args([*asked, extra])
        options.run(options)
        told = capsys.readouterr().out
        assert "memory   about" in told
        assert (out / "adapter").exists() is (extra == "--resume")
    assert "ended after 6 steps: all steps were made" in told
