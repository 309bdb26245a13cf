"""axe-core, which finds what keeps people out of a page: WCAG 2.2 A and AA, and good practice."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.browser import Page

ROOT = Path(__file__).parents[2]
_RUN = """
axe.run(document, {resultTypes: ["violations"], runOnly: [
  "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice",
]}).then(({violations}) => violations.flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) =>
  `${id}: ${target.join(" ")}: ${failureSummary}`)))
"""


@cache
def _script() -> str:
    """axe-core itself, fetched from npm once and checked against its hash."""
    fetched = subprocess.run([ROOT / "scripts" / "fetch-axe"], capture_output=True, text=True, timeout=120)
    if fetched.returncode != 0:
        pytest.fail(fetched.stderr, pytrace=False)
    return Path(fetched.stdout.strip()).read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands now: the rule, the element, what to do."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(f"{_script()}; undefined")
    found: list[str] = page.evaluate(_RUN)
    return found
