"""Training teaches a model what emotions sound like, and leaves what can be played and read."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import MusicgenForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from models.batches import IGNORED
from models.commands import train as command
from models.conditioned import DECODER, losses
from models.shards import QUADRANTS, Segment
from models.train import Outcome, Training, train
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Preference, Samples
from musicmed_live.musicgen.adapters import load_adapter
from musicmed_live.musicgen.conditioning import Conditioner
from musicmed_live.musicgen.decoder import MusicgenDecoder, apply_delay
from musicmed_live.musicgen.generator import MusicgenGenerator
from musicmed_live.musicgen.weights import open_checkpoint
from tests.models.lessons import CORNERS, lesson
from tests.models.workshop import ALL_WEIGHTS, RECIPE, Workshop
from tests.musicgen import tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # by PEFT itself


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


def test_another_seed_is_another_training(workshop: Workshop, done: Outcome) -> None:
    other = workshop.train(workshop.recipe(text="seed = 7\n" + RECIPE))
    assert other.history.losses != done.history.losses


def test_layers_computed_twice_learn_the_same(workshop: Workshop, done: Outcome) -> None:
    recipe = workshop.recipe(("batch = 2", "batch = 2\ncheckpoint_layers = true"))
    assert workshop.train(recipe).history.losses == pytest.approx(done.history.losses, rel=1e-4)


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
    for extra in (["--dry-run"], []):
        options = parser.parse_args([*asked, *extra])
        options.run(options)
        told = capsys.readouterr().out
        assert "memory   about" in told
        assert (out / "adapter").exists() is (not extra)
    assert "ended after 6 steps: all steps were made" in told


def test_the_hub_s_name_of_a_model_in_its_cache_is_kept(workshop: Workshop) -> None:
    cached = workshop.place("hub") / "models--facebook--musicgen-small" / "snapshots" / "4c8334b"
    shutil.copytree(workshop.model, cached)
    outcome = train(workshop.recipe(("steps = 6", "steps = 1")), cached, workshop.shards, workshop.place("out"))
    written = json.loads((outcome.adapter.parent / "history.json").read_text())
    assert written["model"]["name"] == "facebook/musicgen-small"
