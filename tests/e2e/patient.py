"""What a patient does and sees on the page."""

import math

from tests.e2e.browser import Page, wait_for
from tests.e2e.sound import Recording, level_dbfs

AUDIBLE_DBFS = -50.0
_HALF_WINDOW = 1.15  # of the pad, in emotion units


def open_page(page: Page, url: str, width: int = 1280, height: int = 800) -> None:
    """The page before a session, whatever was played in this tab before."""
    page.open(url, width, height)
    if page.text("#start") == "Go on":
        page.evaluate("sessionStorage.clear()")
        page.open(url, width, height)
    wait_for(lambda: page.attribute("#goal-point", "style"), "the mood words to arrive")


def show_more(page: Page) -> None:
    """Open what is kept out of the way."""
    if not page.evaluate("document.querySelector('#more').open"):
        page.click("#more > summary")


def start_music(page: Page, heard: Recording) -> None:
    """Press Start, and wait until it is heard and the page has been told so."""
    page.click("#start")
    wait_for(lambda: level_dbfs(heard.next(0.2)) > AUDIBLE_DBFS, "sound")
    wait_for(lambda: page.text("#time"), "the page to say how far it is")
    let_settle(page)


def let_settle(page: Page) -> None:
    """Return when the page does not take a tap for the second one of a double tap on Start any more."""
    page.evaluate("new Promise((done) => setTimeout(done, 500))")


def on_pad(page: Page, emotion: tuple[float, float]) -> tuple[float, float]:
    """The point of the window where the pad has that emotion."""
    valence, arousal = emotion
    return page.point_in("#pad", 0.5 + valence / _HALF_WINDOW / 2, 0.5 - arousal / _HALF_WINDOW / 2)


def music_point(page: Page) -> tuple[float, float]:
    """Where on the pad the music is, as the page was last told."""
    return last_point(page.evaluate("document.querySelector('#played').getAttribute('points')"))


def path_end(page: Page) -> tuple[float, float]:
    return last_point(page.evaluate("document.querySelector('#planned').getAttribute('points')"))


def last_point(points: str) -> tuple[float, float]:
    x, y = points.split()[-1].split(",")
    return float(x), -float(y)


def is_near(point: tuple[float, float], emotion: tuple[float, float]) -> bool:
    return math.dist(point, emotion) < 0.1


def seconds_played(page: Page) -> int:
    minutes, seconds = page.text("#time").split()[0].split(":")
    return int(minutes) * 60 + int(seconds)
