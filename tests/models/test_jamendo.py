"""MTG-Jamendo: fetched through all that can happen to a connection, believed by its checksums, selected in balance."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.jamendo import SITE, Catalogue, fetch_catalogue, fetch_sounds, licence_of
from models.selection import MOST_PER_TRACK, archive_of, balanced, quadrant_segments
from models.shards import QUADRANTS
from models.tags import points
from models.tracks import Track
from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import CannotServe, InvalidInput
from tests.models import jamendo_site
from tests.models.jamendo_site import SOUNDS, Published, Server

TRACKS = (
    Published(
        1007, "train", ("genre---easylistening", "instrument---electricguitar", "mood/theme---heavy"), b"a" * 999
    ),
    Published(1107, "train", ("mood/theme---happy", "mood/theme---party"), b"b" * 999, licence="by/3.0"),
    Published(1008, "validation", ("mood/theme---ambiental",), b"c" * 999, licence="by-nd/2.0/fr"),
    Published(1009, "test", ("genre---rock",), b"d" * 999),
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with four tracks, of which one has no mood; nobody waits between attempts."""
    monkeypatch.setattr("models.download.time.sleep", lambda _seconds: None)
    with jamendo_site.serve(TRACKS) as server:
        yield server


def catalogue_of(server: Server, folder: Path) -> Catalogue:
    return fetch_catalogue(server.site, folder, "low", 0, lambda _bytes: None)


def sounds_of(server: Server, folder: Path) -> dict[str, str]:
    catalogue = catalogue_of(server, folder)
    return fetch_sounds(server.site, catalogue, catalogue.tracks, folder / "sounds", lambda _bytes: None)


def test_the_tracks_with_moods_are_read_with_what_is_said_of_them(server: Server, tmp_path: Path) -> None:
    first, second, third = catalogue_of(server, tmp_path).tracks

    assert first == Track(
        id="track_0001007",
        path="07/1007.low.mp3",
        split="train",
        emotion=points()["heavy"],
        moods=("heavy",),
        instruments=("electric guitar",),
        genres=("easy listening",),
        licence="CC BY-NC-SA 3.0",
        credit="Tune 1007 by Somebody from Jamendo: http://www.jamendo.com/track/1007",
        seconds=40.0,
    )
    assert second.licence == "CC BY 3.0"
    assert second.quadrant == "pleasant-aroused"
    assert (third.split, third.moods, third.licence) == ("validation", ("ambient",), "CC BY-ND 2.0")


def test_metadata_are_fetched_once_and_anew_where_they_were_changed(server: Server, tmp_path: Path) -> None:
    catalogue_of(server, tmp_path)
    asked = len(server.requests)
    catalogue_of(server, tmp_path)
    assert len(server.requests) == asked

    (tmp_path / "audio_licenses.txt").write_text("somebody else's")
    catalogue_of(server, tmp_path)
    assert len(server.requests) == asked + 1


def test_metadata_that_are_not_those_of_the_commit_are_refused(server: Server, tmp_path: Path) -> None:
    server.files["audio_licenses.txt"] += b"one line more\n"
    with pytest.raises(InvalidInput, match="came twice with another checksum"):
        catalogue_of(server, tmp_path)
    assert not (tmp_path / "audio_licenses.txt").exists()


def test_a_line_that_is_no_track_is_named(server: Server, tmp_path: Path) -> None:
    name = "data/splits/split-0/autotagging-test.tsv"
    server.files[name] = b"TRACK_ID\ntrack_1\t../../etc/passwd\n"
    server.site = type(server.site)(
        server.site.metadata,
        server.site.archives,
        {**server.site.blobs, name: jamendo_site.git_blob(server.files[name])},
    )
    with pytest.raises(InvalidInput, match=r"autotagging-test\.tsv, line 2: .* is not as in MTG-Jamendo"):
        catalogue_of(server, tmp_path)


def test_sounds_come_out_of_their_archives_and_nothing_else_does(server: Server, tmp_path: Path) -> None:
    assert sounds_of(server, tmp_path) == {}

    found = {
        path.relative_to(tmp_path / "sounds").as_posix(): path.read_bytes()[:1] for path in files(tmp_path / "sounds")
    }
    assert found == {"07/1007.low.mp3": b"a", "07/1107.low.mp3": b"b", "08/1008.low.mp3": b"c"}
    assert not list(tmp_path.rglob("outside.mp3"))
    assert not list(tmp_path.rglob("absolute.mp3"))
    assert "autotagging_moodtheme_audio-low-09.tar" not in dict(server.of_archives())  # no track of it is wanted


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    sounds_of(server, tmp_path)
    asked = len(server.requests)
    (tmp_path / "sounds" / "08" / "1008.low.mp3").unlink()

    sounds_of(server, tmp_path)

    assert len(files(tmp_path / "sounds")) == 3
    assert {path.rpartition("/")[2] for path, _ in server.requests[asked:]} == {
        "autotagging_moodtheme_audio-low-08.tar"
    }


def test_a_broken_connection_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.cut_after = 3000
    assert sounds_of(server, tmp_path) == {}

    ranges = [asked for name, asked in server.of_archives() if name.endswith("07.tar")]
    assert ranges[-1] == "bytes=3000-"
    assert len(files(tmp_path / "sounds")) == 3


def test_a_server_that_is_busy_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.answers = [503, 429, 500]
    assert sounds_of(server, tmp_path) == {}


def test_a_network_that_is_gone_says_so_and_keeps_what_has_come(server: Server, tmp_path: Path) -> None:
    server.cut_after = 3000
    server.answers = []
    catalogue = catalogue_of(server, tmp_path)
    part = tmp_path / "sounds" / "autotagging_moodtheme_audio-low-07.tar.part"

    def fetch(answers: list[int]) -> dict[str, str]:
        server.answers = answers
        return fetch_sounds(server.site, catalogue, catalogue.tracks[:1], tmp_path / "sounds", lambda _bytes: None)

    part.parent.mkdir()
    part.write_bytes(server.files[f"{jamendo_site.ARCHIVES}/autotagging_moodtheme_audio-low-07.tar"][:2000])
    with pytest.raises(CannotServe, match=r"it answers 503\); what has come is kept: run the same command again"):
        fetch([503] * 9)
    assert part.stat().st_size == 2000
    fetch([])
    assert ("autotagging_moodtheme_audio-low-07.tar", "bytes=2000-") in server.of_archives()


def test_an_archive_with_a_wrong_checksum_is_fetched_once_more(server: Server, tmp_path: Path) -> None:
    server.falsify = 1
    assert sounds_of(server, tmp_path) == {}


def test_an_archive_that_stays_wrong_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.falsify = 9
    with pytest.raises(InvalidInput, match="came twice with another checksum"):
        sounds_of(server, tmp_path)
    assert files(tmp_path / "sounds") == []


def test_an_archive_that_nobody_has_is_named(server: Server, tmp_path: Path) -> None:
    del server.files[f"{jamendo_site.ARCHIVES}/autotagging_moodtheme_audio-low-08.tar"]
    with pytest.raises(InvalidInput, match=r"audio-low-08\.tar is not there \(any more\), nor on its mirrors"):
        sounds_of(server, tmp_path)
    assert len(files(tmp_path / "sounds")) == 2  # the other archive's


def test_a_full_disk_keeps_what_has_come(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = catalogue_of(server, tmp_path)
    opened = Path.open

    def full(path: Path, mode: str = "r", **others: object) -> object:
        if path.name.endswith(".tar.part"):
            raise OSError(28, "No space left on device")
        return opened(path, mode, **others)  # type: ignore[call-overload]  # its modes are spelled out one by one

    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", full)
        with pytest.raises(CannotServe, match=r"No space left on device.*make room and run the same command again"):
            fetch_sounds(server.site, catalogue, catalogue.tracks, tmp_path / "sounds", lambda _bytes: None)
    assert sounds_of(server, tmp_path) == {}


def test_a_track_with_a_wrong_checksum_is_named_and_left_out(server: Server, tmp_path: Path) -> None:
    server.files[SOUNDS] = b"".join(
        line if b"1007" not in line else b"0" * 64 + line[64:]
        for line in server.files[SOUNDS].splitlines(keepends=True)
    )
    blobs = {**server.site.blobs, SOUNDS: jamendo_site.git_blob(server.files[SOUNDS])}
    server.site = type(server.site)(server.site.metadata, server.site.archives, blobs)

    assert sounds_of(server, tmp_path) == {"07/1007.low.mp3": "has another checksum than its publisher's"}
    assert len(files(tmp_path / "sounds")) == 2


def test_the_published_site_names_all_that_is_read() -> None:
    for split in range(5):
        assert all(f"data/splits/split-{split}/autotagging-{name}.tsv" in SITE.blobs for name in ("train", "test"))
    assert all(len(blob) == 40 for blob in SITE.blobs.values())
    assert all(address.startswith("https://") for address in (SITE.metadata, *SITE.archives))


def test_licences_are_named_as_people_do() -> None:
    assert licence_of("http://creativecommons.org/licenses/by-nc-sa/3.0/") == "CC BY-NC-SA 3.0"
    assert licence_of("http://artlibre.org/licence/lal") == ""


def track(number: int, emotion: Emotion | None, seconds: float | None = 240.0, split: str = "train") -> Track:
    return Track(f"t{number}", f"{number % 100:02}/{number}.mp3", split, emotion, seconds=seconds)


def many() -> list[Track]:
    """Of the unpleasant and aroused, one in ten."""
    corners = [Emotion(0.5, 0.5)] * 4 + [Emotion(0.5, -0.5)] * 3 + [Emotion(-0.5, -0.5)] * 2 + [Emotion(-0.5, 0.5)]
    return [track(number, corners[number // 100 % 10]) for number in range(2000)]


def test_each_quadrant_gets_as_much_as_there_is_of_the_scarcest() -> None:
    counted = quadrant_segments(balanced(many(), None))
    assert counted == dict.fromkeys(QUADRANTS, 200 * MOST_PER_TRACK)


def test_one_segment_of_each_track_goes_before_a_second_one_of_any() -> None:
    selected = balanced(many(), None)
    happy = [wanted for wanted in selected if wanted.track.quadrant == "pleasant-aroused"]
    assert len(happy) == 800
    assert {wanted.segments for wanted in happy} == {2}


def test_fewer_hours_need_fewer_archives() -> None:
    selected = balanced(many(), hours=2.0)

    assert quadrant_segments(selected) == dict.fromkeys(QUADRANTS, 48)  # 8 tenths of 2 h, in quarters
    assert {archive_of(wanted.track) for wanted in selected} == {"00", "01", "02"}
    assert selected == balanced(many()[::-1], hours=2.0)


def test_tracks_of_which_too_little_is_known_are_left_out() -> None:
    tracks = [
        track(0, Emotion(0.5, 0.5)),
        track(1, None),
        track(2, Emotion(0.5, 0.5), None),
        track(3, Emotion(0, 0), 9.0),
    ]
    assert [wanted.track.id for wanted in balanced(tracks, None)] == ["t0"]


def test_each_split_is_balanced_by_itself() -> None:
    tracks = many() + [track(5000 + i, Emotion(0.5, 0.5), 60.0, "test") for i in range(3)]
    of_test = [wanted for wanted in balanced(tracks, None) if wanted.track.split == "test"]
    assert quadrant_segments(of_test) == {"pleasant-aroused": 6}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
