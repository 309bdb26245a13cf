"""A training can be stopped and goes on as if it had not been; what does not belong to it is refused."""

import argparse
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file

from models.batches import Batch, Segments
from models.checkpoints import FILE, FOLDER
from models.commands import train as command
from models.destination import LOCK
from models.fit import NotFinite, Trainer
from models.history import History
from models.recipe import Conditioning
from models.train import Outcome, Training, train
from musicmed_live.errors import CannotServe, InvalidInput
from tests.models.lessons import lesson
from tests.models.workshop import Workshop
from tests.musicgen import tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # by PEFT itself


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
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads and locks
    told: Queue[list[float]] = context.Queue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = (workshop.recipe(undropped), workshop.model, workshop.shards, out)
    processes = [context.Process(target=beside, args=(rank, port, asked, told), daemon=True) for rank in range(2)]
    try:
        for process in processes:
            process.start()
        losses = [told.get(timeout=240) for _ in processes]
        for process in processes:
            process.join(60)
    finally:
        for process in processes:  # one waits for ever where the other has died
            process.kill()
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
    message = refusal(workshop, workshop.recipe(), other, workshop.shards, workshop.place("out"), resume=False)
    assert "prepare the music with this model" in message


def test_shards_without_a_validation_split_are_refused(workshop: Workshop) -> None:
    shards = workshop.write([lesson(0)], [])
    assert "'validation'" in refusal_to_begin(workshop, workshop.place("out"), shards)


@pytest.mark.parametrize("left", [(), ("adapter",), ("adapter", "history.json")], ids=["nothing", "adapter", "both"])
def test_going_on_where_there_is_no_state_is_refused(workshop: Workshop, done: Outcome, left: tuple[str, ...]) -> None:
    out = copied(workshop, done)
    for path in out.iterdir():
        if path.name not in left:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    before = contents(out)
    message = refusal(workshop, workshop.recipe(), workshop.model, workshop.shards, out)
    assert "checkpoints/last.pt is missing; begin one without --resume" in message
    assert contents(out) == before
    assert ("give another --out" in refusal_to_begin(workshop, out)) if left else not (out / "adapter").exists()


def copied(workshop: Workshop, done: Outcome) -> Path:
    return Path(shutil.copytree(done.adapter.parent, workshop.place("out")))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != LOCK}


def refusal_to_begin(workshop: Workshop, out: Path, shards: Path | None = None) -> str:
    return refusal(workshop, workshop.recipe(), workshop.model, shards or workshop.shards, out, resume=False)


def test_of_two_trainings_in_one_folder_the_second_is_refused(workshop: Workshop, done: Outcome) -> None:
    out = workshop.place("out")
    first = Training(workshop.recipe(), workshop.model, workshop.shards, out)
    assert refusal_to_begin(workshop, out).startswith("another training is at work in ")
    assert first.run(lambda _history: None).history == done.history
    assert "go on with --resume" in refusal_to_begin(workshop, out)


def test_a_place_that_cannot_be_trained_in_is_refused(workshop: Workshop) -> None:
    file = workshop.place("file")
    file.write_text("")
    assert "is a file; give a folder as --out" in refusal_to_begin(workshop, file)
    assert "cannot be in it; give a folder as --out" in refusal_to_begin(workshop, file / "below" / "it")
    assert "is the folder of the model" in refusal_to_begin(workshop, workshop.model / "." / ".." / workshop.model.name)
    assert "is the folder of the shards" in refusal_to_begin(workshop, workshop.shards)
    assert "give the folder that `musicmed-live models prepare` made" in refusal_to_begin(
        workshop, workshop.place("out"), file
    )


def test_a_damaged_history_is_written_anew_from_the_state(workshop: Workshop, done: Outcome) -> None:
    out = copied(workshop, done)
    (out / "history.json").write_text("{")
    train(workshop.recipe(), workshop.model, workshop.shards, out, resume=True)
    assert contents(out)["history.json"] == contents(done.adapter.parent)["history.json"]


def run_command(workshop: Workshop, out: Path, *more: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    places = (f"--model={workshop.model}", f"--shards={workshop.shards}", f"--out={out}")
    options = parser.parse_args(["train", str(workshop.recipe()), *places, *more])
    options.run(options)


def test_going_on_at_the_end_says_so_and_tries_nothing(
    workshop: Workshop, done: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Trainer, "trial", pytest.fail)
    run_command(workshop, copied(workshop, done), "--resume")
    told = capsys.readouterr().out
    assert "is finished: nothing is left to go on with" in told
    assert "ended after 6 steps: all steps were made" in told


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("trial", "stopped after 0 steps; nothing is kept yet: begin again with the same command"),
        ("_step", "stopped after 0 steps; the same command with --resume goes on where the last validation was"),
    ],
)
def test_stopped_from_the_keyboard_it_says_how_to_go_on(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stopped: str, said: str
) -> None:
    def interrupt(_trainer: Trainer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, stopped, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_command(workshop, workshop.place("out"))
    assert said in capsys.readouterr().err


def test_modules_that_the_decoder_does_not_have_are_refused(workshop: Workshop) -> None:
    recipe = workshop.recipe(('"q_proj", "v_proj", "fc1"', '"query"'))
    message = refusal(workshop, recipe, workshop.model, workshop.shards, workshop.place("out"), resume=False)
    assert message.startswith('lora.targets: "query" is no matrix of the decoder; it has ')


def test_a_name_among_the_targets_that_fits_nothing_is_refused(workshop: Workshop) -> None:
    recipe = workshop.recipe(('"v_proj"', '"v_prj"'))
    message = refusal(workshop, recipe, workshop.model, workshop.shards, workshop.place("out"), resume=False)
    assert message.startswith('lora.targets: "v_prj" is no matrix of the decoder; it has ')
    assert "fc1, fc2, k_proj, lm_heads.0" in message
    assert "q_proj, v_proj" in message


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", None, pickle.dumps({"begun": {}}), pickle.dumps([1], protocol=4)],
    ids=["empty", "nonsense", "cut short", "pickle", "newer pickle"],
)
def test_a_damaged_state_is_refused_and_the_adapter_kept(
    workshop: Workshop, done: Outcome, content: bytes | None
) -> None:
    out = copied(workshop, done)
    path = out / FOLDER / FILE
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    before = contents(out / "adapter")
    message = refusal(workshop, workshop.recipe(), workshop.model, workshop.shards, out)
    assert "is damaged, or no state of a training; train anew into another folder" in message
    assert contents(out / "adapter") == before


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's
def test_a_disk_that_fills_stops_it_with_a_sentence_and_it_goes_on_where_there_is_room(
    workshop: Workshop, done: Outcome
) -> None:
    recipe, out = workshop.recipe(), workshop.place("out")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(history: History) -> None:
        if history.step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))

    with pytest.raises(CannotServe, match="make room and go on"):
        try:
            train(recipe, workshop.model, workshop.shards, out, watch=fill)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    again = train(recipe, workshop.model, workshop.shards, out, resume=True)
    assert again.history == done.history


def test_it_stops_where_validation_gets_no_better(workshop: Workshop) -> None:
    unlike = [replace(lesson(number), codes=lesson(number).codes + 1000) for number in range(4)]
    shards = workshop.write([lesson(number) for number in range(4)], unlike)
    recipe = workshop.recipe(("steps = 6", "steps = 60"), ("every = 3", "every = 4"))
    history = workshop.train(recipe, shards).history
    assert history.fruitless == 3
    assert history.step < 60
    assert history.stopped.startswith("3 validations in a row were no better than that of step ")
