import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import cast
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Block, ClipRequest, Cue, Preference, Samples, frames_of
from musicmed_live.errors import GeneratorFailed, InvalidInput
from musicmed_live.musicgen.codec import StreamingCodec
from musicmed_live.musicgen.conditioning import Conditioner
from musicmed_live.musicgen.voice import BLOCK_FRAMES, MusicgenVoice, Slots, Studio
from musicmed_live.musicgen.weights import open_checkpoint
from tests.musicgen.script_engine import ScriptEngine

CALM, TENSE = Emotion(0.6, -0.6), Emotion(-0.6, 0.6)
FRAME = SAMPLE_RATE // 50
SECOND = SAMPLE_RATE
ROUNDING = 1e-6
DECODING = ThreadPoolExecutor(1)

OpenVoice = Callable[..., MusicgenVoice]


@pytest.fixture(scope="module")
def parts(tiny_model: Path) -> tuple[StreamingCodec, Conditioner]:
    checkpoint = open_checkpoint(tiny_model)
    return StreamingCodec(checkpoint.codec()), Conditioner(checkpoint.text_encoder)


@pytest.fixture
def open_voice(parts: tuple[StreamingCodec, Conditioner]) -> OpenVoice:
    def opened(seed: int = 1, position: int = 0, slots: int = 2, memory: str | None = None) -> MusicgenVoice:
        engine = ScriptEngine(slots)
        studio = Studio(engine, Slots(slots, slots // 2 - 1), *parts, DECODING)
        return MusicgenVoice(studio, seed, position, memory)

    return opened


def request(
    position: int, frames: int, start: Emotion = CALM, end: Emotion | None = None, final: bool = False
) -> ClipRequest:
    return ClipRequest(position, frames, start, end or start, final=final)


def sound(blocks: list[Block]) -> Samples:
    joined: NDArray[np.float32] = np.concatenate([block.samples for block in blocks])
    return joined


def play(voice: MusicgenVoice, frames: int, start: Emotion = CALM, end: Emotion | None = None) -> Samples:
    return sound(list(voice.compose(request(voice.position, frames, start, end))))


def test_a_clip_is_exactly_as_long_as_asked_for_in_blocks_that_follow_each_other(open_voice: OpenVoice) -> None:
    frames = 2 * SECOND + 1234
    blocks = list(open_voice(position=5000).compose(request(5000, frames)))
    ends = [5000, *(block.end for block in blocks)]
    assert [block.position for block in blocks] == ends[:-1]
    assert ends[-1] == 5000 + frames
    assert {len(block.samples) for block in blocks[:-1]} == {BLOCK_FRAMES}
    assert all(block.cue is Cue.FREE and block.samples.shape[1] == CHANNELS for block in blocks)
    assert all(block.samples.dtype == np.float32 and np.isfinite(block.samples).all() for block in blocks)


def test_what_nobody_knows_is_not_claimed(open_voice: OpenVoice) -> None:
    block = next(open_voice().compose(request(0, SECOND)))
    assert (block.tempo_bpm, block.key, block.instruments) == (0.0, "", ())


def test_there_is_sound_from_the_first_block_on(open_voice: OpenVoice) -> None:
    assert np.abs(next(open_voice().compose(request(0, SECOND))).samples).max() > 1e-3


def test_clips_of_any_length_join_to_the_same_sound(open_voice: OpenVoice) -> None:
    whole = play(open_voice(), 4 * SECOND)
    voice = open_voice()
    parts = [play(voice, frames) for frames in (10_001, 959, 961, 40_000, 4 * SECOND - 51_921)]
    assert_allclose(np.concatenate(parts), whole, atol=ROUNDING)


def test_the_same_seed_gives_the_same_samples_and_another_does_not(open_voice: OpenVoice) -> None:
    one, again, other = (play(open_voice(seed), SECOND) for seed in (1, 1, 2))
    assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("position", [0, 1, 959, 960, BLOCK_FRAMES, 50_001, 3 * SECOND - 1, 3 * SECOND])
def test_a_voice_is_rewound_to_any_frame_and_goes_on_as_if_it_had_never_been_further(
    open_voice: OpenVoice, position: int
) -> None:
    whole = play(open_voice(), 5 * SECOND)
    voice = open_voice()
    play(voice, 3 * SECOND)
    assert voice.rewind(position) == position == voice.position
    assert_allclose(play(voice, 5 * SECOND - position), whole[position:], atol=ROUNDING)


def test_another_emotion_joins_on_without_a_seam_and_is_heard_soon(open_voice: OpenVoice) -> None:
    voice = open_voice()
    before = play(voice, 3 * SECOND)
    cut = voice.rewind(2 * SECOND + 321)
    after = play(voice, SECOND - 321, TENSE)
    differs = np.flatnonzero((np.abs(after - before[cut:]) > ROUNDING).any(axis=1))
    latency = voice._studio.codec.latency_frames * FRAME
    assert differs[0] <= latency
    assert_allclose(after[: FRAME // 2], before[cut : cut + FRAME // 2], atol=ROUNDING)


def test_a_voice_that_is_rewound_to_its_beginning_plays_the_new_emotion_from_there(open_voice: OpenVoice) -> None:
    voice = open_voice()
    before = play(voice, 2 * SECOND)
    voice.rewind(0)
    after = play(voice, 2 * SECOND, TENSE)
    differs = (np.abs(after - before) > 100 * ROUNDING).any(axis=1)
    assert differs[SECOND // 2 :].mean() > 0.9


def test_a_rewind_that_cannot_be_done_names_what_is_remembered(open_voice: OpenVoice) -> None:
    voice = open_voice(position=100)
    play(voice, SECOND)
    for position in (99, 101 + SECOND):
        with pytest.raises(ValueError, match=f"frame {position}: remembered are 100 to {100 + SECOND}"):
            voice.rewind(position)


def test_at_least_ten_seconds_are_remembered(open_voice: OpenVoice) -> None:
    voice = open_voice()
    play(voice, 45 * SECOND)
    assert voice.rewind(45 * SECOND - frames_of(10.0)) == 35 * SECOND
    assert len(play(voice, SECOND)) == SECOND


def test_a_clip_that_was_given_up_is_dead(open_voice: OpenVoice) -> None:
    voice = open_voice()
    clip = voice.compose(request(0, 4 * SECOND))
    next(clip)
    voice.rewind(0)
    assert next(clip, None) is None
    again = voice.compose(request(0, SECOND))
    assert next(again).position == 0


@pytest.mark.parametrize(("position", "frames"), [(1, SECOND), (0, 0), (0, -5)])
def test_a_clip_that_does_not_fit_is_refused(open_voice: OpenVoice, position: int, frames: int) -> None:
    with pytest.raises(ValueError, match="clip"):
        open_voice().compose(request(position, frames))


def test_a_moving_emotion_is_followed_and_a_resting_one_told_once(open_voice: OpenVoice) -> None:
    told: list[object] = []

    class Listening(ScriptEngine):
        def condition(self, slots: Sequence[int], conditioning: object) -> None:
            told.append((*slots,))

    voice = open_voice()
    voice._thread._engine = Listening(2)
    play(voice, 2 * SECOND)
    assert told == [(0, 1)], "both windows, once"
    play(voice, 4 * SECOND, CALM, TENSE)
    assert len(told) > 10


def test_other_preferences_are_told(open_voice: OpenVoice) -> None:
    plain, harp = open_voice(), open_voice()
    wished = ClipRequest(0, SECOND, CALM, CALM, instruments=Preference(prefer=("harp",)))
    assert not np.array_equal(play(plain, SECOND), sound(list(harp.compose(wished))))


def test_the_last_clip_dies_away(open_voice: OpenVoice) -> None:
    last = sound(list(open_voice().compose(request(0, 12 * SECOND, final=True))))
    assert np.abs(last[-100:]).max() < 1e-3
    assert np.abs(last[:SECOND]).max() > 100 * np.abs(last[-100:]).max()


def rehearsed(voice: MusicgenVoice, wanted: ClipRequest, takes: int) -> list[Samples]:
    """The sound of each take."""
    return [sound(list(take)) for take in zip(*voice.rehearse(wanted, takes), strict=True)]


def test_takes_differ_and_the_music_goes_on_from_the_one_that_is_settled_on(open_voice: OpenVoice) -> None:
    voice = open_voice(slots=6)
    play(voice, SECOND)
    takes = rehearsed(voice, request(SECOND, 2 * SECOND), 3)
    assert all(len(take) == 2 * SECOND for take in takes)
    assert not np.array_equal(takes[0], takes[1]) and not np.array_equal(takes[1], takes[2])
    voice.settle(1)
    end = 3 * SECOND
    assert voice.position == end
    voice.rewind(end - 1000)
    assert_allclose(play(voice, 1000), takes[1][-1000:], atol=ROUNDING)


def test_the_beginning_of_a_long_clip_is_rehearsed(open_voice: OpenVoice) -> None:
    (take,) = rehearsed(open_voice(), request(0, 14 * SECOND), 1)
    assert len(take) == 10 * SECOND


def test_a_rehearsal_that_is_not_settled_changes_nothing(open_voice: OpenVoice) -> None:
    straight, voice = open_voice(), open_voice(slots=6)
    expected = play(straight, 3 * SECOND)
    play(voice, SECOND)
    rehearsed(voice, request(SECOND, SECOND), 3)
    assert_allclose(play(voice, SECOND), expected[SECOND : 2 * SECOND], atol=ROUNDING)
    next(voice.rehearse(request(2 * SECOND, SECOND), 2))  # and left off
    assert_allclose(play(voice, SECOND), expected[2 * SECOND :], atol=ROUNDING)


def test_nothing_is_settled_that_was_not_rehearsed(open_voice: OpenVoice) -> None:
    voice = open_voice(slots=4)
    with pytest.raises(ValueError, match="no take 0"):
        voice.settle(0)
    rehearsed(voice, request(0, SECOND), 2)
    with pytest.raises(ValueError, match="no take 2"):
        voice.settle(2)


def test_the_first_take_is_what_would_have_been_played(open_voice: OpenVoice) -> None:
    assert_array_equal(rehearsed(open_voice(slots=4), request(0, SECOND), 2)[0], play(open_voice(), SECOND))


def test_there_are_no_more_voices_than_the_engine_has_room_for(parts: tuple[StreamingCodec, Conditioner]) -> None:
    studio = Studio(ScriptEngine(4), Slots(4), *parts, DECODING)
    first, second = MusicgenVoice(studio, 1, 0), MusicgenVoice(studio, 2, 0)
    with pytest.raises(GeneratorFailed, match="room for 2"):
        MusicgenVoice(studio, 3, 0)
    first.close()
    first.close()
    third = MusicgenVoice(studio, 3, 0)
    with pytest.raises(GeneratorFailed):
        MusicgenVoice(studio, 4, 0)
    second.close()
    third.close()


def test_there_are_as_many_takes_as_there_is_room_for(open_voice: OpenVoice) -> None:
    assert len(rehearsed(open_voice(slots=4), request(0, SECOND), 3)) == 2


def test_takes_leave_the_room_that_voices_were_promised(parts: tuple[StreamingCodec, Conditioner]) -> None:
    studio = Studio(ScriptEngine(10), Slots(10, 3), *parts, DECODING)  # two voices, and four takes at once
    first = MusicgenVoice(studio, 1, 0)
    assert len(rehearsed(first, request(0, SECOND), 4)) == 4
    second = MusicgenVoice(studio, 2, 0)
    assert len(rehearsed(second, request(0, SECOND), 4)) == 1
    first.settle(2)
    second.settle(0)
    assert len(rehearsed(second, request(SECOND, SECOND), 4)) == 4
    with pytest.raises(GeneratorFailed, match="room for 2"):
        MusicgenVoice(studio, 3, 0)
    second.close()
    MusicgenVoice(studio, 3, 0).close()
    first.close()


def test_takes_differ_after_one_was_settled_on_as_well(open_voice: OpenVoice) -> None:
    voice = open_voice(slots=4)
    rehearsed(voice, request(0, SECOND), 2)
    voice.settle(1)
    takes = rehearsed(voice, request(SECOND, SECOND), 2)
    assert not np.array_equal(takes[0], takes[1])


def test_many_short_clips_are_remembered_as_long_as_few_long_ones(open_voice: OpenVoice) -> None:
    voice = open_voice()
    for _ in range(300):
        play(voice, SECOND // 20)
    assert voice.rewind(15 * SECOND - frames_of(10.0)) == 5 * SECOND


def test_a_voice_that_pretends_to_have_played_goes_on_like_any_other(open_voice: OpenVoice) -> None:
    voice = open_voice()
    voice.pretend(1000)
    assert voice.position == 0
    samples = play(voice, 2 * SECOND)
    assert len(samples) == 2 * SECOND and np.abs(samples[-SECOND:]).max() > 1e-3
    assert voice._thread.drawn > 1000


def test_another_voice_goes_on_from_the_last_tokens(open_voice: OpenVoice) -> None:
    voice = open_voice()
    play(voice, 4 * SECOND)
    memory = voice.memory()
    assert memory is not None
    other = open_voice(position=9 * SECOND, memory=memory)
    assert other.memory() is not None
    assert len(play(other, SECOND)) == SECOND
    other.rewind(9 * SECOND)


def test_what_another_voice_played_is_read_under_what_this_one_is_told(open_voice: OpenVoice) -> None:
    voice = open_voice()
    play(voice, 4 * SECOND, TENSE)
    memory, engine = voice.memory(), cast("ScriptEngine", voice._studio.engine)
    voice.close()
    other = MusicgenVoice(voice._studio, 1, 0, memory)
    play(other, SECOND, CALM)
    assert len(engine.under[0]) > 200 and len(set(engine.under[0])) == 1


def test_a_voice_that_cannot_be_opened_takes_no_place(open_voice: OpenVoice, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = open_voice()
    play(voice, 4 * SECOND)
    studio, memory = voice._studio, voice.memory()
    voice.close()
    with monkeypatch.context() as patched:
        patched.setattr(StreamingCodec, "decode", Mock(side_effect=GeneratorFailed("no memory")))
        with pytest.raises(GeneratorFailed, match="no memory"):
            MusicgenVoice(studio, 1, 0, memory)
    MusicgenVoice(studio, 1, 0, memory)


def test_a_rehearsal_that_was_not_settled_is_not_remembered(open_voice: OpenVoice) -> None:
    voice = open_voice(slots=4)
    play(voice, 3 * SECOND)
    voice.rewind(3 * SECOND)
    before = voice.memory()
    list(islice(voice.rehearse(request(3 * SECOND, 9 * SECOND, TENSE), 2), 20))
    assert voice.memory() == before


def test_one_that_has_hardly_played_has_nothing_to_remember(open_voice: OpenVoice) -> None:
    assert open_voice().memory() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda memory: "",
        lambda memory: "[]",
        lambda memory: memory[:-9],
        lambda memory: memory.replace('"version":1', '"version":0'),
        lambda memory: json.dumps({"version": 1, "tokens": [[1] * 200]}),
        lambda memory: json.dumps({"version": 1, "tokens": [[1] * 900] * 4}),
        lambda memory: json.dumps({"version": 1, "tokens": [[10**6] * 200] * 4}),
        lambda memory: json.dumps({"version": 1, "tokens": [[-1] * 200] * 4}),
    ],
)
def test_a_memory_that_is_none_is_refused(open_voice: OpenVoice, change: Callable[[str], str]) -> None:
    voice = open_voice()
    play(voice, 4 * SECOND)
    with pytest.raises(InvalidInput, match="memory"):
        open_voice(memory=change(voice.memory() or ""))
