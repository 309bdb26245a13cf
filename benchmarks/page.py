"""The patient page as a patient gets it. `python -m benchmarks.page [--minutes 2] [--loads 5]`

A server of its own and a real Chromium on this machine, between them a proxy that makes a bad network of loopback.

- `first_load_kib`: all that the page loads the first time, compressed, with its headers; `usable_s`: from the click on
  a link until Start can be pressed, the median of the loads, each with an empty cache; `third_party_requests`: requests
  to anybody but the server.
- `gaps`: stretches of digital silence of 5 ms or more in what the page plays for `--minutes`, while 5 % of all pieces
  in either direction come 400 ms late and hold up what is behind them. What a busy machine keeps from its sound card,
  which no page can help, is told beside it, as `card_gaps` in the table.
- `reconnect_s`: the network is gone for 20 s; from its return until sound is heard again. `position_error_s`: how
  much further from the server's clock the sound is then than it was before, by comparing it with what a listener with a
  good network got.
- `axe_violations`: what axe-core finds in every state of the patient page and on the other pages.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

from benchmarks.listener import Listener, join, open_session, serving
from benchmarks.report import print_figures, print_table
from musicmed_live.core.generator import SAMPLE_RATE
from tests.e2e.axe import violations
from tests.e2e.browser import Page, chromium, wait_for
from tests.e2e.network import Network, network
from tests.e2e.sound import Recording, null_sink, recording
from tests.web.stage import on_stage
from tests.web.states import STATES

LATE_SHARE, LATE_S = 0.05, 0.4
AWAY_S = 20.0
SETTLING_S = 4.0  # until what is played is the steady state
GAP_FRAMES = SAMPLE_RATE // 200  # 5 ms
EXCERPT_S, AROUND_S = 1.5, 4.0  # what is compared, and how far around the server's clock it is looked for
OTHER_PAGES = ("therapist.html", "kiosk.html", "calibrate.html")

_WATCH_LOADING = """
addEventListener("DOMContentLoaded", () => {
  const look = () => { if (!document.body.classList.contains("loading")) globalThis.usable ??= performance.now(); };
  new MutationObserver(look).observe(document.body, {attributes: true});
});
"""
# Listens within the page to all that goes to the loudspeaker, and counts stretches of silence.
_TAP = """
const COUNTER = `registerProcessor("counter", class extends AudioWorkletProcessor {
  gaps = 0; silent = 0;
  constructor() {
    super();
    this.port.onmessage = ({data: wish}) => {
      if (wish === "begin") this.gaps = this.silent = 0;
      else this.port.postMessage(this.gaps);
    };
  }
  process([[left, right]]) {
    for (let i = 0; i < (left?.length ?? 0); i++) {
      this.silent = left[i] === 0 && right[i] === 0 ? this.silent + 1 : 0;
      if (this.silent === GAP_FRAMES) this.gaps += 1;
    }
    return true;
  }
})`;
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) listenTo(this);
  return connect.call(this, to, ...rest);
};
async function listenTo(node) {
  await node.context.audioWorklet.addModule(URL.createObjectURL(new Blob([COUNTER], {type: "text/javascript"})));
  globalThis.counter = new AudioWorkletNode(node.context, "counter");
  connect.call(node, counter);
  connect.call(counter, node.context.destination);
}
globalThis.gapsSoFar = () => new Promise((told) => {
  counter.port.onmessage = ({data: gaps}) => told(gaps);
  counter.port.postMessage("tell");
});
"""
_LOADED = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map(({name, transferSize}) => [name, transferSize])
"""


def measure_loading(page: Page, url: str, loads: int) -> dict[str, float]:
    """First loads of the page, each as if it had never been seen."""
    script = page.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH_LOADING)["identifier"]
    page.call("Network.enable")
    usable, sizes, strangers = [], [], 0
    for _ in range(loads):
        page.open("about:blank")
        page.call("Storage.clearDataForOrigin", origin=url.rstrip("/"), storageTypes="all")
        page.call("Network.clearBrowserCache")
        page.open(url)
        wait_for(lambda: page.evaluate("globalThis.usable"), "the page to be usable")
        entries = page.evaluate(_LOADED)
        usable.append(page.evaluate("usable") / 1000)
        sizes.append(sum(size for _, size in entries) / 1024)
        strangers += sum(not name.startswith(url) for name, _ in entries)
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    return {
        "first_load_kib": statistics.median(sizes),
        "usable_s": statistics.median(usable),
        "third_party_requests": strangers,
    }


def measure_accessibility(page: Page, url: str) -> int:
    """How much axe-core finds; each finding is printed."""
    found = []
    for name, bring_about in STATES.items():
        with on_stage(page, f"{url}index.html") as stage:
            bring_about(stage)
            found += [f"{name}: {fault}" for fault in violations(page)]
    for name in OTHER_PAGES:
        page.open(f"{url}{name}")
        wait_for(lambda: page.evaluate("document.querySelector('main, body').innerText.trim()"), f"{name} to show")
        found += [f"{name}: {fault}" for fault in violations(page)]
    for fault in found:
        print(fault)
    return len(found)


async def measure_sound(url: str, folder: Path, seconds: float) -> dict[str, float]:
    """Gaps on a bad network, and coming back after none."""
    session = await open_session(url, start="anxious", goal="calm", minutes=None, seed=7)
    with page_and_card(url, folder) as (page, heard, proxy):
        async with join(url, session, "listener") as listener:
            await listener.send("listen", lead_ms=4000)
            await asyncio.to_thread(start, page, f"http://127.0.0.1:{proxy.port}/", session)
            await asyncio.to_thread(heard.next, SETTLING_S)
            begin = heard.frames
            page.evaluate("counter.port.postMessage('begin')")
            await asyncio.sleep(seconds)
            gaps = page.evaluate("gapsSoFar()")
            card_gaps = count_gaps(heard.between(begin, heard.frames))
            lag_before = await asyncio.to_thread(lag_s, heard, listener)
            proxy.leave()
            await asyncio.sleep(AWAY_S)
            proxy.come_back()
            reconnect_s = await asyncio.to_thread(wait_for_sound, heard)
            await asyncio.to_thread(heard.next, SETTLING_S)
            lag_after = await asyncio.to_thread(lag_s, heard, listener)
    rows = [["sound behind the server's clock, s", lag_before], ["and after the network was gone, s", lag_after]]
    print_table(["", "figure"], [*rows, ["card_gaps", card_gaps]], "Sound")
    return {"gaps": gaps, "reconnect_s": reconnect_s, "position_error_s": abs(lag_after - lag_before)}


@contextmanager
def page_and_card(url: str, folder: Path) -> Iterator[tuple[Page, Recording, Network]]:
    """A browser behind a bad network, and what its sound card plays."""
    port = urlsplit(url).port
    assert port is not None
    with (
        null_sink(folder) as environment,
        recording(environment) as heard,
        chromium(folder / "profile", environment) as page,
        network(port, LATE_SHARE, LATE_S) as proxy,
    ):
        yield page, heard, proxy


def start(page: Page, url: str, session: dict[str, object]) -> None:
    """Join the session on the page."""
    page.call("Page.setBypassCSP", enabled=True)  # for the counter, which is no file of the server's
    page.call("Page.addScriptToEvaluateOnNewDocument", source=_TAP.replace("GAP_FRAMES", str(GAP_FRAMES)))
    tokens = session["tokens"]
    assert isinstance(tokens, dict)
    page.open(f"{url}#session={session['id']}&token={tokens['patient']}")
    wait_for(lambda: page.text("#start") == "Go on", "the page to know its session")
    page.click("#start")
    wait_for(lambda: page.text("#time"), "the music to begin", 30)


def count_gaps(samples: NDArray[np.float64]) -> int:
    """Stretches of digital silence of `GAP_FRAMES` or more."""
    silent = np.concatenate(([0], (samples == 0).astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(silent))
    return int(np.sum(edges[1::2] - edges[::2] >= GAP_FRAMES))


def wait_for_sound(heard: Recording) -> float:
    """Seconds from now until the sound card plays something."""
    begin, since = heard.frames, time.monotonic()
    wait_for(lambda: np.any(heard.between(begin, heard.frames)), "the music to come back", 30)
    return time.monotonic() - since


def lag_s(heard: Recording, listener: Listener) -> float:
    """How far the sound is behind the server's clock, by where in the listener's audio it is found."""
    excerpt = heard.next(EXCERPT_S)
    head = listener.head
    first = head - round((EXCERPT_S + AROUND_S) * SAMPLE_RATE)
    sent = listener.audio[max(0, first) : head + SAMPLE_RATE].sum(axis=1) / 65536
    match = correlate(sent, excerpt, mode="valid", method="fft")
    energy = np.sqrt(np.convolve(sent**2, np.ones(len(excerpt)), "valid"))
    found = int(np.argmax(match / np.maximum(energy, 1e-9)))
    return (head - (max(0, first) + found + len(excerpt))) / SAMPLE_RATE


def main() -> None:
    """Measure, print a table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long gaps are listened for (default: 2)")
    parser.add_argument("--loads", type=int, default=5, help="how often the page is loaded (default: 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, serving() as (url, _):
        with chromium(Path(folder) / "loading") as page:
            figures = measure_loading(page, url, options.loads)
            figures["axe_violations"] = measure_accessibility(page, url)
        figures |= asyncio.run(measure_sound(url, Path(folder), 60 * options.minutes))
    print_table(["", "figure"], list(figures.items()), "The patient page")
    print_figures("page", figures)


if __name__ == "__main__":
    main()
