"""The voice: a stream of beats that equals the whole, and that can be taken up again at any beat."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pyloudnorm
import pytest

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.renderer import Renderer, _Sounding
from musicmed_live.composer.room import Planes
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.composer.voice import BREAK_FRAMES, ComposerGenerator, ComposerVoice
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, Preference, Samples, frames_of
from musicmed_live.errors import GeneratorFailed, InvalidInput

CALM, ANXIOUS = Emotion(0.6, -0.5), Emotion(-0.5, 0.5)


@pytest.fixture(scope="module")
def generator() -> ComposerGenerator:
    """One sampler for all tests: its tones are made once."""
    return ComposerGenerator()


def request(voice: ComposerVoice, seconds: float, start: Emotion, end: Emotion | None = None) -> ClipRequest:
    return ClipRequest(voice.position, frames_of(seconds), start, end or start)


def sound(blocks: list[Block]) -> Samples:
    return np.concatenate([block.samples for block in blocks])


def test_a_clip_is_exactly_as_long_as_asked_whatever_its_length(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(1)
    for frames in (48_001, 131_071, 200_003):
        clip = ClipRequest(voice.position, frames, ANXIOUS, CALM)
        blocks = list(voice.compose(clip))
        assert sum(len(block.samples) for block in blocks) == frames
        assert blocks[0].position == clip.position
        assert all(a.position + len(a.samples) == b.position for a, b in pairwise(blocks))


def test_blocks_are_beats_and_bars_begin_with_a_bar_cue(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(2)
    blocks = list(voice.compose(request(voice, 8, CALM)))
    cues = [block.cue for block in blocks]
    assert cues == [Cue.BAR, Cue.BEAT, Cue.BEAT, Cue.BEAT] * (len(cues) // 4)
    for block in blocks:
        assert block.samples.dtype == np.float32
        assert block.samples.shape[1] == 2
        assert set(block.instruments) <= set(INSTRUMENTS)
        assert list(block.instruments) == sorted(block.instruments)
        assert 60 * SAMPLE_RATE / len(block.samples) == pytest.approx(block.tempo_bpm, rel=0.02)


def test_the_same_seed_and_calls_give_the_same_samples(generator: ComposerGenerator) -> None:
    first, second, other = (generator.open_voice(seed) for seed in (3, 3, 4))
    one, two, three = (sound(list(voice.compose(request(voice, 4, CALM, ANXIOUS)))) for voice in (first, second, other))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_streaming_beat_by_beat_equals_rendering_the_whole_score(
    generator: ComposerGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[Note] = []
    whole = Renderer(Sampler())
    render = Renderer.render

    def record(renderer: Renderer, notes: Sequence[Note], until: int) -> Samples:
        played.extend(notes)
        return render(renderer, notes, until)

    monkeypatch.setattr(Renderer, "render", record)
    voice = generator.open_voice(5)
    streamed = sound(list(voice.compose(request(voice, 6, ANXIOUS))))
    monkeypatch.undo()
    assert np.abs(streamed - whole.render(played, len(streamed))).max() < 1e-5


def test_composing_is_lazy(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(6)
    blocks = voice.compose(request(voice, 30, CALM))
    assert voice.position == 0
    first = next(blocks)
    assert voice.position == len(first.samples)


@pytest.mark.parametrize("beats_kept", [1, 4, 6, 7])
def test_a_rewind_keeps_what_was_before_it_and_goes_on_in_the_same_key(
    generator: ComposerGenerator, beats_kept: int
) -> None:
    voice = generator.open_voice(7)
    blocks = list(voice.compose(request(voice, 12, ANXIOUS)))
    cut = blocks[beats_kept].position
    assert voice.rewind(cut - 100) == cut
    follow = list(voice.compose(request(voice, 6, CALM)))
    assert follow[0].position == cut
    assert follow[0].cue is Cue.BAR
    assert follow[0].key.split()[0] == blocks[0].key.split()[0]
    assert follow[0].tempo_bpm == pytest.approx(blocks[beats_kept].tempo_bpm, rel=1e-6)
    unbroken, rewound = sound(blocks), sound([*blocks[:beats_kept], *follow])
    assert np.array_equal(rewound[:cut], unbroken[:cut])
    parting = np.abs(rewound[cut : cut + 48] - unbroken[cut : cut + 48]).max(axis=1)
    assert parting[0] < 0.002  # at the cut both go on alike, and part from there
    own_steps = np.abs(np.diff(unbroken, axis=0)).max(axis=1)
    assert np.abs(np.diff(parting)).max() < np.percentile(own_steps, 99.9)


def test_a_rewind_to_a_bar_line_and_the_same_request_give_the_same_music(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(8)
    clip = request(voice, 6, CALM)
    first = sound(list(voice.compose(clip)))
    voice.rewind(0)
    assert np.abs(sound(list(voice.compose(clip))) - first).max() < 1e-5


def test_a_rewind_in_the_middle_of_a_clip_ends_its_iterator(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(9)
    blocks = voice.compose(request(voice, 20, CALM))
    beats = [next(blocks) for _ in range(5)]
    assert voice.rewind(beats[2].position) == beats[2].position
    assert list(blocks) == []
    assert next(voice.compose(request(voice, 20, ANXIOUS))).position == beats[2].position


def test_another_emotion_is_heard_from_the_first_beat_on(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(10)
    blocks = list(voice.compose(request(voice, 10, Emotion(-0.6, 0.7))))
    voice.rewind(blocks[9].position)
    follow = next(voice.compose(request(voice, 10, Emotion(0.6, -0.7))))
    assert follow.key.split()[1] in ("ionian", "lydian")
    assert "percussion" in blocks[8].instruments
    assert not {"percussion", "tremolo", "timpani"} & set(follow.instruments)


def test_a_voice_remembers_at_least_twelve_seconds_and_says_so_beyond(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(11)
    for block in voice.compose(request(voice, 20, CALM)):
        assert len(block.samples) > 0
    assert voice.position - voice.rewind(voice.position - frames_of(12)) > frames_of(10.5)
    with pytest.raises(ValueError, match="remembered"):
        voice.rewind(frames_of(1))
    with pytest.raises(ValueError, match="remembered"):
        voice.rewind(voice.position + 1)


def test_a_clip_that_does_not_continue_the_music_is_refused(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(12)
    with pytest.raises(ValueError, match="continue"):
        voice.compose(ClipRequest(5, 48_000, CALM, CALM))
    with pytest.raises(ValueError, match="empty"):
        voice.compose(ClipRequest(0, 0, CALM, CALM))


def test_preferences_that_cannot_be_met_are_refused_at_once(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(13)
    with pytest.raises(InvalidInput, match="kazoo"):
        voice.compose(ClipRequest(0, 48_000, CALM, CALM, Preference(prefer=("kazoo",))))


def test_a_forbidden_instrument_is_out_from_the_first_beat(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(14)
    before = list(voice.compose(request(voice, 6, CALM)))
    banned = before[-1].instruments
    clip = ClipRequest(voice.position, frames_of(6), CALM, CALM, Preference(forbid=banned))
    assert all(not set(banned) & set(block.instruments) for block in voice.compose(clip))


BANNED = Preference(forbid=("piano", "pad", "strings", "harp"))


def played_by(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """From here on, who sounds in which stretch that is rendered: instrument, and the stretch."""
    sounding: list[tuple[str, int, int]] = []
    mix = Renderer._mix

    def listen(renderer: Renderer, note: _Sounding, buses: dict[tuple[str, int], Planes], until: int) -> None:
        sounding.append((note.note.instrument, max(renderer.position, note.note.position), until))
        mix(renderer, note, buses, until)

    monkeypatch.setattr(Renderer, "_mix", listen)
    return sounding


@pytest.mark.parametrize("rewinds", [False, True])
def test_what_is_forbidden_neither_plays_on_nor_rings_on(
    generator: ComposerGenerator, monkeypatch: pytest.MonkeyPatch, rewinds: bool
) -> None:
    voice = generator.open_voice(3)
    blocks = list(voice.compose(request(voice, 8, CALM)))
    assert set(BANNED.forbid) & set(blocks[-1].instruments)
    at = voice.rewind(blocks[9].position) if rewinds else voice.position
    sounding = played_by(monkeypatch)
    for block in voice.compose(ClipRequest(at, frames_of(6), CALM, CALM, BANNED)):
        assert not set(BANNED.forbid) & set(block.instruments)
    late = {name for name, start, until in sounding if until > at + BREAK_FRAMES}
    assert late
    assert not set(BANNED.forbid) & late


def test_what_rang_fades_out_without_a_click(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(3)
    before = sound(list(voice.compose(request(voice, 8, CALM))))
    at = voice.position
    music = np.concatenate([before, sound(list(voice.compose(ClipRequest(at, frames_of(4), CALM, CALM, BANNED))))])
    steps = np.abs(np.diff(music, axis=0)).max(axis=1)
    assert steps[at - 1] < np.percentile(steps, 99.9)


def test_a_rewind_to_where_the_ban_began_gives_back_what_rang(generator: ComposerGenerator) -> None:
    voice, free = generator.open_voice(3), generator.open_voice(3)
    ban, goes_on = (ClipRequest(frames_of(8), frames_of(4), CALM, CALM, who) for who in (BANNED, Preference()))
    banned, allowed = [], []
    for one, clip in ((voice, ban), (free, goes_on)):
        list(one.compose(request(one, 8, CALM)))
        banned.append(sound(list(one.compose(clip))))
        one.rewind(clip.position)
        allowed.append(sound(list(one.compose(goes_on))))
    np.testing.assert_allclose(allowed[0], allowed[1], atol=1e-5)
    voice.rewind(ban.position)
    again = sound(list(voice.compose(ban)))[BREAK_FRAMES:]  # a rewind lets go of the keys, so until then less rings
    np.testing.assert_allclose(again, banned[0][BREAK_FRAMES:], atol=1e-5)


def test_a_rehearsal_of_a_ban_is_what_will_be_played(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(3)
    list(voice.compose(request(voice, 8, CALM)))
    ban = ClipRequest(voice.position, frames_of(4), CALM, CALM, BANNED)
    rehearsed = sound([block for (block,) in voice.rehearse(ban, 1)])
    np.testing.assert_allclose(sound(list(voice.compose(ban))), rehearsed, atol=1e-5)


@pytest.mark.parametrize("tempo_bpm", [(40.0, 50.0), (60.0, 80.0), (144.0, 180.0)])
def test_every_block_keeps_the_tempo_limits_whatever_sounded_before(
    generator: ComposerGenerator, tempo_bpm: tuple[float, float]
) -> None:
    voice = generator.open_voice(18)
    next(voice.compose(request(voice, 30, ANXIOUS)))
    for seconds in (7, 6):
        clip = ClipRequest(voice.position, frames_of(seconds), ANXIOUS, CALM, tempo_bpm=tempo_bpm)
        for block in voice.compose(clip):
            assert tempo_bpm[0] - 1e-6 <= block.tempo_bpm <= tempo_bpm[1] + 1e-6
            assert tempo_bpm[0] - 0.1 <= 60 * SAMPLE_RATE / len(block.samples) <= tempo_bpm[1] + 0.1


def test_a_missing_font_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(GeneratorFailed):
        ComposerGenerator(tmp_path_factory.mktemp("fonts") / "missing.sf3")


@pytest.mark.parametrize(("valence", "arousal"), [(-0.8, -0.8), (0.8, -0.8), (0.0, 0.0), (-0.8, 0.8), (0.8, 0.8)])
def test_loudness_follows_arousal_within_the_window(
    generator: ComposerGenerator, valence: float, arousal: float
) -> None:
    voice = generator.open_voice(Random(f"{valence}").randrange(100))
    music = sound(list(voice.compose(request(voice, 12, Emotion(valence, arousal)))))
    loudness = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(music)
    assert -24 < loudness < -15
    assert loudness == pytest.approx(-22.5 + 3 * (arousal + 1), abs=1.5)


def test_a_final_clip_dies_away(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(15)
    clip = ClipRequest(0, frames_of(20), CALM, CALM, final=True)
    music = sound(list(voice.compose(clip)))
    ending, before = music[-SAMPLE_RATE // 2 :], music[-12 * SAMPLE_RATE : -9 * SAMPLE_RATE]
    assert np.sqrt(np.mean(ending**2)) < 0.1 * np.sqrt(np.mean(before**2))


def test_a_voice_may_begin_anywhere(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(16, position=96_000)
    assert next(voice.compose(ClipRequest(96_000, 96_000, CALM, CALM))).position == 96_000


def test_clips_of_one_emotion_are_equally_loud(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(17)
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    loudness = [meter.integrated_loudness(sound(list(voice.compose(request(voice, 12, ANXIOUS))))) for _ in range(4)]
    assert max(abs(second - first) for first, second in pairwise(loudness)) < 1.5


def test_a_rehearsal_is_what_will_be_played_and_leaves_the_voice_where_it_is(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(5)
    list(voice.compose(request(voice, 6, CALM)))
    before = voice.position
    wanted = request(voice, 9, CALM, ANXIOUS)
    rehearsed = sound([block for (block,) in voice.rehearse(wanted, 3)])
    assert voice.position == before
    np.testing.assert_allclose(sound(list(voice.compose(wanted))), rehearsed, atol=1e-5)


def test_a_rehearsal_that_was_left_off_is_forgotten(generator: ComposerGenerator) -> None:
    straight, voice = generator.open_voice(5), generator.open_voice(5)
    first = request(voice, 6, CALM)
    expected = [*straight.compose(first), *straight.compose(request(straight, 4, CALM))]
    list(voice.compose(first))
    next(voice.rehearse(request(voice, 9, ANXIOUS), 1))
    played = sound(list(voice.compose(request(voice, 4, CALM))))
    with pytest.raises(ValueError, match="nothing was rehearsed"):
        voice.settle(0)
    np.testing.assert_allclose(played, sound(expected)[frames_of(6) :], atol=1e-5)


def test_a_voice_goes_on_from_a_rehearsal_that_it_settles_on(generator: ComposerGenerator) -> None:
    straight, voice = generator.open_voice(6), generator.open_voice(6)
    first = request(voice, 6, CALM)
    expected = sound([*straight.compose(first), *straight.compose(request(straight, 5, ANXIOUS))])
    rehearsed = sound([block for (block,) in voice.rehearse(first, 1)])
    voice.settle(0)
    assert voice.position == frames_of(6)
    played = [rehearsed, sound(list(voice.compose(request(voice, 5, ANXIOUS))))]
    np.testing.assert_allclose(np.concatenate(played), expected, atol=1e-5)
    assert voice.rewind(frames_of(4)) >= frames_of(4)


def test_another_voice_goes_on_from_a_memory_sample_for_sample(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(7)
    list(voice.compose(ClipRequest(0, frames_of(8.0), CALM, ANXIOUS)))
    voice.rewind(frames_of(5.0))  # notes are let go in the middle of a bar
    wish = ClipRequest(voice.position, frames_of(9.0), ANXIOUS, CALM, Preference(forbid=("piano",)), final=True)
    memory = voice.memory()
    other = generator.open_voice(7, voice.position, memory)
    assert other.memory() == memory
    again = sound(list(other.compose(wish)))
    assert np.abs(again - sound(list(voice.compose(wish)))).max() < 1e-5
    assert again[: frames_of(0.5)].std() > 0


@pytest.mark.parametrize("seconds", [0.7, 4.0, 13.0])
def test_what_nobody_hears_is_left_out_and_what_follows_is_the_same(
    generator: ComposerGenerator, seconds: float
) -> None:
    voice = generator.open_voice(3)
    list(voice.compose(ClipRequest(0, frames_of(6.0), ANXIOUS, CALM)))
    wish, heard_from = request(voice, 15.0, CALM), voice.position + frames_of(seconds)
    memory, whole = voice.memory(), sound(list(voice.compose(wish)))
    blocks = list(generator.open_voice(3, wish.position, memory).compose(wish, heard_from))
    left_out = blocks[0].position - wish.position
    assert blocks[0].position <= heard_from < blocks[0].end
    assert np.abs(sound(blocks) - whole[left_out:]).max() < 1e-5


@pytest.mark.parametrize(("seed", "instrument"), [(8, "horn"), (33, "oboe")])
def test_what_is_forbidden_while_only_the_hall_still_answers_is_broken_off_from_a_memory_too(
    generator: ComposerGenerator, seed: int, instrument: str
) -> None:
    voice = generator.open_voice(seed)
    list(voice.compose(ClipRequest(0, frames_of(7.0), ANXIOUS, ANXIOUS)))
    assert instrument not in {sounding.note.instrument for sounding in voice._renderer._sounding}
    assert voice._renderer.rings([instrument])
    wish = ClipRequest(voice.position, frames_of(4.0), ANXIOUS, ANXIOUS, Preference(forbid=(instrument,)))
    memory, whole = voice.memory(), sound(list(voice.compose(wish)))
    for seconds in (0.0, 1.5):
        blocks = list(
            generator.open_voice(seed, wish.position, memory).compose(wish, wish.position + frames_of(seconds))
        )
        assert np.abs(sound(blocks) - whole[blocks[0].position - wish.position :]).max() < 1e-5


def test_a_voice_that_was_taken_up_can_be_taken_up_again(generator: ComposerGenerator) -> None:
    voice = generator.open_voice(3)
    list(voice.compose(ClipRequest(0, frames_of(7.0), ANXIOUS, ANXIOUS)))
    second = generator.open_voice(3, voice.position, voice.memory())
    for one in (voice, second):
        list(one.compose(request(one, 0.8, ANXIOUS)))
    third = generator.open_voice(3, second.position, second.memory())
    played, again = (sound(list(one.compose(request(one, 3.0, ANXIOUS)))) for one in (voice, third))
    assert np.abs(again - played).max() < 1e-5


def test_what_rang_before_a_memory_is_not_made_while_nothing_is_heard() -> None:
    cold = ComposerGenerator()
    voice = cold.open_voice(3)
    list(voice.compose(ClipRequest(0, frames_of(3.0), ANXIOUS, CALM)))
    other = ComposerGenerator()
    taken_up = other.open_voice(3, voice.position, voice.memory())
    assert other.cached_bytes == 0
    next(taken_up.compose(request(taken_up, 2.0, CALM)))
    assert other.cached_bytes > 0


def test_a_memory_that_is_none_is_refused(generator: ComposerGenerator) -> None:
    memory = generator.open_voice(7).memory()
    for damaged in ("", "{}", memory[:-9], memory.replace('"version":1', '"version":0'), '"note"'):
        with pytest.raises(InvalidInput):
            generator.open_voice(7, 0, damaged)
