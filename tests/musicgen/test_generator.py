from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest
from musicmed_live.errors import DeviceFailed, GeneratorFailed, InvalidInput, MusicmedError
from musicmed_live.musicgen.generator import ROOM, MusicgenGenerator, _roomiest

CALM = Emotion(0.6, -0.6)


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> MusicgenGenerator:
    return MusicgenGenerator(str(tiny_model), device="cpu")


def request(position: int = 0, frames: int = SAMPLE_RATE) -> ClipRequest:
    return ClipRequest(position, frames, CALM, CALM)


def test_a_checkpoint_sounds(generator: MusicgenGenerator) -> None:
    voice = generator.open_voice(1, 4800)
    samples = np.concatenate([block.samples for block in voice.compose(request(4800))])
    voice.close()
    assert samples.shape == (SAMPLE_RATE, 2)
    assert np.abs(samples).max() > 1e-3


def test_both_layouts_of_the_same_weights_sound_the_same(generator: MusicgenGenerator, tiny_audiocraft: Path) -> None:
    sounds = []
    for maker in (generator, MusicgenGenerator(str(tiny_audiocraft), device="cpu")):
        voice = maker.open_voice(1)
        sounds.append(np.concatenate([block.samples for block in voice.compose(request())]))
        voice.close()
    np.testing.assert_allclose(sounds[0], sounds[1], atol=1e-5)


def test_warming_up_measures_and_leaves_room_for_all_voices(generator: MusicgenGenerator) -> None:
    pace = generator.warm_up()
    assert pace.realtime_x > 0 and pace.first_block_seconds > 0
    assert generator.voices == 1
    voice = generator.open_voice(1)
    with pytest.raises(GeneratorFailed, match="room for 1"):
        generator.open_voice(2)
    voice.close()


def test_a_device_that_is_not_there_is_named(tiny_model: Path) -> None:
    with pytest.raises(InvalidInput, match="--device: 'tpu' is none of auto, cpu, cuda"):
        MusicgenGenerator(str(tiny_model), device="tpu")


def test_what_is_no_checkpoint_or_adapter_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(MusicmedError, match=tmp_path.name):
        MusicgenGenerator(str(tmp_path))
    with pytest.raises(MusicmedError, match=tmp_path.name):
        MusicgenGenerator(str(tiny_model), [f"calm={tmp_path}"])


def test_where_memory_is_short_there_are_fewer_places() -> None:
    tried = []

    def made(slots: int) -> str:
        tried.append(slots)
        if slots > 4:
            raise GeneratorFailed("the GPU has too little free memory")
        return "an engine"

    assert _roomiest(ROOM["cuda"], made) == ((2, 0), "an engine")
    assert tried == [14, 8, 4]
    with pytest.raises(GeneratorFailed, match="too little"):
        _roomiest(ROOM["cuda"][:2], made)


def test_a_gpu_that_failed_is_not_asked_for_less() -> None:
    made = Mock(side_effect=DeviceFailed("the GPU failed"))
    with pytest.raises(DeviceFailed):
        _roomiest(ROOM["cuda"], made)
    assert made.call_count == 1
