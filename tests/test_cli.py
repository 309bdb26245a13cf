"""The command line, as somebody types it: what it writes, and one line where something is wrong."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from musicmed_live import __version__
from musicmed_live.cli import main
from musicmed_live.service import generators

CLIP_FRAMES = 30 * 48_000
RENDER = ("--start", "anxious", "--goal", "calm", "--minutes", "0.75", "--seed", "7")


@dataclass(frozen=True)
class Rendering:
    """What `render` wrote."""

    audio: Path
    report: dict[str, Any]
    said: str


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "musicmed_live", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the command says on stderr before it exits with 2."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    said = capsys.readouterr()
    assert left.value.code == 2
    assert said.err.count("\n") == 1
    assert said.err.startswith("musicmed-live: ")
    assert "Traceback" not in said.err
    return said.err


@pytest.fixture(scope="session")
def rendering(tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    """Three quarters of a minute, rendered once by the command itself."""
    folder = tmp_path_factory.mktemp("rendering")
    done = run("render", str(folder / "a.wav"), "--report", str(folder / "a.json"), *RENDER)
    assert done.returncode == 0, done.stderr
    return Rendering(folder / "a.wav", json.loads((folder / "a.json").read_text()), done.stdout)


def test_render_writes_a_session_of_exactly_its_length(rendering: Rendering) -> None:
    written = soundfile.info(rendering.audio)
    assert (written.samplerate, written.channels, written.subtype) == (48_000, 2, "PCM_24")
    assert written.frames == 45 * 48_000
    assert "seed 7" in rendering.said


def test_a_rendering_sounds_and_ends_in_silence(rendering: Rendering) -> None:
    samples, _ = soundfile.read(rendering.audio, dtype="float32")
    assert 0.02 < np.sqrt((samples**2).mean()) < 0.3
    assert np.abs(samples).max() < 0.9
    assert np.abs(samples[-100:]).max() < 1e-3


def test_the_report_has_exactly_its_keys(rendering: Rendering) -> None:
    assert list(rendering.report) == ["seed", "sample_rate", "max_step", "clips"]
    assert (rendering.report["seed"], rendering.report["sample_rate"]) == (7, 48_000)
    assert rendering.report["max_step"] == 0.2
    for clip in rendering.report["clips"]:
        assert list(clip) == [
            *("position", "frames", "emotion", "bars", "tempo_bpm", "key", "instruments", "heard"),
            *("loudness_lufs", "true_peak_dbtp"),
        ]
        assert list(clip["emotion"]) == ["valence", "arousal"]


def test_the_report_describes_the_clips_that_were_written(rendering: Rendering) -> None:
    clips = rendering.report["clips"]
    assert clips[0]["position"] == 0
    for before, after in pairwise(clips):
        assert after["position"] == before["position"] + before["frames"]
    assert clips[-1]["position"] + clips[-1]["frames"] == 45 * 48_000
    for clip in clips:
        assert clip["frames"] <= CLIP_FRAMES * 3 // 2
        assert clip["bars"] > 0
        assert 40 < clip["tempo_bpm"] < 160
        assert clip["key"]
        assert clip["instruments"] == sorted(clip["instruments"]) != []
        assert -40 < clip["loudness_lufs"] < -15
        assert clip["true_peak_dbtp"] <= -1.0


def test_the_report_measures_what_was_written(rendering: Rendering) -> None:
    samples, _ = soundfile.read(rendering.audio, dtype="float32")
    for clip in rendering.report["clips"]:
        written = samples[clip["position"] : clip["position"] + clip["frames"]]
        peak_dbfs = 20 * np.log10(np.abs(written).max())
        assert peak_dbfs - 0.1 <= clip["true_peak_dbtp"] <= peak_dbfs + 3


def test_the_same_seed_gives_the_same_bytes(rendering: Rendering, tmp_path: Path) -> None:
    main(["render", str(tmp_path / "b.wav"), *RENDER])
    assert (tmp_path / "b.wav").read_bytes() == rendering.audio.read_bytes()


def test_flac_holds_the_same_samples_and_another_seed_other_ones(rendering: Rendering, tmp_path: Path) -> None:
    main(["render", str(tmp_path / "b.FLAC"), *RENDER])
    expected, _ = soundfile.read(rendering.audio, dtype="int32")
    last_bit = 1 << 8  # of 24 in 32; the two formats round differently
    assert np.abs(soundfile.read(tmp_path / "b.FLAC", dtype="int32")[0] - expected).max() <= last_bit
    main(["render", str(tmp_path / "c.wav"), *RENDER[:-1], "8"])
    assert not np.array_equal(soundfile.read(tmp_path / "c.wav", dtype="int32")[0], expected)


def test_a_start_that_is_the_goal_gives_constant_emotion(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    point = ("--start=-0.6,0.6", "--goal=-0.6,0.6", "--minutes", "0.75")
    main(["render", str(tmp_path / "a.wav"), "--report", str(report), *point])
    clips = json.loads(report.read_text())["clips"]
    assert len(clips) > 1
    assert {tuple(clip["emotion"].values()) for clip in clips} == {(-0.6, 0.6)}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--goal", "grumpy"], ["--goal", "'grumpy'", "calm"]),
        (["--start", "grumpy"], ["--start", "'grumpy'", "anxious"]),
        (["--start=-0.6,1.6"], ["--start.arousal", "1.6", "from -1 to 1"]),
        (["--start=nan,0"], ["--start.valence", "NaN"]),
        (["--goal=0.1,0.2,0.3"], ["--goal", "'0.1,0.2,0.3'"]),
        (["--goal="], ["--goal", "''"]),
        (["--minutes", "soon"], ["--minutes", "'soon'"]),
        (["--minutes", "0.1"], ["0.1", "0.5", "240"]),
        (["--minutes=-3"], ["-3"]),
        (["--minutes", "nan"], ["NaN"]),
        (["--minutes", "inf"], ["Infinity"]),
        (["--seed=-1"], ["--seed", "'-1'"]),
        (["--seed", "1.5"], ["--seed", "'1.5'"]),
        (["--seed", "²"], ["--seed", "'²'"]),
        (["--seed", str(2**63)], ["--seed", str(2**63)]),
        (["--seed", 5000 * "9"], ["--seed", 60 * "9"]),
        (["--generator", "orchestra"], ["--generator", "'orchestra'", "composer", "musicgen"]),
        (["--generator", "musicgen"], ["--generator musicgen", "--model"]),
        (["--model", "somewhere"], ["--model", "--generator musicgen"]),
        (["--adapter", "calm=somewhere"], ["--adapter", "--generator musicgen"]),
        (["--device", "cuda"], ["--device", "--generator musicgen"]),
        (["--generator", "musicgen", "--model", "x", "--device", "tpu"], ["--device", "'tpu'", "auto, cpu, cuda"]),
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], named: list[str]
) -> None:
    out = tmp_path / "a.wav"
    said = refused(capsys, "render", str(out), *arguments)
    assert all(word in said for word in named)
    assert not out.exists()


def test_musicgen_without_its_packages_is_refused_with_the_command_that_installs_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "missing_for_musicgen", lambda: ["torch", "soxr"])
    said = refused(capsys, "play", "--generator", "musicgen", "--model", "somewhere")
    assert "torch, soxr" in said
    assert "pip install 'musicmed-live[musicgen]'" in said


@pytest.mark.parametrize("out", ["a.mp3", "a", "wav"])
def test_an_unknown_file_type_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, out: str) -> None:
    said = refused(capsys, "render", str(tmp_path / out), "--minutes", "0.5")
    assert repr(out) in said
    assert ".wav, .flac" in said


def test_a_folder_that_does_not_exist_is_refused_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "a.wav"
    assert str(out) in refused(capsys, "render", str(out), "--minutes", "0.5")


def test_an_output_that_cannot_be_written_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    out.mkdir()
    assert str(out) in refused(capsys, "render", str(out), "--minutes", "0.5")


def test_a_report_that_cannot_be_written_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "nowhere" / "r.json"
    said = refused(capsys, "render", str(tmp_path / "a.wav"), "--report", str(report), "--minutes", "0.5")
    assert str(report) in said


@pytest.fixture
def port_in_use() -> Iterator[int]:
    """A port on loopback that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.mark.parametrize("command", ["serve", "play"])
def test_a_port_in_use_is_refused(capsys: pytest.CaptureFixture[str], command: str, port_in_use: int) -> None:
    said = refused(capsys, command, "--port", str(port_in_use))
    assert f"port {port_in_use}" in said
    assert "--port" in said


@pytest.mark.parametrize("port", ["65536", "-1", "http", "80.5", ""])
def test_a_bad_port_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert repr(port) in refused(capsys, "serve", f"--port={port}")


def test_a_refusal_leaves_the_process_with_2_and_one_line() -> None:
    done = run("render", "a.wav", "--goal", "grumpy")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("musicmed-live: --goal: unknown mood word 'grumpy'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["dance"], "'dance'"),
        (["render"], "out"),
        (["serve", "--loud"], "--loud"),
        (["play", "--start", "-0.6,0.6"], "--start=-0.6,0.6"),
    ],
)
def test_what_is_no_command_is_answered_with_the_way_to_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    said = refused(capsys, *arguments)
    assert named in said
    assert "--help" in said


def test_doctor_says_what_was_found_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok ", "missing ")) for line in lines)
    for part in ("generator composer", "generator musicgen", "sound card", "GPU", "browser", "MQTT broker"):
        assert sum(f"  {part}: " in line for line in lines) == 1
    assert any(line.startswith("ok ") and "composer" in line for line in lines)


def test_it_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.strip() == __version__
