"""MusicGen in real time: speed, reaction, memory and exactness, ours beside transformers' and audiocraft's own.

A checkpoint of musicgen-small's exact shape with random weights is made unless `--model` names one. Each figure is
taken in a process of its own. `--session-minutes` plays a session in real time and counts what was late.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVarTuple

import httpx
import numpy as np
import psutil
import torch

from benchmarks.listener import join, open_session, serving
from benchmarks.musicgen_peers import steps_per_second
from benchmarks.musicgen_small import write_small
from benchmarks.report import print_figures, print_table
from benchmarks.session import AUDIBLE
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, frames_of
from musicmed_live.musicgen.decoder import WINDOW_STEPS
from musicmed_live.musicgen.engine import Conditioning, Engine
from musicmed_live.musicgen.generator import MusicgenGenerator
from musicmed_live.musicgen.native import NativeEngine, usable_cores
from musicmed_live.musicgen.voice import BLOCK_FRAMES, MusicgenVoice
from musicmed_live.musicgen.weights import open_checkpoint

CLIP_FRAMES = frames_of(30.0)
CALM, TENSE = Emotion(0.6, -0.5), Emotion(-0.5, 0.6)
TAUGHT_STEPS = 1400
RUNS = 5

Figures = dict[str, float]
Arguments = TypeVarTuple("Arguments")


def alone(measure: Callable[[*Arguments], Figures], *arguments: *Arguments) -> Figures:
    """What `measure` finds in a fresh process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def clip(model: str, device: str, frames: int) -> Figures:
    """A clip through codec and resampling as a session has it made, after a warm-up."""
    generator = MusicgenGenerator(model, device=device)
    generator.warm_up()
    firsts, reactions = zip(*(first_and_reaction(generator, seed) for seed in range(RUNS)), strict=True)
    voice = generator.open_voice(1)
    began = time.perf_counter()
    compose(voice, CALM, frames)
    took = time.perf_counter() - began
    rss = resident_gib()
    return {
        "realtime_x": frames / SAMPLE_RATE / took,
        "first_audio_s": statistics.median(firsts),
        "reaction_s": statistics.median(reactions),
        "rss_gib": rss,
    }


def resident_gib(pid: int | None = None) -> float:
    """Memory in RAM of a process, of this one unless named."""
    return psutil.Process(pid).memory_info().rss / 2**30


def first_and_reaction(generator: MusicgenGenerator, seed: int) -> tuple[float, float]:
    """Seconds from a new voice to its first block; and from a new emotion to the first frame that is made under it."""
    voice = generator.open_voice(seed)
    began = time.perf_counter()
    compose(voice, CALM, BLOCK_FRAMES)
    first = time.perf_counter() - began
    compose(voice, CALM, frames_of(6.0))
    began = time.perf_counter()
    voice.rewind(voice.position - frames_of(2.0))
    compose(voice, TENSE, BLOCK_FRAMES)
    reaction = time.perf_counter() - began
    voice.close()
    return first, reaction


def compose(voice: MusicgenVoice, emotion: Emotion, frames: int) -> None:
    """Have a clip made."""
    for _ in voice.compose(ClipRequest(voice.position, frames, emotion, emotion)):
        pass


def steps(model: str, device: str, count: int) -> Figures:
    """The decoder alone, as `advance` runs it: steps a second over a clip from an empty cache."""
    generator = MusicgenGenerator(model, device=device)
    engine = generator._studio.engine
    run(engine, 50)
    engine.rewind(0, 0)
    return {"steps_per_second": count / run(engine, count)}


def run(engine: Engine, count: int) -> float:
    """Seconds for so many steps with a prompt."""
    hidden = torch.randn(12, engine.config.text_width, generator=torch.Generator().manual_seed(0))
    engine.condition([0], Conditioning(hidden, torch.zeros(12)))
    books, pad = engine.config.codebooks, engine.config.vocab
    unknown, keys = torch.full((1, count, books), -1), torch.arange(count)[None]
    began = time.perf_counter()
    engine.advance([0], torch.full((1, books), pad), unknown, keys)
    return time.perf_counter() - began


def exactness(model: str) -> Figures:
    """The 8-bit engine against transformers' float32 decoder: guided logits over taught steps of a random piece."""
    from transformers import MusicgenForConditionalGeneration

    checkpoint = open_checkpoint(model)
    config = checkpoint.config
    dice = torch.Generator().manual_seed(1)
    columns = torch.randint(0, config.vocab, (TAUGHT_STEPS, config.codebooks), generator=dice)
    columns[0] = config.vocab
    hidden = torch.randn(12, config.text_width, generator=dice)
    engine = NativeEngine(config, checkpoint.decoder_tensors(), slots=1)
    engine.condition([0], Conditioning(hidden, torch.zeros(12)))
    ours = guided(*engine.logits(0, columns).unbind(1))  # (steps, codebooks, vocab)
    peer = MusicgenForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
    with torch.inference_mode():
        seen = peer.enc_to_dec_proj(hidden[None])
        rows = peer.decoder(
            input_ids=columns.T[None].repeat(2, 1, 1).reshape(-1, TAUGHT_STEPS),
            encoder_hidden_states=torch.cat((seen, torch.zeros_like(seen))),
        ).logits.view(2, config.codebooks, TAUGHT_STEPS, config.vocab)
    theirs = guided(rows[0], rows[1]).transpose(0, 1)
    likely, found = theirs.log_softmax(-1), ours.log_softmax(-1)
    divergence = (likely.exp() * (likely - found)).sum(-1)
    return {
        "kl_nats": float(divergence.mean()),
        "top1": float((ours.argmax(-1) == theirs.argmax(-1)).float().mean()),
    }


def guided(conditional: torch.Tensor, unconditional: torch.Tensor) -> torch.Tensor:
    """Logits with MusicGen's guidance."""
    return unconditional + 3.0 * (conditional - unconditional)


@contextmanager
def busy_core() -> Iterator[None]:
    """Another program that takes as much of one core as it can get."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            yield
        finally:
            burner.kill()


async def session(url: str, minutes: float) -> Figures:
    """A session that is listened to, with a report every two minutes: how often something was not there in time.

    `session_share` is the share of the time in which MusicGen was heard, not the composer in its place;
    `session_rss_gib` is the memory of MusicGen's process after it, the server's largest.
    """
    began = time.monotonic()
    async with join(url, await open_session(url, start="sad", goal="calm", minutes=minutes, seed=1)) as listener:
        await listener.send("listen")
        await listener.send("play")
        await listener.until(lambda: np.abs(listener.audio).max(initial=0) > AUDIBLE)
        first = time.monotonic() - began
        reports = 0
        while listener.close_code is None:
            await asyncio.sleep(20.0)
            reports += 1
            if listener.close_code is None and reports % 6 == 0:
                await listener.send("report", valence=-0.4 + 0.1 * (reports % 5), arousal=0.3 - 0.1 * (reports % 4))
    playing = [message["generator"] for message in listener.of_type("state") if message["playing"]]
    for reason in {generator["reason"] for generator in playing if generator["reason"]}:
        print(f"the composer played: {reason}")
    share = sum(generator["name"] == "musicgen" for generator in playing) / len(playing)
    return metrics(url) | {"session_first_audio_s": first, "session_share": share}


def metrics(url: str) -> Figures:
    """Underruns and bridges of a server so far."""
    lines = (line.split() for line in httpx.get(f"{url}metrics").text.splitlines() if not line.startswith("#"))
    values = {name: float(value) for name, value in lines if name in ("musicmed_underruns", "musicmed_bridges")}
    return {"session_underruns": values["musicmed_underruns"], "session_bridges": values["musicmed_bridges"]}


def copy_gb_per_second() -> float:
    """Bytes that all cores copy in a second, read and written ones counted: what the decoder's speed hangs on."""
    cores = usable_cores()
    pairs = [(np.zeros(2**28, np.uint8), np.ones(2**28, np.uint8)) for _ in range(cores)]
    times = []
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(RUNS):
            began = time.perf_counter()
            list(pool.map(lambda pair: np.copyto(*pair), pairs))
            times.append(time.perf_counter() - began)
    return 2 * cores * 2**28 / min(times) / 1e9


def on_the_cpu(model: str, minutes: float, peer_steps: int) -> Figures:
    """Every figure of the CPU."""
    before = alone(steps, model, "cpu", WINDOW_STEPS)["steps_per_second"]
    peers = {
        (peer, dtype): steps_per_second(peer, dtype, "cpu", count)
        for peer, dtype, count in (
            ("transformers", "bfloat16", peer_steps),
            ("transformers", "float32", peer_steps // 2),
            ("audiocraft", "float32", peer_steps // 2),
            ("audiocraft", "bfloat16", peer_steps),
        )
    }
    after = alone(steps, model, "cpu", WINDOW_STEPS)["steps_per_second"]
    ours = (before + after) / 2
    rows: list[list[object]] = [["ours, 8 bits", WINDOW_STEPS, before], ["ours, 8 bits, again", WINDOW_STEPS, after]]
    rows += [[f"{peer} {dtype}", peer_steps, speed] for (peer, dtype), speed in peers.items()]
    print_table(["decoder, guided", "steps", "steps per second"], rows)
    figures = alone(clip, model, "cpu", CLIP_FRAMES)
    with busy_core():
        figures["busy_realtime_x"] = alone(clip, model, "cpu", CLIP_FRAMES)["realtime_x"]
    figures |= {
        "over_transformers_bf16_x": ours / peers["transformers", "bfloat16"],
        "over_transformers_fp32_x": ours / peers["transformers", "float32"],
        "over_audiocraft_fp32_x": ours / peers["audiocraft", "float32"],
    }
    figures |= alone(exactness, model) | {"copy_gb_per_s": copy_gb_per_second()}
    with serving("--generator", "musicgen", "--model", model, "--device", "cpu") as (url, pid):
        figures |= asyncio.run(session(url, minutes))
        figures["session_rss_gib"] = max(resident_gib(child.pid) for child in psutil.Process(pid).children())
    return {f"cpu_{key}": value for key, value in figures.items()}


def on_the_gpu(model: str, peer_steps: int) -> Figures:
    """Every figure of a GPU."""
    ours = alone(steps, model, "cuda", WINDOW_STEPS)["steps_per_second"]
    peer = steps_per_second("audiocraft", "float16", "cuda", peer_steps)
    figures = alone(clip, model, "cuda", CLIP_FRAMES)
    return {
        "gpu_ms_per_step": 1000 / ours,
        "gpu_over_audiocraft_x": ours / peer,
        "gpu_realtime_x": figures["realtime_x"],
        "gpu_first_audio_s": figures["first_audio_s"],
        "gpu_reaction_s": figures["reaction_s"],
    }


def main() -> None:
    """All that this machine has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="directory or hub name; default: random weights in musicgen-small's shape")
    parser.add_argument("--session-minutes", type=float, default=15.0)
    parser.add_argument("--peer-steps", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(write_small(Path(folder)))
        figures = on_the_cpu(model, options.session_minutes, options.peer_steps)
        if torch.cuda.is_available():
            figures |= on_the_gpu(model, options.peer_steps)
    print_table(["figure", "value"], [[key, value] for key, value in figures.items()])
    print_figures("musicgen", figures)


if __name__ == "__main__":
    main()
