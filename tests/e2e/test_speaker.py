"""The sound card of `play --speaker`: a real stream, through PortAudio and ALSA, into a card that is recorded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.browser import wait_for
from tests.e2e.sound import Recording, level_dbfs, longest_gap_s

# The default card of ALSA, led to PulseAudio by Debian's libasound2-plugins.
ALSA_TO_PULSE = """
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def test_a_session_plays_on_the_speaker_and_ends_on_ctrl_c(
    sound_card: dict[str, str], heard: Recording, tmp_path: Path
) -> None:
    configuration = tmp_path / "asound.conf"
    configuration.write_text(ALSA_TO_PULSE)
    command = [sys.executable, "-m", "musicmed_live", "play", "--speaker", "--port", "0"]
    command += ["--start", "happy", "--goal", "calm", "--minutes", "5", "--seed", "3"]
    environment = {**sound_card, "ALSA_CONFIG_PATH": str(configuration), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as player:
        try:
            assert player.stdout is not None
            assert "Steer it at http://127.0.0.1:" in player.stdout.readline()
            wait_for(lambda: level_dbfs(heard.next(0.2)) > -50, "music on the card", 20)
            music = heard.next(5)
            assert level_dbfs(music) > -45
            assert longest_gap_s(music, -60) < 0.3
        finally:
            player.send_signal(signal.SIGINT)
            player.wait(timeout=20)
        assert player.stderr is not None
        assert "Traceback" not in player.stderr.read()


def test_without_a_sound_card_it_says_so_in_one_line(tmp_path: Path) -> None:
    configuration = tmp_path / "asound.conf"
    configuration.write_text("pcm.!default { type none }\n")
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(configuration), "PULSE_SERVER": "unix:/nowhere"}
    command = [sys.executable, "-m", "musicmed_live", "play", "--speaker", "--port", "0"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("musicmed-live: sound card: ")
    assert "Traceback" not in refused.stderr
