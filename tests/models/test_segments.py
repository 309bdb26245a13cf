"""Sound files, good and bad, become segments, or a few words that say why not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.segments import Unusable, cut, read_mono, segments_in
from models.tokens import HOP
from musicmed_live.musicgen.parts import CODEC_RATE


def tone(seconds: float, rate: int = CODEC_RATE, hertz: float = 440.0) -> NDArray[np.float32]:
    at = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * CODEC_RATE), np.float32)


def why(path: Path) -> str:
    with pytest.raises(Unusable) as refused:
        cut(read_mono(path), 9)
    return refused.value.message


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (22_050, 2), (44_100, 2), (48_000, 1), (96_000, 6)])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_any_rate_and_number_of_channels_is_read(tmp_path: Path, rate: int, channels: int, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.repeat(tone(3.0, rate)[:, None], channels, axis=1), rate)

    sound = read_mono(path)

    assert abs(len(sound) - 3 * CODEC_RATE) <= 2
    inner = slice(CODEC_RATE // 2, -CODEC_RATE // 2)
    assert np.abs(sound[inner] - tone(3.0)[: len(sound)][inner]).max() < 2e-3


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_compressed_files_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(12.0, 44_100), 44_100)

    assert abs(len(read_mono(path)) / CODEC_RATE - 12.0) < 0.1


def test_channels_are_mixed_evenly(tmp_path: Path) -> None:
    path = tmp_path / "sides.wav"
    soundfile.write(path, np.stack([tone(3.0), -tone(3.0)], axis=1), CODEC_RATE)
    assert np.abs(read_mono(path)).max() < 1e-4


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(3.0), CODEC_RATE)
    soundfile.write(tmp_path / "silent.wav", silence(40.0), CODEC_RATE)
    soundfile.write(tmp_path / "dull.wav", tone(40.0, 8_000), 8_000)
    soundfile.write(tmp_path / "nan.wav", np.full(40 * CODEC_RATE, np.nan, np.float32), CODEC_RATE, "FLOAT")
    soundfile.write(tmp_path / "gaps.wav", np.concatenate([tone(5.0), silence(30.0), tone(5.0)]), CODEC_RATE)
    (tmp_path / "text.mp3").write_text("This is a shopping list, whatever its name says.\n" * 50)
    (tmp_path / "empty.wav").write_bytes(b"")

    assert why(tmp_path / "short.wav") == "lasts 3.0 s without silence at its ends, less than 10"
    assert why(tmp_path / "silent.wav") == "is silent"
    assert why(tmp_path / "dull.wav") == "has 8000 Hz, less than 16000: too dull to learn from"
    assert why(tmp_path / "nan.wav") == "has samples that are no numbers"
    assert why(tmp_path / "text.mp3").startswith("cannot be read")
    assert why(tmp_path / "empty.wav").startswith("cannot be read")
    assert why(tmp_path / "nowhere.wav") == "is not there"
    assert why(tmp_path / "gaps.wav") == "is silent for more than half of its time"


def test_a_file_that_is_cut_off_in_the_middle_gives_what_it_has_or_says_why(tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone(40.0), CODEC_RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        assert len(read_mono(path)) < 40 * CODEC_RATE
    except Unusable as fault:
        assert fault.message.startswith("cannot be read")


def test_what_a_name_says_does_not_matter(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(12.0), CODEC_RATE)
    (tmp_path / "tone.wav").rename(tmp_path / "tone.mp3")
    assert len(cut(read_mono(tmp_path / "tone.mp3"), 9)) == 1


def test_a_playlist_cannot_have_other_files_opened(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "other.wav", tone(12.0), CODEC_RATE)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\n{tmp_path / 'other.wav'}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(playlist)
    assert why(tmp_path / "list.m3u8").startswith("cannot be read")


def test_segments_follow_each_other_without_the_silence_at_the_ends() -> None:
    cuts = cut(np.concatenate([silence(2.0), tone(75.0), silence(4.0)]), 9)

    assert [one.start_seconds for one in cuts] == [2.0, 32.0, 62.0]
    assert [len(one.sound) / CODEC_RATE for one in cuts] == pytest.approx([30.0, 30.0, 15.0], abs=0.11)


def test_a_rest_below_10_s_is_left_out() -> None:
    assert len(cut(tone(39.0), 9)) == 1
    assert len(cut(tone(41.0), 9)) == 2


def test_fewer_segments_are_spread_over_the_file() -> None:
    assert [one.start_seconds for one in cut(tone(300.0), 2)] == [60.0, 210.0]


def test_a_segment_that_is_mostly_silent_is_left_out() -> None:
    cuts = cut(np.concatenate([tone(30.0), silence(40.0), tone(20.0)]), 9)
    assert [one.start_seconds for one in cuts] == [0.0, 60.0]


@settings(max_examples=15, deadline=None)
@given(seconds=st.floats(0.0, 100.0), most=st.integers(1, 9))
def test_segments_are_whole_frames_within_the_file(seconds: float, most: int) -> None:
    sound = tone(seconds)
    if seconds < 9.9:
        with pytest.raises(Unusable):
            cut(sound, most)
        return
    if seconds < 10.1:
        return  # either
    cuts = cut(sound, most)

    assert len(cuts) <= min(most, segments_in(seconds + 0.1))
    for one in cuts:
        begin = round(one.start_seconds * CODEC_RATE)
        assert len(one.sound) % HOP == 0
        assert 10 * CODEC_RATE - HOP <= len(one.sound) <= 30 * CODEC_RATE
        assert np.array_equal(one.sound, sound[begin : begin + len(one.sound)])


def test_how_many_segments_a_length_gives() -> None:
    assert [segments_in(seconds) for seconds in (9, 10, 30, 39, 40, 60, 100_000)] == [0, 1, 1, 1, 2, 2, 40]
