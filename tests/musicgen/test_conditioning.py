"""What the decoder is told: MusicGen's own encoding of a text, and a continuous blend of several."""

import copy
import math
import weakref
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    EncodecFeatureExtractor,
    MusicgenProcessor,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Preference
from musicmed_live.errors import BadWeights
from musicmed_live.musicgen import prompts
from musicmed_live.musicgen.conditioning import Conditioner
from musicmed_live.musicgen.decoder import PROMPT_TOKENS
from musicmed_live.musicgen.engine import Conditioning
from musicmed_live.musicgen.prompts import WeightedPrompt
from tests.musicgen import tiny

SHORT = "calm music"
LONG = "energetic dance music with drums, bass and guitar"
ANCHOR_TEXTS = prompts.texts(Preference(), Preference())


class Library:
    """Where the text encoder of a tiny MusicGen comes from; counts how often it is asked for."""

    def __init__(self) -> None:
        self.tokenizer = tiny.make_tokenizer()
        self.model = tiny.make_model(0, 64, len(self.tokenizer))
        self.loads = 0
        self.lent: weakref.ref[T5EncoderModel] | None = None

    def load(self) -> tuple[PreTrainedTokenizerBase, T5EncoderModel]:
        self.loads += 1
        encoder = copy.copy(cast(T5EncoderModel, self.model.text_encoder))
        self.lent = weakref.ref(encoder)
        return self.tokenizer, encoder

    @property
    def gone(self) -> bool:
        return self.lent is not None and self.lent() is None


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def shelf() -> Library:
    return Library()


@pytest.fixture
def library(shelf: Library) -> Library:
    shelf.loads = 0
    return shelf


@pytest.fixture(scope="module")
def warm(shelf: Library) -> Conditioner:
    conditioner = Conditioner(shelf.load)
    conditioner.warm([SHORT, LONG])
    return conditioner


@pytest.fixture(scope="module")
def anchored(shelf: Library) -> Conditioner:
    conditioner = Conditioner(shelf.load)
    conditioner.warm(ANCHOR_TEXTS)
    return conditioner


def attend(conditioning: Conditioning) -> torch.Tensor:
    """What a few queries get from cross-attention, in which keys and values are the hidden states themselves."""
    queries = torch.randn(5, conditioning.hidden.shape[1], generator=torch.Generator().manual_seed(0))
    scores = queries @ conditioning.hidden.T / math.sqrt(conditioning.hidden.shape[1]) + conditioning.log_weight
    return scores.softmax(-1) @ conditioning.hidden


def blend(conditioner: Conditioner, share: float) -> Conditioning:
    return conditioner.blend([WeightedPrompt(SHORT, 1 - share), WeightedPrompt(LONG, share)])


@pytest.mark.parametrize("text", ["", SHORT, LONG, *ANCHOR_TEXTS, "calm " * 100])
def test_a_text_is_encoded_as_musicgen_would(library: Library, text: str) -> None:
    processor = MusicgenProcessor(EncodecFeatureExtractor(sampling_rate=32_000), library.tokenizer)
    theirs = processor(text=[text], padding=True, truncation=True, max_length=PROMPT_TOKENS, return_tensors="pt")
    with torch.no_grad():
        expected = library.model.get_encoder()(**theirs).last_hidden_state * theirs["attention_mask"][..., None]
    (ours,) = Conditioner(library.load).encode([text])
    assert theirs["input_ids"][0, -1] == library.tokenizer.eos_token_id
    torch.testing.assert_close(ours, expected[0])


def test_the_decoder_hears_a_text_as_in_musicgen(library: Library) -> None:
    columns = torch.full((4, 1), 2048)
    theirs = library.tokenizer([LONG], return_tensors="pt")
    (ours,) = Conditioner(library.load).encode([LONG])
    with torch.no_grad():
        expected = library.model(**theirs, decoder_input_ids=columns).logits
        projected = library.model.enc_to_dec_proj(ours[None])
        logits = library.model.decoder(input_ids=columns, encoder_hidden_states=projected).logits
    torch.testing.assert_close(logits, expected)


def test_a_batch_gives_what_each_text_gives_alone(library: Library) -> None:
    together = Conditioner(library.load).encode(ANCHOR_TEXTS)
    assert library.loads == 1
    assert len({len(state) for state in together}) > 1
    for text, state in zip(ANCHOR_TEXTS, together, strict=True):
        torch.testing.assert_close(state, Conditioner(library.load).encode([text])[0])


@pytest.mark.parametrize("text", ["calm piano " * 1000, "x" * 10_000, "\u2581\0\ud7ff\n" * 2500], ids=len)
def test_a_text_of_ten_thousand_letters_is_cut(library: Library, text: str) -> None:
    conditioning = Conditioner(library.load).blend([WeightedPrompt(text, 1.0)])
    assert len(conditioning.hidden) <= PROMPT_TOKENS
    assert conditioning.hidden.isfinite().all()


def test_the_encoder_is_made_only_for_new_texts_and_let_go_of(library: Library) -> None:
    conditioner = Conditioner(library.load)
    conditioner.warm([SHORT, LONG])
    assert library.gone
    blend(conditioner, 0.5)
    assert library.loads == 1
    conditioner.encode(["sad music", SHORT])
    assert library.loads == 2
    assert library.gone


def test_an_encoder_that_is_kept_is_made_once(library: Library) -> None:
    conditioner = Conditioner(library.load, keep=True)
    for text in ANCHOR_TEXTS:
        conditioner.encode([text])
    assert library.loads == 1
    assert not library.gone


def test_texts_that_were_not_asked_for_in_a_long_time_are_forgotten(library: Library) -> None:
    conditioner = Conditioner(library.load, keep=False)
    conditioner.warm(["calm", "dark"])
    conditioner.warm([f"music {number}" for number in range(100)])
    conditioner.encode(["calm"])
    conditioner.warm([f"song {number}" for number in range(100)])
    library.loads = 0
    conditioner.encode(["calm"])
    assert library.loads == 0
    conditioner.encode(["dark"])
    assert library.loads == 1


def test_more_texts_at_once_than_are_remembered_are_all_encoded(library: Library) -> None:
    texts_at_once = [f"song {number}" for number in range(200)]
    states = Conditioner(library.load).encode(texts_at_once)
    assert len(states) == 200


@pytest.mark.parametrize("weight", [1.0, 0.7, 1e-9])
def test_one_prompt_alone_is_itself(warm: Conditioner, weight: float) -> None:
    conditioning = warm.blend([WeightedPrompt(LONG, weight), WeightedPrompt("never encoded", 0.0)], (0.5, 1.0))
    assert torch.equal(conditioning.hidden, warm.encode([LONG])[0])
    assert torch.equal(conditioning.log_weight, torch.zeros(len(conditioning.hidden)))
    assert conditioning.adapters == (0.5, 1.0)


def test_a_prompt_blended_with_itself_is_itself(warm: Conditioner) -> None:
    conditioning = warm.blend([WeightedPrompt(LONG, 0.3), WeightedPrompt(LONG, 0.7)])
    torch.testing.assert_close(conditioning.hidden, warm.encode([LONG])[0])
    assert not conditioning.log_weight.any()


def test_a_token_weighs_what_the_prompts_weigh_that_have_one_there(warm: Conditioner) -> None:
    short, long = warm.encode([SHORT, LONG])
    conditioning = blend(warm, 0.25)
    both = len(short)
    torch.testing.assert_close(conditioning.hidden[:both], 0.75 * short + 0.25 * long[:both])
    torch.testing.assert_close(conditioning.hidden[both:], long[both:])
    assert not conditioning.log_weight[:both].any()
    torch.testing.assert_close(conditioning.log_weight[both:], torch.full((len(long) - both,), math.log(0.25)))


@pytest.mark.parametrize(("share", "text"), [(1e-5, SHORT), (1 - 1e-5, LONG)])
def test_what_is_heard_reaches_the_prompt_that_is_left(warm: Conditioner, share: float, text: str) -> None:
    alone = warm.blend([WeightedPrompt(text, 1.0)])
    torch.testing.assert_close(attend(blend(warm, share)), attend(alone), atol=1e-3, rtol=0)


@given(share=st.floats(0, 1), step=st.floats(0, 1e-3))
def test_what_is_heard_moves_with_the_weights(warm: Conditioner, share: float, step: float) -> None:
    change = attend(blend(warm, share)) - attend(blend(warm, min(1.0, share + step)))
    assert change.abs().max() <= 50 * step + 1e-4


@given(emotion=st.builds(Emotion, st.floats(-1, 1), st.floats(-1, 1)))
def test_any_emotion_can_be_asked_for(anchored: Conditioner, emotion: Emotion) -> None:
    conditioning = anchored.blend(prompts.blend(emotion, Preference(), Preference()))
    assert len(conditioning.hidden) == len(conditioning.log_weight) <= PROMPT_TOKENS
    assert conditioning.hidden.isfinite().all() and conditioning.log_weight.isfinite().all()
    assert conditioning.log_weight.max() == 0


def test_nothing_to_blend_is_refused(warm: Conditioner) -> None:
    with pytest.raises(ValueError, match="positive weight"):
        warm.blend([])
    with pytest.raises(ValueError, match="positive weight"):
        warm.blend([WeightedPrompt(SHORT, 0.0)])


def test_a_damaged_encoder_is_refused() -> None:
    library = Library()
    library.load()[1].shared.weight.data.fill_(torch.nan)
    with pytest.raises(BadWeights, match="download the model again"):
        Conditioner(library.load).warm([SHORT])
