import numpy as np
import pytest

from musicmed_live.recognition.constant_q import LOWEST_KEY, semitones
from musicmed_live.recognition.tonality import key_strengths, measure_tonality, tonal_centroids
from tests.recognition.sounds import C_MAJOR, C_MINOR, chords, sine


@pytest.mark.parametrize("key", [26, 45, 60, 76, 100])
def test_a_tone_stands_out_at_its_semitone(key: int) -> None:
    columns = semitones(sine(440 * 2 ** ((key - 69) / 12), 6.0))
    assert (columns[20:-20].argmax(axis=1) == key - LOWEST_KEY).all()


def test_there_is_a_column_for_every_2048_frames_in_all_octaves() -> None:
    for frames in (70_000, 70_001, 71_679, 71_680):
        assert semitones(np.ones(frames, np.float32)).shape == (1 + frames // 2048, 84)


def test_a_key_profile_is_its_own_best_key() -> None:
    scale = np.array([[1.0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1]])
    major, minor = key_strengths(np.concatenate([scale, np.roll(scale, 5, axis=1)]))
    assert major[0] == pytest.approx(major[1])
    assert major[0] > minor[0]


def test_major_chords_are_heard_as_such() -> None:
    major, minor = (measure_tonality(chords(music, 1.0)) for music in (C_MAJOR, C_MINOR))
    assert major["major_chords"] > 0.1 > minor["major_chords"]
    assert major["in_scale"] > 0.8


def test_keys_that_are_a_fifth_apart_are_neighbours_and_those_a_tritone_apart_are_not() -> None:
    tones = np.eye(12)
    centre = tonal_centroids(tones)
    assert np.linalg.norm(centre[0] - centre[7]) < np.linalg.norm(centre[0] - centre[6])


def test_a_chord_that_stays_changes_less_than_a_progression() -> None:
    moving, still = (measure_tonality(chords(keys, 0.5)) for keys in (C_MAJOR, C_MAJOR[:1]))
    assert moving["harmonic_change"] > 1.5 * still["harmonic_change"]
