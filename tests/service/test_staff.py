"""What the staff see over HTTP, on a real server: sessions, reports, and nothing for anybody else."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from starlette.applications import Starlette

from benchmarks.listener import Message, join, open_session, serving
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.journal.account import Account
from musicmed_live.service import staff
from musicmed_live.service.access import Access
from musicmed_live.service.entrance import Entrance
from musicmed_live.service.generators import Choice
from musicmed_live.service.journaling import keeping
from tests.journal.stories import ANNA, story
from tests.service.conftest import Playing

KEY = "the-key-that-these-tests-use"


@pytest.fixture
async def client(url: str) -> Any:
    async with httpx.AsyncClient(base_url=url) as opened:
        yield opened


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A server with an administrator's key, which keeps no journal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSICMED_ADMIN_KEY", KEY)
        with serving("--journal", "none") as (found, _):
            yield found


@pytest.fixture
async def admin(guarded: str) -> Any:
    """Its administrator."""
    async with httpx.AsyncClient(base_url=guarded, headers=bearer(KEY)) as opened:
        yield opened


async def listed(client: httpx.AsyncClient, session: str) -> Message:
    """The entry of a session in the list of those that are open."""
    found = (await client.get("api/sessions")).json()
    return next(entry for entry in found if entry["id"] == session)


async def answered(
    client: httpx.AsyncClient, path: str, enough: Callable[[httpx.Response], bool] = lambda answer: answer.is_success
) -> httpx.Response:
    """What a path answers, as soon as the journal has been written so far."""
    async with asyncio.timeout(20):
        while not enough(answer := await client.get(path)):  # noqa: ASYNC110  # another process writes
            await asyncio.sleep(0.05)
    return answer


async def test_open_sessions_are_listed_until_they_end(client: httpx.AsyncClient, url: str) -> None:
    first = await open_session(url, goal="calm", patient="anna-staff", minutes=20)
    second = await open_session(url, goal="calm", minutes=None)
    entry = await listed(client, first["id"])
    assert (entry["patient"], entry["phase"], entry["minutes"], entry["waits"]) == ("anna-staff", "ready", 20, True)
    assert (await listed(client, second["id"]))["minutes"] is None
    assert [session["id"] for session in (await client.get("api/sessions")).json()][:2] == [second["id"], first["id"]]
    for session in (first, second):
        await client.delete(f"api/sessions/{session['id']}")
    ids = {session["id"] for session in (await client.get("api/sessions")).json()}
    assert not ids & {first["id"], second["id"]}


async def test_a_therapist_sees_that_the_device_of_the_patient_has_left(url: str) -> None:
    session = await open_session(url, start="sad", goal="calm")
    async with join(url, session, "therapist") as therapist:
        await therapist.send("listen", codec="pcm_s16le", lead_ms=1500)
        async with join(url, session, "patient") as patient:
            await patient.send("listen", codec="pcm_s16le", lead_ms=1500)
            await patient.send("play")
            await therapist.until(lambda: therapist.state.get("listening") == 1 and therapist.state["playing"])
        await therapist.until(lambda: therapist.state["listening"] == 0)
        assert therapist.state["playing"]
        await therapist.send("stop")


async def test_a_session_that_plays_no_longer_waits(client: httpx.AsyncClient, playing: Playing) -> None:
    async with playing() as listener:
        entry = await listed(client, listener.session["id"])
    assert (entry["waits"], entry["phase"]) == (False, "matching")


async def test_the_list_opens_each_session_for_its_therapist(client: httpx.AsyncClient, url: str) -> None:
    session = await open_session(url, goal="calm")
    entry = await listed(client, session["id"])
    async with join(url, entry, "therapist") as therapist:
        await therapist.send("hold")
        await therapist.until(lambda: therapist.state.get("held"))
    async with join(url, entry, "patient") as patient:
        await patient.until(lambda: patient.messages)
        assert patient.messages[0]["role"] == "patient"
    await client.delete(f"api/sessions/{session['id']}")


async def test_two_therapists_who_steer_at_once_are_both_told_and_the_last_one_wins(
    client: httpx.AsyncClient, url: str
) -> None:
    session = await open_session(url, start="sad", goal="calm")
    async with join(url, session, "therapist") as one, join(url, session, "therapist") as other:
        await one.send("goal", valence=0.8, arousal=0.2)
        await one.until(lambda: one.of_type("steered"))
        await other.send("goal", valence=0.1, arousal=-0.6)
        for therapist in (one, other):
            await therapist.until(lambda told=therapist: len(told.of_type("steered")) == 2)  # type: ignore[misc]
            assert [message["what"] for message in therapist.of_type("steered")] == ["goal", "goal"]
            assert {message["by"] for message in therapist.of_type("steered")} == {"therapist 1", "therapist 2"}
            await therapist.until(
                lambda told=therapist: told.state.get("goal") == {"valence": 0.1, "arousal": -0.6}  # type: ignore[misc]
            )
    await client.delete(f"api/sessions/{session['id']}")


async def test_a_report_is_told_of_a_session_that_plays_and_of_one_that_has_ended(
    client: httpx.AsyncClient, playing: Playing
) -> None:
    async with playing(patient="bert-staff") as listener:
        name = listener.session["id"]
        page = await answered(client, f"api/sessions/{name}/report", lambda answer: "bert-staff" in answer.text)
        assert page.headers["content-type"].startswith("text/html")
        await listener.send("stop")
        await listener.until(lambda: listener.close_code is not None)
    table = await answered(client, f"api/sessions/{name}/report.csv", lambda answer: "ended" in answer.text)
    assert table.text.startswith("time_utc,")
    assert table.headers["content-disposition"] == f'attachment; filename="session-{name[:8]}.csv"'
    bundle = await client.get(f"api/sessions/{name}/report.fhir.json")
    assert bundle.headers["content-type"] == "application/fhir+json"
    assert bundle.json()["resourceType"] == "Bundle"
    past = (await client.get("api/journal/sessions", params={"patient": "bert-staff"})).json()
    assert [session["id"] for session in past] == [name]
    assert past[0]["ended"] > past[0]["opened"]


async def test_no_session_waits_while_a_report_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[threading.Thread] = []

    def write(account: Account) -> str:
        wrote.append(threading.current_thread())
        return account.sitting.id

    monkeypatch.setattr(staff, "_page", write)
    app = Starlette(routes=staff.ROUTES)
    app.state.entrance = Entrance(Access(bytes(32)))
    with keeping(Choice(), f"sqlite:///{tmp_path}/journal.sqlite", 365, "here") as journaling:
        assert journaling is not None
        journaling.journal.write(story())
        app.state.journaling = journaling
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            answer = await client.get(f"api/sessions/{ANNA}/report")
    assert answer.text == ANNA
    assert wrote[0] is not threading.current_thread()


async def test_the_report_of_a_session_that_never_played_says_so(client: httpx.AsyncClient, url: str) -> None:
    session = await open_session(url, goal="calm")
    page = await answered(client, f"api/sessions/{session['id']}/report")
    assert "This session never played" in page.text
    await client.delete(f"api/sessions/{session['id']}")


@pytest.mark.parametrize("ending", ["report", "report.csv", "report.fhir.json"])
async def test_a_report_of_no_session_is_refused_in_one_sentence(client: httpx.AsyncClient, ending: str) -> None:
    answer = await client.get(f"api/sessions/{'0' * 32}/{ending}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_session")
    assert "try again in a minute" in answer.json()["message"]
    assert "musicmed-live" not in answer.json()["message"]  # a page has no command line


async def test_the_report_is_confined_to_itself(client: httpx.AsyncClient, url: str) -> None:
    session = await open_session(url, goal="calm")
    page = await answered(client, f"api/sessions/{session['id']}/report")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    await client.delete(f"api/sessions/{session['id']}")


async def test_the_way_into_a_session_is_a_picture_of_its_address(client: httpx.AsyncClient, url: str) -> None:
    session = await open_session(url, goal="calm")
    answer = await client.get(f"api/sessions/{session['id']}/qr.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(answer.text).tag == "{http://www.w3.org/2000/svg}svg"
    assert session["tokens"]["patient"] not in answer.text
    await client.delete(f"api/sessions/{session['id']}")


async def test_the_last_plan_of_a_patient_can_be_asked_for_again(client: httpx.AsyncClient, url: str) -> None:
    wish = {
        "goal": {"valence": 0.5, "arousal": -0.5},
        "minutes": 12,
        "region": {"valence": [-0.5, 1.0], "arousal": [-1.0, 0.5]},
        "tempo_bpm": [50, 90],
        "instruments": {"prefer": ["harp"], "forbid": ["timpani"]},
        "control": "faces",
        "pauses": [{"after_minutes": 5, "minutes": 1}],
    }
    session = await open_session(url, patient="clara-staff", **wish)
    answer = await answered(client, "api/patients/clara-staff/plan", lambda answer: answer.json() is not None)
    plan = answer.json()
    assert {key: plan[key] for key in wish} == wish
    assert "seed" not in plan
    again = await open_session(url, **plan)
    for opened in (session, again):
        await client.delete(f"api/sessions/{opened['id']}")


async def test_a_patient_who_was_never_here_has_no_plan(client: httpx.AsyncClient) -> None:
    assert (await client.get("api/patients/nobody-staff/plan")).json() is None


@pytest.mark.parametrize("path", ["api/patients/a%20b/plan", "api/journal/sessions?patient=%00"])
async def test_what_is_no_pseudonym_is_refused_with_its_field(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["field"]) == (400, "patient")


async def test_all_that_can_be_wanted_and_forbidden_is_listed_with_the_generators_of_the_house(
    client: httpx.AsyncClient,
) -> None:
    choices = (await client.get("api/instruments")).json()
    assert choices["instruments"] == list(INSTRUMENTS)
    assert "ambient" in choices["styles"]
    assert choices["generators"] == ["composer"]


@pytest.mark.parametrize(
    "path", ["api/sessions", "api/journal/sessions", f"api/sessions/{'0' * 32}/report", "api/patients/anna/plan"]
)
async def test_nobody_sees_anything_without_a_token(guarded: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=guarded) as nobody:
        assert (await nobody.get(path)).json()["code"] == "bad_token"


async def test_a_nurse_is_no_therapist(guarded: str, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "nurse", "Nora")
    async with httpx.AsyncClient(base_url=guarded, headers=bearer(token)) as nurse:
        assert (await nurse.get("api/sessions")).json()["code"] == "forbidden"


async def test_a_therapist_is_told_of_by_name(guarded: str, admin: httpx.AsyncClient) -> None:
    token = await token_of(admin, "therapist", "Thea")
    session = (await admin.post("api/sessions", json={"goal": "calm"})).json()
    async with httpx.AsyncClient(base_url=guarded, headers=bearer(token)) as thea:
        entry = await listed(thea, session["id"])
    async with join(guarded, entry, "therapist") as therapist:
        await therapist.send("hold")
        await therapist.until(lambda: therapist.of_type("steered"))
        assert therapist.of_type("steered")[0] == {"type": "steered", "by": "Thea", "what": "hold"}


async def test_the_token_of_a_session_opens_the_report_of_no_other(guarded: str, admin: httpx.AsyncClient) -> None:
    one, other = [(await admin.post("api/sessions", json={"goal": "calm"})).json() for _ in range(2)]
    async with httpx.AsyncClient(base_url=guarded, params={"token": one["tokens"]["therapist"]}) as client:
        assert (await client.get(f"api/sessions/{other['id']}/report")).json()["code"] == "forbidden"
        assert (await client.get(f"api/sessions/{one['id']}/report")).json()["code"] == "no_journal"
    async with httpx.AsyncClient(base_url=guarded, params={"token": one["tokens"]["patient"]}) as client:
        assert (await client.get(f"api/sessions/{one['id']}/report")).json()["code"] == "forbidden"


async def test_without_a_journal_one_sentence_says_why_there_are_no_reports(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("api/journal/sessions")
    assert answer.status_code == 404
    assert re.fullmatch(r"[^.]+", answer.json()["message"])
    assert "keep one" in answer.json()["message"]
    assert "--" not in answer.json()["message"]  # a page has no command line


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def token_of(admin: httpx.AsyncClient, role: str, name: str) -> str:
    answer = await admin.post("api/tokens", json={"role": role, "name": name})
    answer.raise_for_status()
    token: str = answer.json()["token"]
    return token
