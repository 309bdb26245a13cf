"""A data set from sound files to shards, by the command, with music that the composer makes."""

import argparse
import io
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models import prepare
from models.commands.prepare import add_parser
from models.destination import claimed
from models.folder import read_table
from models.preparation import CREDITS
from models.segments import cut, read_mono
from models.shards import each_segment, open_split, read_prepared
from models.tags import emotion_of
from models.tokens import Mono, SoundEncoder, codec_of, fastest_type
from models.tracks import Wanted
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, frames_of
from musicmed_live.errors import CannotServe, MusicmedError
from musicmed_live.musicgen.weights import open_checkpoint
from tests.models import jamendo_site
from tests.models.jamendo_site import Published
from tests.musicgen import tiny

SECONDS = 12.0  # of each piece: one segment


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint. Not to be changed."""
    return tiny.write_hf(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Music of the composer, stereo at 48 kHz, and beside it all that may lie in a folder. Not to be changed."""
    folder = tmp_path_factory.mktemp("music")
    composer = ComposerGenerator()
    for name, emotion in (("calm", Emotion(0.6, -0.6)), ("angry", Emotion(-0.6, 0.7))):
        request = ClipRequest(0, frames_of(SECONDS), emotion, emotion)
        blocks = composer.open_voice(seed=5).compose(request)
        soundfile.write(folder / f"{name}.flac", np.concatenate([block.samples for block in blocks]), SAMPLE_RATE)
    soundfile.write(folder / "short.wav", np.full(3 * SAMPLE_RATE, 0.1), SAMPLE_RATE)
    soundfile.write(folder / "silent.wav", np.zeros(40 * 16_000), 16_000)
    (folder / "broken.mp3").write_bytes(b"ID3 and nothing else")
    return folder


def table(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def command(*arguments: object) -> None:
    """`musicmed-live models prepare` with these arguments."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    options = parser.parse_args(["prepare", *map(str, arguments)])
    options.run(options)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says."""
    capsys.readouterr()
    command(*arguments)
    return capsys.readouterr().out


def refused(*arguments: object) -> str:
    """The sentence with which the command refuses."""
    with pytest.raises(MusicmedError) as fault:
        command(*arguments)
    return str(fault.value)


def test_a_folder_with_points_of_the_plane_becomes_shards(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = table(
        tmp_path,
        "path,valence,arousal,split,instruments,genres,licence",
        'calm.flac,0.6,-0.6,train,"piano, strings",classical,CC0',
        "angry.flac,-0.6,0.7,train,,,",
        "short.wav,0,0,train,,,",
        "silent.wav,0,0,validation,,,",
        "broken.mp3,0,0,train,,,",
        "nowhere.wav,0,0,test,,,",
    )
    out = tmp_path / "out"
    said = run(capsys, music, "--csv", described, "--model", model, "--out", out, "--processes", 1)

    found = list(each_segment(open_split(out, "train")))
    assert [one.track for one in found] == ["angry.flac", "calm.flac"]
    assert all(500 <= one.codes.shape[1] <= 600 for one in found)
    calm = found[1]
    assert (calm.valence, calm.arousal, calm.instruments, calm.licence) == (0.6, -0.6, ("piano", "strings"), "CC0")
    assert any("classical music" in text and "piano" in text for text in calm.captions)
    prepared = read_prepared(out)
    assert prepared.complete
    assert prepared.codec == codec_of(open_checkpoint(model).codec())
    assert prepared.splits["train"].quadrants == {"unpleasant-aroused": 1, "pleasant-calm": 1}
    assert "4 files cannot be used:" in said
    assert "short.wav lasts 3.0 s without silence at its ends, less than 10" in said
    assert "silent.wav is silent" in said
    assert "nowhere.wav is not there" in said
    assert "broken.mp3 cannot be read" in said
    assert "unpleasant-aroused 50%" in said


def test_tags_tell_the_emotion_where_no_point_does(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = table(tmp_path, "path,tags,split", 'calm.flac,"Calm, soft",train', "angry.flac,no such mood,train")
    run(capsys, music, "--csv", described, "--model", model, "--out", tmp_path / "out", "--processes", 1)

    angry, calm = each_segment(open_split(tmp_path / "out", "train"))
    expected = emotion_of(["calm", "soft"])
    assert expected is not None
    assert (calm.valence, calm.arousal) == (expected.valence, expected.arousal)
    assert calm.moods == ("calm", "soft")
    assert (angry.valence, angry.arousal) == (None, None)


def test_the_tokens_are_those_of_the_sound(model: Path, music: Path, tmp_path: Path) -> None:
    described = table(tmp_path, "path,tags,split", "calm.flac,calm,train")
    command(music, "--csv", described, "--model", model, "--out", tmp_path / "out", "--processes", 1)
    first = next(each_segment(open_split(tmp_path / "out", "train")))

    cpu = torch.device("cpu")
    encoder = SoundEncoder(open_checkpoint(model).codec(), cpu, fastest_type(cpu))
    sound = cut(read_mono(music / "calm.flac"), 1)[0].sound
    assert np.mean(first.codes == encoder.encode([sound])[0]) > 0.99


def test_what_was_ended_goes_on_and_loses_no_shard(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "SHARD_SEGMENTS", 1)  # a shard for each file
    described = table(
        tmp_path, "path,tags,split", "angry.flac,dark,train", "calm.flac,calm,train", "short.wav,calm,train"
    )
    arguments = (music, "--csv", described, "--model", model, "--out", tmp_path / "out", "--processes", 1)
    read: list[str] = []

    def stopped(path: Path) -> Mono:
        read.append(path.name)
        if path.name == "calm.flac" and len(read) == 2:
            raise KeyboardInterrupt
        return read_mono(path)

    monkeypatch.setattr(prepare, "read_mono", stopped)
    with pytest.raises(KeyboardInterrupt):
        command(*arguments)
    assert len(open_split(tmp_path / "out", "train")) == 1
    assert not read_prepared(tmp_path / "out").complete

    run(capsys, *arguments)
    assert read == ["angry.flac", "calm.flac", "calm.flac", "short.wav"]
    assert read_prepared(tmp_path / "out").complete

    run(capsys, *arguments)
    assert len(read) == 4  # nothing is left to do
    described.write_text(described.read_text().replace("dark", "happy"))
    assert "begun with other settings (tracks_sha256)" in refused(*arguments)


def test_several_processes_give_what_one_gives(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_BATCH_SEGMENTS", 1)
    described = table(
        tmp_path, "path,tags,split", "angry.flac,dark,train", "calm.flac,calm,train", "short.wav,calm,train"
    )
    found = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        run(capsys, music, "--csv", described, "--model", model, "--out", out, "--processes", processes)
        found.append(list(each_segment(open_split(out, "train"))))
    assert [one.id for one in found[0]] == [one.id for one in found[1]]
    assert all(np.mean(one.codes == two.codes) > 0.99 for one, two in zip(*found, strict=True))


def test_a_process_that_dies_is_said(model: Path, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(ThreadPoolExecutor):
        def map(self, *_arguments: object, **_settings: object) -> Iterator[None]:  # type: ignore[override]
            raise BrokenProcessPool

    @contextmanager
    def workers(*_settings: object) -> Iterator[Executor]:
        yield Dying(1)

    monkeypatch.setattr(prepare, "_workers", workers)
    selected = prepare_selection(music, tmp_path)
    with pytest.raises(CannotServe, match=r"was ended, most likely for want of memory.*with fewer --processes"):
        prepare.prepare(selected, music, model, tmp_path / "out", {}, prepare.Machine("cpu", 2))


def prepare_selection(music: Path, folder: Path) -> tuple[Wanted, ...]:
    return read_table(table(folder, "path,tags", "calm.flac,calm"), music)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file,mood", "a.wav,calm"], "has no column path and valence and arousal (or tags); it has: file, mood"),
        (["path,valence", "a.wav,0"], "has no column arousal (or tags); it has: path, valence"),
        (["path,tags"], "names no file"),
        (["path,tags", "../a.wav,calm"], 'line 2: path is "../a.wav", not a file in'),
        (["path,tags", ",calm"], 'line 2: path is "", not a file in'),
        (["path,valence,arousal", "a.wav,0,1.5"], "line 2: arousal: 1.5 is not a number from -1 to 1"),
        (["path,valence,arousal", "a.wav,nan,0"], "line 2: valence: NaN is not a number from -1 to 1"),
        (["path,valence,arousal", "a.wav,high,0"], 'line 2: valence and arousal are ["high", "0"], not two numbers'),
        (["path,valence,arousal", "a.wav,0.5,"], 'line 2: valence and arousal are ["0.5", ""], not two numbers'),
        (["path,tags,split", "a.wav,calm,dev"], 'line 2: split is "dev"; it is one of train, validation, test'),
        (["path,tags", "a.wav,calm,soft"], "line 2 has more cells than there are columns"),
        (["path,tags", "a.wav,calm", "a.wav,dark"], 'line 3: path is "a.wav", the file of line 2; leave one'),
        (["path,tags", "a.wav,calm", "./b/../a.wav,dark"], 'line 3: path is "./b/../a.wav", the file of line 2'),
        (["path,tags", "a.wav,calm", "{folder}/a.wav,dark"], "the file of line 2; leave one"),
        (["path,tags", ".,calm"], 'line 2: path is ".", not a file in'),
        (["path,tags", "a\0.wav,calm"], 'line 2: path is "a\\u0000.wav", which cannot be a file (embedded null byte)'),
        (["path,tags", f"{'a' * 5000},calm"], "which cannot be a file (File name too long)"),
        (["path;tags", "a.wav;calm"], "use commas, not semicolons"),
        (["Path,tags", "a.wav,calm"], "has a column Path; names are in lower case: path"),
        (["path,tags,SPLIT", "a.wav,calm,test"], "has a column SPLIT; names are in lower case: split"),
        (["path,tags,tags", "a.wav,calm,dark"], "has 2 columns tags; leave one of them"),
        (["path,valence,arousal", "a.wav,0,0", "b.wav"], "line 3 has 1 of 3 cells"),
        (["path,valence,arousal", "a.wav,,"], "line 2 says neither valence and arousal nor tags"),
        (["path,tags", 'a.wav,"calm', "b.wav,calm"], "line 3: unexpected end of data; is there a quote too many?"),
        (["path,tags", f"a.wav,{'calm,' * 40_000}"], "line 2 has more cells than there are columns"),
        (["path,tags", f"a.wav,{'calm' * 40_000}"], "line 2: field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_line(
    lines: list[str], said: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = table(tmp_path, *(line.replace("{folder}", str(tmp_path)) for line in lines))
    assert said in refused(tmp_path, "--csv", described, "--model", model, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_none_says_what_it_is(model: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes("path,tags\nGrün.wav,calm\n".encode("latin-1"))
    for given, said in (
        (tmp_path / "nowhere.csv", "cannot be read (No such file or directory)"),
        (tmp_path, "cannot be read (Is a directory)"),
        (foreign, "is not text in UTF-8; save it as a CSV in UTF-8"),
    ):
        assert said in refused(tmp_path, "--csv", given, "--model", model, "--out", tmp_path / "out")


def test_blanks_after_commas_and_the_spelling_of_a_path_do_not_matter(tmp_path: Path) -> None:
    described = table(tmp_path, "path, valence, arousal, tags", './b/../a.wav, 0.5, -0.5, "calm, soft"', "")
    (wanted,) = read_table(described, tmp_path)
    assert (wanted.track.path, wanted.track.emotion) == ("a.wav", Emotion(0.5, -0.5))
    assert wanted.track.moods == ("calm", "soft")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jamendo", "--hours", "0"], "--hours: 0.0 is not more than 0"),
        (["jamendo", "--csv", "x.csv"], "--csv is for a folder"),
        (["jamendo", "--processes", "0"], "--processes: 0 is not from 1 to 256"),
        (["nowhere"], "nowhere is neither jamendo nor a folder"),
        ([".", "--csv", "x.csv", "--hours", "2"], "--hours is for jamendo; of a folder, the table says what is taken"),
        ([".", "--csv", "x.csv", "--split", "0"], "--split is for jamendo"),
        ([".", "--csv", "x.csv", "--licence", "by"], "--licence is for jamendo"),
        (["a" * 5000], "is neither jamendo nor a folder"),
        (["."], ". needs a table of what is in it: give --csv FILE"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(*arguments, "--model", "small", "--out", "out")


def test_the_model_is_looked_at_before_a_table_or_a_download(tmp_path: Path) -> None:
    for source in (["jamendo"], [tmp_path, "--csv", tmp_path / "nowhere.csv"]):
        line = refused(*source, "--model", tmp_path / "none", "--out", tmp_path / "out")
        assert "is neither a directory nor the name of a model" in line
    assert not (tmp_path / "out").exists()


def test_a_destination_that_cannot_be_one(model: Path, music: Path, tmp_path: Path) -> None:
    described = table(tmp_path, "path,tags", "calm.flac,calm")
    for out, said in (
        (described, "table.csv is a file; give a folder as --out"),
        (described / "below", "table.csv is a file, so "),
        (model, "is the folder of a model; give another --out"),
        (music, "is the folder of the sounds; give another --out, such as "),
    ):
        assert said in refused(music, "--csv", described, "--model", model, "--out", out)


def test_one_folder_is_prepared_by_one_at_a_time(model: Path, music: Path, tmp_path: Path) -> None:
    described = table(tmp_path, "path,tags", "calm.flac,calm")
    with claimed(tmp_path / "out", "preparation"):
        line = refused(music, "--csv", described, "--model", model, "--out", tmp_path / "out")
    assert "another preparation is at work in" in line


def test_a_dry_run_of_a_folder_measures_its_files(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ("calm.flac,calm,train", "short.wav,dark,train", "nowhere.wav,dark,train")
    described = table(tmp_path, "path,tags,split", *lines)
    out = tmp_path / "out"
    said = run(capsys, music, "--csv", described, "--model", model, "--out", out, "--dry-run")
    assert "train           1 track, about 0.0 h: pleasant-calm 100%" in said
    assert "short.wav lasts 3.0 s, less than 10" in said
    assert "nowhere.wav is not there" in said
    assert "nothing is in the split validation, which training needs" in said
    assert not out.exists()


def test_a_gpu_that_is_not_there_and_packages_that_are_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (tmp_path, "--csv", table(tmp_path, "path,tags"), "--model", model, "--out", tmp_path / "out")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch finds no GPU here; use --device cpu" in refused(*arguments, "--device", "cuda")
    monkeypatch.setattr("models.commands.packages.find_spec", lambda name: None if name == "pyarrow" else name)
    assert "preparing needs pyarrow: pip install 'musicmed-live[training]'" in refused(*arguments)


def test_files_without_a_split_are_shared_out(tmp_path: Path) -> None:
    lines = [f"{number}.wav,calm" for number in range(400)]
    splits = [wanted.track.split for wanted in read_table(table(tmp_path, "path,tags", *lines), tmp_path)]
    assert 290 < splits.count("train") < 350
    assert min(splits.count("validation"), splits.count("test")) > 20


def mp3(music: Path, name: str) -> bytes:
    samples, rate = soundfile.read(music / f"{name}.flac")
    packed = io.BytesIO()
    soundfile.write(packed, samples.mean(axis=1), rate, format="MP3")
    return packed.getvalue()


@pytest.fixture(scope="module")
def published(music: Path) -> tuple[Published, ...]:
    """Two tracks for training, one each for the other splits."""
    calm, angry = mp3(music, "calm"), mp3(music, "angry")
    return (
        Published(1007, "train", ("instrument---piano", "mood/theme---calm"), calm, SECONDS),
        Published(1008, "train", ("genre---metal", "mood/theme---heavy"), angry, SECONDS),
        Published(1107, "validation", ("mood/theme---calm",), calm, SECONDS, "by/3.0"),
        Published(1108, "test", ("mood/theme---heavy",), b"no MP3 at all", SECONDS, "by/3.0"),
    )


def test_jamendo_from_the_server_to_shards(
    model: Path,
    published: tuple[Published, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with jamendo_site.serve(published) as server:
        monkeypatch.setattr("models.preparation.jamendo.SITE", server.site)
        arguments = ("jamendo", "--model", model, "--out", tmp_path, "--processes", 1)
        planned = run(capsys, *arguments, "--dry-run")
        assert not server.of_archives()
        said = run(capsys, *arguments)

    assert "train           2 tracks, about 0.0 h: pleasant-calm 50%, unpleasant-aroused 50%" in planned.replace(
        "unpleasant-aroused 50%, pleasant-calm 50%", "pleasant-calm 50%, unpleasant-aroused 50%"
    )
    assert "licences:  CC BY-NC-SA 3.0 (2), CC BY 3.0 (2)" in planned
    assert "to download: 0.0 GB" in planned
    assert "08/1108.low.mp3 cannot be read" in said
    calm = next(one for one in each_segment(open_split(tmp_path, "train")) if one.track == "track_0001007")
    assert (calm.moods, calm.instruments, calm.licence) == (("calm",), ("piano",), "CC BY-NC-SA 3.0")
    assert read_prepared(tmp_path).splits["train"].quadrants == {"pleasant-calm": 1, "unpleasant-aroused": 1}
    credits_of = [line.split("\t") for line in (tmp_path / CREDITS).read_text(encoding="utf-8").splitlines()]
    assert [
        "track_0001107",
        "CC BY 3.0",
        "Tune 1107 by Somebody from Jamendo: http://www.jamendo.com/track/1107",
    ] in credits_of


def test_licences_can_be_chosen(
    model: Path,
    published: tuple[Published, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with jamendo_site.serve(published) as server:
        monkeypatch.setattr("models.preparation.jamendo.SITE", server.site)
        arguments = ("jamendo", "--model", model, "--out", tmp_path, "--dry-run", "--licence")
        assert "licences:  CC BY 3.0 (2)\n" in run(capsys, *arguments, "by")
        assert "no track has one of these licences" in refused(*arguments, "by-nd")


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    model: Path,
    published: tuple[Published, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with jamendo_site.serve(published) as server:
        monkeypatch.setattr("models.preparation.jamendo.SITE", server.site)
        monkeypatch.setattr("models.preparation._free", lambda _out: 1000)
        line = refused("jamendo", "--model", model, "--out", tmp_path)
        assert not server.of_archives()
    assert "take fewer --hours" in line
