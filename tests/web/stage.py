"""The whole patient page on a server of the test's own: it tells what the test says, and keeps what the page says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.browser import Page, wait_for

SENSOR_TOKEN = "sensor-secret"
_SERVER = f"""
globalThis.sockets = [];
globalThis.posted = [];
const answers = {{
  "/api/words": [
    {{word: "calm", valence: 0.56, arousal: -0.31}},
    {{word: "tense", valence: -0.02, arousal: 0.79}},
  ],
  "/api/sessions": {{
    id: "abc", patient: "anna", seed: 7,
    tokens: {{patient: "secret", listener: "l", therapist: "t", sensor: "{SENSOR_TOKEN}"}},
  }},
}};
const network = globalThis.fetch;
globalThis.fetch = async (path, options) => {{
  if (!String(path).startsWith("/api/")) return network(path, options);
  if (options?.body !== undefined) posted.push(JSON.parse(options.body));
  return {{ok: true, status: 200, json: async () => answers[path]}};
}};
globalThis.WebSocket = class {{
  static OPEN = 1;
  sent = [];
  readyState = 0;
  constructor() {{ sockets.push(this); setTimeout(() => {{ this.readyState = 1; this.onopen(); }}); }}
  send(text) {{ this.sent.push(JSON.parse(text)); }}
  close() {{ this.readyState = 3; }}
  tell(message) {{ this.onmessage({{data: JSON.stringify(message)}}); }}
}};
"""

_STATE = {
    "type": "state",
    "patient": "anna",
    "position": 1_440_000,
    "playing": True,
    "phase": "leading",
    "why": "Leading on: you are with the music",
    "because": {"key": "followed", "mood": None, "times": None},
    "control": "pad",
    "rest": None,
    "asks": False,
    "frames": 43_200_000,
    "ends": 43_200_000,
    "report": None,
    "estimate": None,
    "sources": [],
    "target": {"valence": -0.3, "arousal": 0.4},
    "goal": {"valence": 0.56, "arousal": -0.31},
    "path": [
        {"position": 0, "valence": -0.45, "arousal": 0.55},
        {"position": 43_200_000, "valence": 0.56, "arousal": -0.31},
    ],
    "clip": None,
    "generator": {"name": "composer", "chosen": "composer", "reason": None},
}


# What `state` says of a hold after two reports.
STAYING = {"key": "staying_reported", "mood": "tense", "times": 2}


def source(kind: str = "heart_rate", **changes: Any) -> dict[str, Any]:
    """One entry of `sources`."""
    return {"kind": kind, "trust": 0.9, "reason": "in contact, 1 s old", "seconds": 1.0, "fault": None} | changes


class Stage:
    """The page, and the server's side of it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def start(self) -> None:
        """Press Start, and wait until the session runs."""
        self.page.click("#start")
        wait_for(lambda: self.page.attribute("body", "data-stage") == "live", "the session to begin")
        wait_for(lambda: "play" in self.said(), "the page to ask for music")

    def tell(self, heart_rate_bpm: float | None = None, **changes: Any) -> None:
        """Send a state."""
        vitals = {
            "heart_rate_bpm": heart_rate_bpm,
            "rmssd_ms": None,
            "respiration_per_minute": None,
            "skin_conductance_us": None,
        }
        state = {**_STATE, "vitals": vitals, **changes}
        self.page.evaluate(f"sockets.at(-1).tell({json.dumps(state)})")

    def show_more(self) -> None:
        """Open what is kept out of the way."""
        self.page.click("#more > summary")

    def said(self) -> list[str]:
        """The types of the messages that the page has sent."""
        types: list[str] = self.page.evaluate("sockets.flatMap(({sent}) => sent.map(({type}) => type))")
        return types

    def reports(self) -> list[tuple[float, float]]:
        """The reports that the page has sent."""
        said = self.page.evaluate("sockets.flatMap(({sent}) => sent.filter(({type}) => type === 'report'))")
        return [(report["valence"], report["arousal"]) for report in said]

    def is_shown(self, selector: str) -> bool:
        """Whether it takes part in the page, be it in the window or not."""
        return bool(self.page.evaluate(f"document.querySelector({selector!r}).checkVisibility()"))

    def style(self, selector: str, name: str) -> str:
        """A computed property."""
        return str(self.page.evaluate(f"getComputedStyle(document.querySelector({selector!r}))[{name!r}]"))


@contextmanager
def on_stage(tab: Page, url: str) -> Iterator[Stage]:
    """The page from `url`, freshly opened, with the test's own server behind it."""
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=_SERVER)["identifier"]
    try:
        tab.open("about:blank")  # so that the same address with another fragment is loaded anew
        tab.open(url)
        wait_for(lambda: tab.attribute("#goal-point", "style"), "the mood words to arrive")
        yield Stage(tab)
    finally:
        tab.evaluate("sessionStorage.clear()")  # the next test is not to go on with this session
        tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
