"""What a training is fed follows from the seed and the place alone, in the form that the decoder is trained with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.batches import IGNORED, Segments
from models.recipe import Conditioning
from models.shards import QUADRANTS, Segment
from models.texts import EncodedTexts
from musicmed_live.errors import InvalidInput
from musicmed_live.musicgen.decoder import PROMPT_TOKENS, DecoderConfig
from tests.models.lessons import lesson

CONFIG = DecoderConfig(layers=1, width=8, heads=1, ffn=8, text_width=3)
PAD = CONFIG.vocab
ALWAYS = Conditioning(0, 0, 0)
TEXTS = {"calm piano music": 2, "gentle music with piano": 5, "long": PROMPT_TOKENS}


def texts() -> EncodedTexts:
    lengths = list(TEXTS.values())
    states = torch.arange(1, 3 * sum(lengths) + 1, dtype=torch.float16).reshape(-1, 3)
    return EncodedTexts(list(TEXTS), states, torch.tensor(lengths))


def segments_of(found: Sequence[Segment], room: int = 4) -> Segments:
    rows = [
        {"codes": each.codes.tolist(), "captions": list(each.captions)}
        | {name: getattr(each, name) for name in ("id", "valence", "arousal")}
        for each in found
    ]
    return Segments(datasets.Dataset.from_list(rows), texts(), CONFIG, room)


def test_each_codebook_comes_one_column_later_after_a_column_of_pads() -> None:
    segment = lesson(0, frames=5)
    batch = segments_of([segment]).whole([0])
    assert batch.columns.shape == batch.targets.shape == (1, 4, 8)
    assert (batch.columns[0, :, 0] == PAD).all()
    assert torch.equal(
        batch.columns[..., 1:].masked_fill(batch.columns[..., 1:] == PAD, IGNORED), batch.targets[..., :-1]
    )
    for book, codes in enumerate(segment.codes.tolist()):
        assert batch.targets[0, book].tolist() == [IGNORED] * book + codes + [IGNORED] * (3 - book)


def test_shorter_segments_are_filled_up_with_what_is_not_counted() -> None:
    batch = segments_of([lesson(0, frames=9), lesson(1, frames=4)]).whole([0, 1])
    assert (batch.targets != IGNORED).sum((1, 2)).tolist() == [36, 16]
    assert (batch.columns[1, :, 8:] == PAD).all()


def test_a_segment_that_the_decoder_cannot_see_at_once_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"lesson-0 is 30\.02 s long"):
        segments_of([lesson(0, frames=1501)]).whole([0])
    assert segments_of([lesson(0, frames=1500)]).whole([0]).columns.shape[-1] == 1503


def test_validation_tells_all_that_is_known() -> None:
    batch = segments_of([lesson(0), lesson(1, known=False), replace(lesson(2), captions=())]).whole([0, 1, 2])
    assert batch.emotions.tolist() == [[pytest.approx(0.8)] * 2, [0, 0], [pytest.approx(-0.8)] * 2]
    assert batch.emotion_weight.tolist() == [0, -torch.inf, 0]
    assert batch.text_weight.tolist() == [[0, 0], [0, 0], [-torch.inf] * 2]
    assert torch.equal(batch.text[0], texts()["calm piano music"].float())


def test_a_text_is_cut_to_leave_room_for_the_emotion() -> None:
    long = replace(lesson(0), captions=("long",))
    assert segments_of([long], room=4).whole([0]).text.shape == (1, PROMPT_TOKENS - 4, 3)


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 3))
def test_a_batch_is_the_same_however_the_places_are_shared_out(position: int, count: int, seed: int) -> None:
    segments = segments_of([lesson(number) for number in range(6)])
    together = segments.at(position, 2 * count, Conditioning(0.2, 0.2, 0.2), seed)
    for half in range(2):
        part = segments.at(position + half * count, count, Conditioning(0.2, 0.2, 0.2), seed)
        rows = slice(half * count, (half + 1) * count)
        assert part.ids == together.ids[rows]
        assert torch.equal(part.emotion_weight, together.emotion_weight[rows])
        assert (part.text_weight == 0).sum(1).tolist() == (together.text_weight[rows] == 0).sum(1).tolist()


def test_each_epoch_has_each_segment_once_in_an_order_of_its_own() -> None:
    segments = segments_of([lesson(number) for number in range(20)])
    epochs = [segments.at(20 * epoch, 20, ALWAYS, seed=1).ids for epoch in range(3)]
    assert all(len(set(ids)) == 20 for ids in epochs)
    assert len(set(epochs)) == 3
    assert segments.at(0, 20, ALWAYS, seed=2).ids != epochs[0]


def test_every_phrasing_of_a_caption_is_used() -> None:
    lengths = (segments_of([lesson(0)]).at(0, 40, ALWAYS, seed=0).text_weight == 0).sum(1).tolist()
    assert set(lengths) == {TEXTS[caption] for caption in lesson(0).captions}


def test_what_is_left_out_is_left_out_as_often_as_asked_for() -> None:
    batch = segments_of([lesson(0)]).at(0, 2000, Conditioning(drop_text=0.3, drop_emotion=0.2, drop_both=0.1), seed=0)
    told = Counter(zip((batch.text_weight == 0).any(1).tolist(), (batch.emotion_weight == 0).tolist(), strict=True))
    shares = {key: count / 2000 for key, count in told.items()}
    expected = {(False, True): 0.3, (True, False): 0.2, (False, False): 0.1, (True, True): 0.4}
    assert shares == {key: pytest.approx(share, abs=0.04) for key, share in expected.items()}


def test_segments_to_validate_with_are_spread_over_the_quadrants() -> None:
    many = [lesson(4 * number) for number in range(20)] + [lesson(1), lesson(2), lesson(3), lesson(5, known=False)]
    segments = segments_of(many)
    chosen = segments.sample(8, seed=0)
    assert len(set(chosen)) == 8
    assert Counter(segments.quadrants(chosen)) == dict.fromkeys(QUADRANTS, 1) | {QUADRANTS[0]: 4, "unknown": 1}
    assert sorted(segments.sample(100, seed=0)) == list(range(24))
