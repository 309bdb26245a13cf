"""Every state that a patient may find the page in, brought about on the test's own server."""

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.browser import wait_for
from tests.web.stage import STAYING, Stage, source

_CLIP = {
    "position": 0,
    "frames": 1_440_000,
    "ends": 1_440_000,
    "emotion": {"valence": -0.3, "arousal": 0.4},
    "bars": 13,
    "tempo_bpm": 104.0,
    "key": "D dorian",
    "instruments": ["cello", "piano"],
    "heard": None,
}


def _tell(**changes: Any) -> Callable[[Stage], None]:
    def bring_about(stage: Stage) -> None:
        stage.start()
        stage.tell(**{"because": STAYING, **changes})

    return bring_about


def _more(stage: Stage) -> None:
    stage.start()
    body = [source(), source("skin_conductance", fault="noisy", trust=0.0)]
    estimate = {"valence": -0.4, "arousal": 0.5, "valence_sd": 0.16, "arousal_sd": 0.11}
    stage.tell(heart_rate_bpm=72, sources=body, estimate=estimate, clip=_CLIP)
    stage.show_more()
    stage.page.click("#wearable summary")


def _ended(stage: Stage) -> None:
    stage.start()
    stage.tell()
    stage.page.evaluate("sockets.at(-1).onclose({code: 1000})")


def _away(stage: Stage) -> None:
    stage.start()
    stage.tell()
    stage.page.evaluate("sockets.at(-1).onclose({code: 1006})")


def _refused(stage: Stage) -> None:
    answer = {"code": "bad_token", "message": "no"}
    stage.page.evaluate(f"globalThis.fetch = async () => Response.json({json.dumps(answer)}, {{status: 401}})")
    stage.page.click("#start")
    wait_for(lambda: stage.page.text("#problem"), "the answer")


def _said(stage: Stage) -> None:
    stage.page.click("#pad")
    _tell()(stage)


STATES: dict[str, Callable[[Stage], None]] = {
    "start": lambda _: None,
    "refused": _refused,
    "pad": _said,
    "sliders": _tell(control="sliders"),
    "faces": _tell(control="faces"),
    "asked": _tell(asks=True),
    "paused": _tell(phase="paused", playing=False),
    "rest": _tell(phase="paused", playing=False, rest={"seconds_left": 60.0}),
    "landing": _tell(phase="landing"),
    "limited": _tell(dose={"week_share": 1.0, "limited": True}),
    "more": _more,
    "away": _away,
    "ended": _ended,
}
