"""What the reader of sound fonts promises."""

from pathlib import Path

import numpy as np
import pytest

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.sampler import PACKAGED_FONT
from musicmed_live.composer.soundfont import SoundFont
from musicmed_live.composer.zones import Gen, Zone
from musicmed_live.errors import GeneratorFailed
from tests.composer.tiny_font import TinyFont, sine, span


def the_zone(font: SoundFont) -> Zone:
    (zone,) = font.presets[0, 0]
    return zone


@pytest.fixture(scope="module")
def packaged() -> SoundFont:
    return SoundFont(PACKAGED_FONT)


def test_the_packaged_font_has_every_instrument_over_its_whole_range(packaged: SoundFont) -> None:
    for instrument in INSTRUMENTS.values():
        zones = packaged.presets[instrument.bank, instrument.program]
        for key in (instrument.lowest, instrument.middle, instrument.highest):
            assert any(zone.covers(key, 80) for zone in zones), (instrument.name, key)


def test_vorbis_samples_decode_whole_or_in_part_to_the_same_frames(packaged: SoundFont) -> None:
    sample = packaged.presets[0, 73][0].sample
    whole = packaged.decode(sample)
    beginning = packaged.decode(sample, 1000)
    assert whole.whole
    assert len(whole.frames) > sample.loop_end
    assert not beginning.whole
    np.testing.assert_array_equal(beginning.frames, whole.frames[:1000])


def test_a_recording_suffices_for_what_it_holds(packaged: SoundFont) -> None:
    sample = packaged.presets[0, 73][0].sample
    beginning = packaged.decode(sample, 1000)
    assert beginning.suffices(1000)
    assert not beginning.suffices(1001)
    assert not beginning.suffices(None)
    assert packaged.decode(sample).suffices(None)


def test_uncompressed_samples_are_read_as_they_are(tmp_path: Path) -> None:
    recording = sine(440, 500)
    font = SoundFont(TinyFont(recording, loop=(100, 400)).write(tmp_path / "tiny.sf2"))
    sample = the_zone(font).sample
    np.testing.assert_array_equal(font.decode(sample).frames, recording)
    assert (sample.loop_start, sample.loop_end, sample.root_key, sample.rate_hz) == (100, 400, 69, 48_000)


@pytest.mark.parametrize("pads_odd_parts", [True, False])
def test_odd_parts_are_read_with_and_without_their_pad_byte(tmp_path: Path, pads_odd_parts: bool) -> None:
    tiny = TinyFont(sine(440, 100), pads_odd_parts=pads_odd_parts, comment=b"an odd number of it")
    assert len(tiny.comment) % 2 == 1
    assert the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2"))).sample.name == "tone"


def test_a_zone_sets_what_it_says_and_takes_the_rest_from_the_global_zone(tmp_path: Path) -> None:
    tiny = TinyFont(
        sine(440, 100),
        global_zone=[(Gen.PAN, -100), (Gen.RELEASE, 1200)],
        zones=[[(Gen.PAN, 250)]],
    )
    played = the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2"))).played(60, 80)
    assert played[Gen.PAN] == 250
    assert played.seconds(Gen.RELEASE) == 2.0


def test_what_a_preset_says_is_added_to_what_the_instrument_says_or_to_the_default(tmp_path: Path) -> None:
    tiny = TinyFont(
        sine(440, 100),
        zones=[[(Gen.ATTENUATION, 100)]],
        preset_zone=[(Gen.ATTENUATION, 40), (Gen.DECAY, 12000)],
    )
    played = the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2"))).played(60, 80)
    assert played[Gen.ATTENUATION] == 140
    assert played.seconds(Gen.DECAY) == 1.0


def test_a_zone_is_played_where_the_ranges_of_preset_and_instrument_meet(tmp_path: Path) -> None:
    tiny = TinyFont(
        sine(440, 100),
        zones=[[(Gen.KEYS, span(40, 70))], [(Gen.KEYS, span(90, 100))]],
        preset_zone=[(Gen.KEYS, span(60, 80)), (Gen.VELOCITIES, span(0, 90))],
    )
    zone = the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2")))  # the second zone meets the preset nowhere
    assert zone.keys == (60, 70)
    assert zone.covers(60, 90.5)
    assert not zone.covers(60, 91)
    assert not zone.covers(59, 50)


def test_velocity_and_key_move_generators_in_a_straight_line(tmp_path: Path) -> None:
    velocity, key_backwards = 2, 3 | 0x100
    tiny = TinyFont(
        sine(440, 100),
        zones=[[(Gen.ATTACK, 0)]],
        modulators=[
            (velocity, Gen.ATTACK, -1200, 0, 0),
            (key_backwards, Gen.RELEASE, 12000, velocity, 0),
            (7 | 0x80, Gen.PAN, 500, 0, 0),  # a controller: nobody moves it here
        ],
    )
    zone = the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2")))
    assert zone.played(60, 127).seconds(Gen.ATTACK) == 0.5
    assert zone.played(0, 127).seconds(Gen.RELEASE) == 1.0
    assert zone.played(127, 127).seconds(Gen.RELEASE) == 0.0
    assert zone.played(60, 127)[Gen.PAN] == 0


def test_stages_may_shorten_with_the_key(tmp_path: Path) -> None:
    tiny = TinyFont(sine(440, 100), zones=[[(Gen.HOLD, 0), (Gen.KEY_TO_HOLD, 100)]])
    zone = the_zone(SoundFont(tiny.write(tmp_path / "tiny.sf2")))
    assert zone.played(60, 80).seconds(Gen.HOLD, Gen.KEY_TO_HOLD) == 1.0
    assert zone.played(72, 80).seconds(Gen.HOLD, Gen.KEY_TO_HOLD) == 0.5


def test_a_missing_font_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(GeneratorFailed, match=r"gone\.sf3 cannot be read .*; install the package again"):
        SoundFont(tmp_path / "gone.sf3")


def no_font(name: str) -> bytes:
    whole = PACKAGED_FONT.read_bytes()
    return {
        "text": b"not a font at all, but long enough to be one",
        "another RIFF": b"RIFF" + (20).to_bytes(4, "little") + b"WAVEfmt " + bytes(20),
        "nothing but a head": whole[:12],
        "cut short": whole[: len(whole) // 2],
        "empty": b"",
    }[name]


@pytest.mark.parametrize("name", ["text", "another RIFF", "nothing but a head", "cut short", "empty"])
def test_a_file_that_is_no_font_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bad.sf3"
    path.write_bytes(no_font(name))
    with pytest.raises(GeneratorFailed, match=r"bad\.sf3 .*install the package again, or name another font"):
        SoundFont(path)


def test_a_damaged_recording_is_named(tmp_path: Path, packaged: SoundFont) -> None:
    sample = packaged.presets[0, 73][0].sample
    content = bytearray(PACKAGED_FONT.read_bytes())
    begin = content.index(b"smpl") + 8 + sample.start
    content[begin : begin + 4] = b"XXXX"
    path = tmp_path / "damaged.sf3"
    path.write_bytes(content)
    with pytest.raises(GeneratorFailed, match=rf"sample '{sample.name}' of .*damaged\.sf3 is damaged"):
        SoundFont(path).decode(sample)
