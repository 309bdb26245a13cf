"""MTG-Jamendo: 18,486 tracks with mood and theme tags, under Creative Commons licences, from where it is published.

D. Bogdanov, M. Won, P. Tovstogan, A. Porter & X. Serra, "The MTG-Jamendo Dataset for Automatic Music Tagging", Machine
Learning for Music Discovery Workshop, ICML 2019. Its metadata lie in a git repository, its sound in 100 archives, one
for each two last digits of a track's number. The metadata are CC BY-NC-SA 4.0; each track has a licence of its own.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.download import Advance, fetch, git_blob_of, sha256_of, size_of
from models.selection import archive_of
from models.shards import SPLITS
from models.spelling import GENRES, INSTRUMENTS, MOODS
from models.tags import emotion_of
from models.tracks import Track
from musicmed_live.errors import CannotServe, InvalidInput, shown

QUALITIES = {"low": "audio-low", "full": "audio"}  # mono MP3 of variable bit rate, 46 GB; MP3 of 320 kbit/s, 152 GB

_SUBSET = "autotagging_moodtheme"
_ROW = re.compile(r"track_(\d{7})\tartist_\d+\talbum_\d+\t(\d\d/\d+)\.mp3\t(\d+(?:\.\d+)?)((?:\t[\w/]+---\w+)+)")
_CHECKSUM = re.compile(r"([0-9a-f]{64}) (\S+)")
_LICENCE = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_LARGEST_TRACK = 500_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Site:
    """Where the data set is published: the repository at one commit, and servers of the archives, the fastest first."""

    metadata: str
    archives: tuple[str, ...]
    blobs: Mapping[str, str]  # what git calls the content of each file of the repository that is read


SITE = Site(
    metadata="https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset/1b4fa8c32e076c73b5175c1703ae805b4109309d",
    archives=(
        "https://cdn.freesound.org/mtg-jamendo",
        "https://essentia.upf.edu/documentation/datasets/mtg-jamendo",
    ),
    blobs={
        "audio_licenses.txt": "0672e1840650a4e1352dfe9ab487f67de8954171",
        "data/download/autotagging_moodtheme_audio-low_sha256_tars.txt": "732d606290d37efe09293c8181f90f41cc7802c0",
        "data/download/autotagging_moodtheme_audio-low_sha256_tracks.txt": "1587b36a19b686d21b7312acf700aaf06b0aac17",
        "data/download/autotagging_moodtheme_audio_sha256_tars.txt": "5e5f05fa53b95e9a359cd8dba5a96e2e8e167e96",
        "data/download/autotagging_moodtheme_audio_sha256_tracks.txt": "1b59a5056b9b9380b24660e21bf5e3f9a0538c6e",
        "data/splits/split-0/autotagging-test.tsv": "6a14702bb012bfef3870323ca156390803f5db2f",
        "data/splits/split-0/autotagging-train.tsv": "95f6147112b8ce3f1e42e27bf30f051e758d5b99",
        "data/splits/split-0/autotagging-validation.tsv": "f11c65500e63eb8a63c775f470071db9ecc12360",
        "data/splits/split-1/autotagging-test.tsv": "70ceb719f0242e322b45ed545796875651038000",
        "data/splits/split-1/autotagging-train.tsv": "db1fcdf764f1bbe80ba4e06087be3fad1593f5cb",
        "data/splits/split-1/autotagging-validation.tsv": "8b611c494648ea3f20a102f8f629a31a1bbca745",
        "data/splits/split-2/autotagging-test.tsv": "18c4ce8523e23ce28743712f555665bd28cf95f6",
        "data/splits/split-2/autotagging-train.tsv": "503f2de6c3981985e069c61ba4b8c62912eb20ed",
        "data/splits/split-2/autotagging-validation.tsv": "d8df5b01b92727e8bd04c9aeb80a2c8d7f62298b",
        "data/splits/split-3/autotagging-test.tsv": "e14a58d26998e79ecea065ff4816973a375f93df",
        "data/splits/split-3/autotagging-train.tsv": "d7a08ec6ac616044dca03db81657007fa159eaf3",
        "data/splits/split-3/autotagging-validation.tsv": "589342974050ef49178947da9ab2baa6186e49ad",
        "data/splits/split-4/autotagging-test.tsv": "87682c0a1c82118afcd649ef056c7c30cfdf4aae",
        "data/splits/split-4/autotagging-train.tsv": "5d46c41390d364e186d8ea4a39fe74f9d3a6624d",
        "data/splits/split-4/autotagging-validation.tsv": "fbb407a3ca215640429c82341865d6215d7b60f3",
    },
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the metadata say: the tracks with a mood or theme, and the SHA-256 of archives and of sound files."""

    quality: str
    tracks: tuple[Track, ...]
    archives: Mapping[str, str]  # by the name of the archive
    sounds: Mapping[str, str]  # by the path in it


def fetch_catalogue(site: Site, folder: Path, quality: str, split: int, advance: Advance) -> Catalogue:
    """Fetch the metadata (about 15 MB) into `folder`, where they are not there yet, and read them.

    Raises what `download.fetch` does, and `InvalidInput` where they are not as they are known.
    """
    checksums = f"data/download/{_SUBSET}_{QUALITIES[quality]}_sha256"
    splits = {name: f"data/splits/split-{split}/autotagging-{name}.tsv" for name in SPLITS}
    names = (*splits.values(), "audio_licenses.txt", f"{checksums}_tars.txt", f"{checksums}_tracks.txt")
    for name in names:
        path = folder / name
        if not path.exists() or git_blob_of(path) != site.blobs[name]:
            fetch([f"{site.metadata}/{name}"], path, site.blobs[name], git_blob_of, advance)
    licences = _read_licences(folder / "audio_licenses.txt")
    tracks = [track for name, path in splits.items() for track in _read_split(folder / path, name, quality, licences)]
    return Catalogue(quality, tuple(tracks), _read_checksums(folder / names[-2]), _read_checksums(folder / names[-1]))


def archive_sizes(site: Site, catalogue: Catalogue, numbers: Iterable[str]) -> dict[str, int | None]:
    """The bytes of each of these archives, by asking for them; None where nobody says."""
    return {number: size_of(_archive_urls(site, catalogue.quality, number)) for number in numbers}


def fetch_sounds(
    site: Site, catalogue: Catalogue, tracks: Sequence[Track], folder: Path, advance: Advance
) -> dict[str, str]:
    """Fetch the archives that hold `tracks`, one after the other, and keep those tracks of them in `folder`.

    What is there already is not fetched again; an archive is removed when its tracks are out. Returns the tracks that
    could not be had, by their path, and why. Raises what `download.fetch` does.
    """
    missing: dict[str, list[Track]] = {}
    for track in tracks:
        if not (folder / track.path).exists():
            missing.setdefault(archive_of(track), []).append(track)
    lost: dict[str, str] = {}
    for number, wanted in sorted(missing.items()):
        name = _archive_name(catalogue.quality, number)
        if name not in catalogue.archives:
            raise InvalidInput(f"{name} has no checksum in the metadata of MTG-Jamendo; remove {folder} and try again")
        archive = folder / name
        if not archive.exists():
            fetch(_archive_urls(site, catalogue.quality, number), archive, catalogue.archives[name], sha256_of, advance)
        lost |= _unpack(archive, {track.path: catalogue.sounds.get(track.path, "") for track in wanted}, folder)
        archive.unlink()
    return lost


def _archive_name(quality: str, number: str) -> str:
    return f"{_SUBSET}_{QUALITIES[quality]}-{number}.tar"


def _archive_urls(site: Site, quality: str, number: str) -> list[str]:
    name = _archive_name(quality, number)
    return [f"{server}/{_SUBSET}/{QUALITIES[quality]}/{name}" for server in site.archives]


def _unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Keep the wanted members, whose SHA-256 are given, under those names; nothing else of the archive is written."""
    lost = dict.fromkeys(wanted, "is not in its archive")
    try:
        with tarfile.open(archive, "r:") as members:
            for member in members:
                name = member.name.removeprefix("./")
                content = members.extractfile(member) if name in wanted and member.isreg() else None
                if content is None or member.size > _LARGEST_TRACK:
                    continue
                lost.pop(name, None)
                sound = content.read()
                if hashlib.sha256(sound).hexdigest() == wanted[name]:
                    _keep(sound, folder / name)
                else:
                    lost[name] = "has another checksum than its publisher's"
    except tarfile.TarError as fault:
        raise InvalidInput(f"{archive} is no archive ({fault}); remove it and try again") from fault
    return lost


def _keep(sound: bytes, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(sound)
        partial.replace(path)
    except OSError as fault:
        raise CannotServe(
            f"{path} cannot be written ({fault.strerror or fault}); what is there is whole: make room and run the same "
            "command again"
        ) from fault


def _read_split(path: Path, split: str, quality: str, licences: Mapping[str, tuple[str, str]]) -> Iterator[Track]:
    """The tracks of a table that have a mood or theme."""
    suffix = ".low.mp3" if quality == "low" else ".mp3"
    for number, place, seconds, tagged in _rows(path, _ROW, skipped_lines=1):
        tags = [tag.partition("---") for tag in tagged.split("\t")[1:]]
        of_kind = {
            kind: [name for found, _, name in tags if found == kind] for kind in ("mood/theme", "instrument", "genre")
        }
        if not of_kind["mood/theme"]:
            continue
        licence, credit = licences.get(f"{place}.mp3", ("", ""))
        yield Track(
            id=f"track_{number}",
            path=f"{place}{suffix}",
            split=split,
            emotion=emotion_of(of_kind["mood/theme"]),
            moods=_spelled(of_kind["mood/theme"], MOODS),
            instruments=_spelled(of_kind["instrument"], INSTRUMENTS),
            genres=_spelled(of_kind["genre"], GENRES),
            licence=licence,
            credit=credit,
            seconds=float(seconds),
        )


def _spelled(tags: Iterable[str], spelling: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(spelling.get(tag, tag) for tag in tags)


def _read_checksums(path: Path) -> dict[str, str]:
    return {name: checksum for checksum, name in _rows(path, _CHECKSUM)}


def _rows(path: Path, pattern: re.Pattern[str], skipped_lines: int = 0) -> Iterator[tuple[str, ...]]:
    """The groups of each line. Raises `InvalidInput` for one that is not as it should be."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if number <= skipped_lines:
            continue
        found = pattern.fullmatch(line.rstrip())
        if found is None:
            raise InvalidInput(f"{path}, line {number}: {shown(line)} is not as in MTG-Jamendo; remove the file")
        yield found.groups()


def _read_licences(path: Path) -> dict[str, tuple[str, str]]:
    """By a track's path, its licence and whom to name: three lines a track, which are path, credit and licence."""
    found = {}
    for entry in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        lines = entry.strip().splitlines()
        if len(lines) == 3 and (licence := licence_of(lines[2])):
            found[lines[0].strip()] = (licence, lines[1].strip())
    return found


def licence_of(text: str) -> str:
    """A Creative Commons licence as people name it, such as `CC BY-NC-SA 3.0`, from its address in a text; else ""."""
    found = _LICENCE.search(text)
    return f"CC {found[1].upper()} {found[2]}" if found else ""
