"""A session on the wire: what is sent, and what is then heard, by position."""

import asyncio
from pathlib import Path

import av
import httpx
import numpy as np
import psutil
import soundfile

from benchmarks.listener import Listener, Message, join, open_session
from musicmed_live import cli
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.service.profiles import default_folder
from tests.service.conftest import Playing


def level_db(listener: Listener, start: int, end: int) -> float:
    assert listener.held[start:end].all()
    power = float(np.mean((listener.audio[start:end] / 32768.0) ** 2))
    return float(10 * np.log10(max(power, 1e-12)))


def quietest_db(listener: Listener, start: int, end: int) -> float:
    """The level of the quietest quarter of a second."""
    quarter = SAMPLE_RATE // 4
    return min(level_db(listener, at, at + quarter) for at in range(start, end - quarter, quarter))


def workers_of(server: tuple[str, int]) -> list[psutil.Process]:
    children = psutil.Process(server[1]).children()
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


async def changed(listener: Listener) -> int:
    await listener.until(lambda: listener.first_changed is not None)
    assert listener.first_changed is not None
    return listener.first_changed


async def holds(listener: Listener, end: int) -> None:
    await listener.until(lambda: len(listener.held) >= end and listener.held[end - 1], 40)


async def test_hello_comes_first_and_says_what_the_audio_is_like(playing: Playing) -> None:
    async with playing() as listener:
        hello = listener.messages[0]
        assert hello["type"] == "hello"
        assert (hello["protocol"], hello["role"], hello["session"]) == (1, "patient", listener.session["id"])
        audio = {"codec": "pcm_s16le", "sample_rate": 48000, "channels": 2, "block_frames": 1920}
        assert audio.items() <= hello["audio"].items()


async def test_nothing_sounds_before_play(url: str) -> None:
    async with join(url, await open_session(url, start="sad", goal="calm")) as listener:
        await listener.send("listen")
        await listener.until(lambda: len(listener.of_type("state")) >= 2)
        assert listener.state["phase"] == "ready"
        assert listener.state["playing"] is False
        assert not listener.arrivals


async def test_state_comes_at_least_once_a_second(playing: Playing) -> None:
    async with playing() as listener:
        first = len(listener.of_type("state"))
        begun = listener.head
        await listener.until(lambda: listener.head > begun + 2 * SAMPLE_RATE)
        assert len(listener.of_type("state")) >= first + 2
        keys = {
            *("type", "patient", "position", "playing", "phase", "why", "because", "asks", "frames", "ends", "rest"),
            *("held", "bounds", "control", "report", "estimate", "vitals", "sources", "target", "goal", "path"),
            *("clip", "generator", "level", "dose", "listening"),
        }
        assert set(listener.state) == keys
        assert listener.state["clip"]["bars"] > 0


async def test_live_audio_is_what_the_same_seed_renders(playing: Playing, tmp_path: Path) -> None:
    out = tmp_path / "session.wav"
    async with playing(minutes=1, seed=5) as listener:
        frames = 6 * SAMPLE_RATE
        await holds(listener, frames)
        start = int(listener.held.argmax())
        live = listener.audio[start:frames].copy()
    await asyncio.to_thread(cli.main, f"render {out} --start sad --goal calm --minutes 1 --seed 5".split())
    rendered, _ = soundfile.read(out, frames=frames)
    assert np.abs(live / 32767.0 - rendered[start:]).max() < 1e-4


def is_point(told: dict[str, float] | None, valence: float, arousal: float) -> bool:
    return told is not None and (told["valence"], told["arousal"]) == (valence, arousal)


async def test_a_large_move_is_met_at_the_next_beat(playing: Playing) -> None:
    async with playing() as listener:
        await holds(listener, 4 * SAMPLE_RATE)
        heard = listener.mark()
        await listener.send("report", valence=0.7, arousal=0.7)
        position = await changed(listener)
        assert 0 < position - heard < 3 * SAMPLE_RATE  # benchmarks.session has the figure
        await listener.until(lambda: listener.of_type("cut"))
        cut = listener.of_type("cut")[-1]
        assert (cut["reason"], cut["position"] <= position) == ("report", True)
        await listener.until(lambda: listener.state["clip"]["emotion"]["arousal"] > 0.5)
        assert is_point(listener.state["report"], 0.7, 0.7)
        assert listener.state["phase"] == "matching"


async def test_a_cut_leaves_no_step(playing: Playing) -> None:
    async with playing() as listener:
        await holds(listener, 5 * SAMPLE_RATE)
        await listener.until(lambda: listener.head > SAMPLE_RATE)
        listener.mark()
        await listener.send("report", valence=0.7, arousal=0.7)
        position = await changed(listener)
        await holds(listener, position + 2 * SAMPLE_RATE)
        steps = np.abs(np.diff(listener.audio[position - SAMPLE_RATE : position + 2 * SAMPLE_RATE].astype(int), axis=0))
        at_cut = steps[SAMPLE_RATE - 3 : SAMPLE_RATE + 1].max()
        assert at_cut <= np.percentile(steps, 99.9)


async def test_a_small_move_is_met_at_the_next_bar(playing: Playing) -> None:
    async with playing(start="calm") as listener:
        await holds(listener, 5 * SAMPLE_RATE)  # so that a bar line lies in what is held
        heard = listener.mark()
        await listener.send("report", valence=0.4, arousal=-0.2)
        position = await changed(listener)
        bar = 240 / listener.state["clip"]["tempo_bpm"] * SAMPLE_RATE
        assert 0 < position - heard < 3 * bar


async def test_a_burst_of_reports_ends_at_the_last_one(playing: Playing) -> None:
    async with playing() as listener:
        for i in range(40):
            await listener.send("report", valence=-0.5 + i / 40, arousal=0.6)
        await listener.send("report", valence=0.8, arousal=-0.6)
        await listener.until(lambda: listener.state["target"] == {"valence": 0.8, "arousal": -0.6})
        await listener.until(lambda: listener.state["clip"]["emotion"]["arousal"] < -0.4)
        assert not listener.of_type("error")


async def test_a_new_goal_leads_elsewhere(playing: Playing) -> None:
    async with playing() as listener:
        await listener.send("goal", valence=0.8, arousal=0.5)
        await listener.until(lambda: listener.state["goal"] == {"valence": 0.8, "arousal": 0.5})
        corner = listener.state["path"][-1]
        assert (corner["valence"], corner["arousal"]) == (0.8, 0.5)


async def test_too_much_is_quieter_at_once_and_play_goes_on(playing: Playing) -> None:
    async with playing(start="excited", goal="happy") as listener:
        await holds(listener, 5 * SAMPLE_RATE)
        heard = listener.mark()
        before = level_db(listener, max(0, heard - 2 * SAMPLE_RATE), heard)
        await listener.send("too_much")
        position = await changed(listener)
        assert 0 < position - heard < 0.5 * SAMPLE_RATE  # benchmarks.session has the figure
        await holds(listener, position + 4 * SAMPLE_RATE)
        assert level_db(listener, position + SAMPLE_RATE, position + 4 * SAMPLE_RATE) < before - 6
        await listener.until(lambda: listener.state["phase"] == "landing")
        assert listener.state["target"]["arousal"] < -0.5
        await listener.send("play")
        await listener.until(lambda: listener.state["phase"] == "matching")
        assert listener.state["playing"] is True


async def test_landing_goes_on_in_calm_music_without_a_gap(playing: Playing) -> None:
    async with playing(start="angry", goal="calm", seed=4) as listener:
        await asyncio.sleep(1)
        heard = listener.mark()
        await listener.send("too_much")
        await changed(listener)
        end = heard + 12 * SAMPLE_RATE
        await holds(listener, end)
        assert quietest_db(listener, heard + SAMPLE_RATE, end) > -60
        assert listener.state["phase"] == "landing"


async def test_pause_fades_out_and_play_goes_on_where_it_was(playing: Playing) -> None:
    async with playing() as listener:
        await listener.send("pause")
        await listener.until(lambda: listener.state["phase"] == "paused")
        await asyncio.sleep(0.6)
        await listener.until(lambda: listener.state["playing"] is False)
        count = len(listener.of_type("state"))
        await listener.until(lambda: len(listener.of_type("state")) > count + 1)
        stands = listener.state["position"]
        assert level_db(listener, stands - 480, stands) < -70
        await listener.send("play")
        await listener.until(lambda: listener.state["playing"])
        assert 0 <= listener.state["position"] - stands < SAMPLE_RATE
        await holds(listener, stands + 2 * SAMPLE_RATE)
        assert level_db(listener, stands + SAMPLE_RATE, stands + 2 * SAMPLE_RATE) > -60


async def test_stop_fades_at_once_and_ends(playing: Playing) -> None:
    async with playing() as listener:
        await holds(listener, 3 * SAMPLE_RATE)
        heard = listener.mark()
        await listener.send("stop")
        assert 0 < await changed(listener) - heard < 0.5 * SAMPLE_RATE
        await listener.until(lambda: listener.close_code is not None)
        assert listener.close_code == 1000
        assert listener.state["phase"] == "ended"


async def test_a_session_ends_by_itself(playing: Playing, url: str) -> None:
    async with playing(minutes=0.5) as listener:
        await listener.until(lambda: listener.state["phase"] == "ended", 60)
        await listener.until(lambda: listener.close_code is not None)
        assert listener.state["position"] == 30 * SAMPLE_RATE
        assert listener.held[: 30 * SAMPLE_RATE][int(listener.held.argmax()) :].all()
        assert not listener.of_type("cut")


async def test_without_a_start_it_plays_neutrally_until_the_first_report(playing: Playing) -> None:
    async with playing(start=None) as listener:
        assert listener.state["estimate"] is None
        assert listener.state["target"] == {"valence": 0.0, "arousal": 0.0}
        await listener.send("report", valence=-0.6, arousal=0.6)
        await listener.until(lambda: is_point(listener.state["report"], -0.6, 0.6))
        corner = listener.state["path"][0]
        assert (corner["valence"], corner["arousal"]) == (-0.6, 0.6)


async def test_a_second_listener_hears_the_same(playing: Playing, url: str) -> None:
    async with playing() as listener, join(url, listener.session, "listener") as other:
        await other.send("listen", codec="pcm_s16le", lead_ms=2000)
        await other.until(lambda: other.held.sum() > 2 * SAMPLE_RATE)
        both = np.flatnonzero(other.held[: len(listener.held)] & listener.held[: len(other.held)])
        assert len(both) > SAMPLE_RATE
        assert np.array_equal(other.audio[both], listener.audio[both])


async def test_opus_packets_decode_to_the_music(playing: Playing) -> None:
    async with playing() as listener:
        await listener.send("listen", codec="opus", lead_ms=4000)
        await listener.until(lambda: len(listener.packets) > 60)
        hello = listener.of_type("hello")[-1]["audio"]
        assert hello["codec"] == "opus"
        decoder = av.CodecContext.create("opus", "r")
        decoder.sample_rate, decoder.layout = SAMPLE_RATE, "stereo"
        decoded = np.concatenate(
            [frame.to_ndarray().reshape(2, -1) for _, packet in listener.packets
             for frame in decoder.decode(av.Packet(packet))], axis=1
        )  # fmt: skip
        start = listener.packets[0][0]
        pcm = listener.audio[start:].astype(float)
        frames = min(int(listener.held[start:].argmin() or len(pcm)), SAMPLE_RATE)
        lag = hello["pre_skip"]
        heard = decoded[:, lag + 9600 : lag + frames].mean(axis=0)
        assert np.corrcoef(heard, pcm[9600:frames].mean(axis=1))[0, 1] > 0.98


async def test_an_open_end_stays_at_the_goal(playing: Playing) -> None:
    async with playing(start="calm", goal="calm", minutes=None) as listener:
        assert listener.state["frames"] is None
        assert listener.state["path"][-1]["position"] <= 30 * SAMPLE_RATE


async def test_music_that_is_late_is_bridged_and_comes_back(playing: Playing, server: tuple[str, int]) -> None:
    async with playing(start="happy") as listener:
        begun = listener.head
        for worker in workers_of(server):
            worker.suspend()
        try:
            await listener.until(lambda: listener.head > begun + 14 * SAMPLE_RATE)
        finally:
            for worker in workers_of(server):
                worker.resume()
        back = listener.head + 3 * SAMPLE_RATE
        await holds(listener, back + 3 * SAMPLE_RATE)
        assert listener.held[begun : back + 3 * SAMPLE_RATE].all()
        assert quietest_db(listener, begun, back) > -60
        assert level_db(listener, back, back + 3 * SAMPLE_RATE) > -40
        steps = np.abs(np.diff(listener.audio[begun : back + 3 * SAMPLE_RATE].astype(int), axis=0))
        composed = steps[: 4 * SAMPLE_RATE]
        assert steps.max() <= 2 * composed.max()


async def test_a_worker_that_dies_is_replaced_and_its_sessions_go_on(playing: Playing, server: tuple[str, int]) -> None:
    async with playing() as listener, playing(seed=2) as other:
        for worker in workers_of(server):
            worker.kill()
        end = max(listener.head, other.head) + 14 * SAMPLE_RATE
        await asyncio.gather(*(holds(one, one.head + 13 * SAMPLE_RATE) for one in (listener, other)))
        for one in (listener, other):
            assert quietest_db(one, SAMPLE_RATE, min(end, one.head)) > -60
            assert one.state["playing"] is True


async def test_a_client_that_never_reads_disturbs_nobody(playing: Playing, url: str) -> None:
    async with playing() as listener:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        deaf, writer = await asyncio.open_connection(host, int(port), limit=1024)
        session: Message = listener.session
        writer.write(
            f"GET /api/sessions/{session['id']}/live?token={session['tokens']['listener']} HTTP/1.1\r\n"
            f"Host: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await deaf.readuntil(b"\r\n\r\n")
        payload = b'{"type":"listen","lead_ms":8000}'
        writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        before = listener.head
        await holds(listener, before + 6 * SAMPLE_RATE)
        assert listener.held[before : before + 6 * SAMPLE_RATE].all()
        writer.close()


async def test_metrics_and_health_tell_the_truth(playing: Playing, url: str) -> None:
    async with playing(), httpx.AsyncClient() as client:
        text = (await client.get(f"{url}metrics")).text
        playing_now = next(line for line in text.splitlines() if line.startswith("musicmed_sessions_playing "))
        assert float(playing_now.split()[1]) >= 1
        assert (await client.get(f"{url}healthz")).json()["status"] == "ok"


async def test_what_is_learned_is_kept_of_who_has_a_name(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for wish in ({"patient": "keeper"}, {}):
            session = await open_session(url, goal="calm", **wish)
            await client.delete(f"{url}api/sessions/{session['id']}")
    async with asyncio.timeout(10):
        while not (kept := list(default_folder().glob("*keeper*"))):  # noqa: ASYNC110 - a file tells nobody of itself
            await asyncio.sleep(0.05)
    assert len(kept) == 1
    assert not list(default_folder().glob("*guest*"))
