"""What a clip of 30 s costs the embedded composer: CPU time in a cold and in a warm process, and the note cache.

`python -m benchmarks.composer`. Cold is a fresh interpreter that imports, opens a voice and makes one clip. Warm is the
next clip of a voice in a process that has made music of that emotion before. CPU time is that of the process, all
threads together.
"""

import subprocess
import sys
import time
from statistics import median

from benchmarks.report import print_figures, print_table
from musicmed_live.composer.voice import ComposerGenerator, ComposerVoice
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import ClipRequest, frames_of

CLIP_FRAMES = frames_of(30.0)
CORNERS = tuple(Emotion(valence, arousal) for valence in (-0.6, 0.6) for arousal in (-0.6, 0.6))
GRID = tuple(Emotion(v / 10, a / 10) for v in range(-8, 9, 4) for a in range(-8, 9, 4))
COLD_RUNS = 3  # at each corner
WARM_RUNS = 5

_COLD = """
import sys, time
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import ClipRequest
frames, valence, arousal = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
emotion = Emotion(valence, arousal)
for block in ComposerGenerator().open_voice(1).compose(ClipRequest(0, frames, emotion, emotion)):
    pass
print(time.process_time())
"""


def cold_clip_cpu_s(emotion: Emotion) -> float:
    """CPU seconds of a fresh process that makes one clip, its imports included."""
    command = [sys.executable, "-c", _COLD, str(CLIP_FRAMES), str(emotion.valence), str(emotion.arousal)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def clip_cpu_s(voice: ComposerVoice, emotion: Emotion) -> float:
    """CPU seconds of the voice's next clip."""
    began = time.process_time()
    for _ in voice.compose(ClipRequest(voice.position, CLIP_FRAMES, emotion, emotion)):
        pass
    return time.process_time() - began


def warm_clip_cpu_s(generator: ComposerGenerator, emotion: Emotion) -> float:
    """Median CPU seconds of a clip after one clip of the same voice."""
    voice = generator.open_voice(1)
    clip_cpu_s(voice, emotion)
    return median(clip_cpu_s(voice, emotion) for _ in range(WARM_RUNS))


def cache_mib() -> float:
    """The note cache after one clip at each point of a 5 x 5 grid of emotions."""
    generator = ComposerGenerator()
    voice = generator.open_voice(1)
    for emotion in GRID:
        clip_cpu_s(voice, emotion)
    return generator.cached_bytes / 2**20


def main() -> None:
    generator = ComposerGenerator()
    rows = []
    for emotion in CORNERS:
        cold = median(cold_clip_cpu_s(emotion) for _ in range(COLD_RUNS))
        rows.append((emotion.valence, emotion.arousal, cold, warm_clip_cpu_s(generator, emotion)))
    print_table(("valence", "arousal", "cold, s", "warm, s"), rows, "CPU time of a 30-s clip (medians)")
    cached = cache_mib()
    print(f"\nNote cache after {len(GRID)} emotions: {cached:.0f} MiB")
    figures = {
        "cold_clip_cpu_s": median(row[2] for row in rows),
        "warm_clip_cpu_s": median(row[3] for row in rows),
        "cache_mib": cached,
    }
    print_figures("composer", figures)


if __name__ == "__main__":
    main()
