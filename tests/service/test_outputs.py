"""Calibrated outputs: kept whole, checked, and asked for over HTTP."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.testclient import TestClient

from musicmed_live.cli import main
from musicmed_live.core.pink import noise_dbfs_a, pink_noise
from musicmed_live.errors import InvalidInput
from musicmed_live.service import soundcard
from musicmed_live.service.access import Access, StaffRole
from musicmed_live.service.calibrating import RISE_FRAMES, RisingNoise
from musicmed_live.service.entrance import Entrance
from musicmed_live.service.guard import error_response
from musicmed_live.service.outputs import ROUTES, Outputs, default_outputs

KEY = "the-key-that-these-tests-use"


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "state" / "outputs.json")


def test_an_output_leads_from_full_scale_to_the_meter(outputs: Outputs, tmp_path: Path) -> None:
    kept = outputs.put("Room 12 loudspeaker", 62.5)
    assert kept.offset_db + noise_dbfs_a() == pytest.approx(62.5)
    assert Outputs(tmp_path / "state" / "outputs.json").find("Room 12 loudspeaker") == kept
    assert (tmp_path / "state" / "outputs.json").stat().st_mode & 0o777 == 0o600


def test_it_is_calibrated_anew_and_forgotten(outputs: Outputs) -> None:
    outputs.put("bed", 62.5)
    outputs.put("bed", 58.0)
    assert outputs.find("bed").meter_dba == 58.0
    outputs.remove("bed")
    assert not outputs.all()


def test_one_that_is_not_known_is_refused_with_the_way_to_calibrate_it(outputs: Outputs) -> None:
    with pytest.raises(InvalidInput, match=r"calibrate\.html.*musicmed-live calibrate NAME") as refused:
        outputs.find("bed")
    assert (refused.value.code, refused.value.field) == ("unknown_output", "output")


@pytest.mark.parametrize("name", ["", " bed", "../x", "a/b", "x" * 65, "a\nb", "\x00", "<b>"])
def test_a_name_that_could_harm_is_refused(outputs: Outputs, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        outputs.put(name, 60.0)
    assert refused.value.field == "name"


@pytest.mark.parametrize("meter_dba", [29.9, 100.1, float("nan"), float("inf")])
def test_a_reading_that_no_meter_shows_is_refused(outputs: Outputs, meter_dba: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        outputs.put("bed", meter_dba)
    assert refused.value.field == "meter_dba"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "outputs": []}', '{"version": 1, "outputs": [{"name": "x"}]}', "\x00"]
)
def test_a_damaged_file_leaves_no_output_calibrated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(text)
    assert Outputs(path).all() == {}
    Outputs(path).put("bed", 60.0)
    assert set(Outputs(path).all()) == {"bed"}
    assert (tmp_path / "outputs.damaged").read_text() == text


def test_a_file_that_cannot_be_read_for_now_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "outputs.json").mkdir()
    outputs = Outputs(tmp_path / "outputs.json")
    assert outputs.all() == {}
    with pytest.raises(InvalidInput) as refused:
        outputs.put("bed", 60.0)
    assert refused.value.code == "not_kept"
    assert (tmp_path / "outputs.json").is_dir()


# Over HTTP


def bare(outputs: Outputs, is_open: bool) -> TestClient:
    """The calls alone, without a music server."""
    entrance = Entrance(Access(bytes(32)), KEY, is_open)
    app = Starlette(routes=ROUTES, exception_handlers={InvalidInput: lambda _, fault: error_response(fault)})
    app.state.entrance, app.state.hub = entrance, SimpleNamespace(outputs=outputs)
    return TestClient(app)


@pytest.fixture
def client(outputs: Outputs) -> TestClient:
    return bare(outputs, is_open=True)


def test_a_session_may_be_bound_in_dba_once_its_output_is_calibrated(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        wish = {"goal": "calm", "output": "Zimmer 3", "loudest_dba": 50}
        refused = client.post("api/sessions", json=wish)
        assert (refused.status_code, refused.json()["code"]) == (400, "unknown_output")
        assert client.put("api/outputs/Zimmer 3", json={"meter_dba": 62.5}).json()["offset_db"] == pytest.approx(
            62.5 - noise_dbfs_a(), abs=0.01
        )
        opened = client.post("api/sessions", json={**wish, "patient": "dora"}).json()
        state = client.get(f"api/sessions/{opened['id']}").json()
        assert state["level"] == {"lufs": None, "dba": None}
        assert [output["name"] for output in client.get("api/outputs").json()] == ["Zimmer 3"]
        assert client.get("api/patients/dora/dose").json() is None
        client.delete(f"api/sessions/{opened['id']}")
        assert client.delete("api/outputs/Zimmer 3").status_code == 204
        assert client.get("api/outputs").json() == []


@pytest.mark.parametrize(
    "body", [{}, {"meter_dba": "60"}, {"meter_dba": True}, {"meter_dba": 1e300}, {"meter_dba": 60, "x": 1}]
)
def test_what_is_no_calibration_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.put("/api/outputs/bed", json=body)
    assert answer.status_code == 400
    assert answer.json()["field"] in ("meter_dba", "x")


def test_the_presets_have_their_sources(client: TestClient) -> None:
    presets = client.get("/api/presets").json()
    assert {preset["name"]: preset["dba"] for preset in presets} == {"amta": 65, "ward_night": 30}
    assert all(preset["source"] for preset in presets)


def test_the_noise_is_a_sound_file(client: TestClient) -> None:
    samples, rate = soundfile.read(io.BytesIO(client.get("/api/noise.wav").content), dtype="float32")
    assert rate == 48_000
    assert np.allclose(samples, pink_noise(), atol=1e-4)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "outputs"), ("PUT", "outputs/x"), ("DELETE", "outputs/x"), ("GET", "patients/anna/dose")],
)
def test_only_the_staff_may_ask_where_the_server_is_guarded(outputs: Outputs, method: str, path: str) -> None:
    guarded = bare(outputs, is_open=False)
    assert guarded.request(method, f"/api/{path}").status_code == 401


def test_a_kiosk_may_see_the_outputs_but_calibrate_none(outputs: Outputs) -> None:
    guarded = bare(outputs, is_open=False)
    token = Access(bytes(32)).grant(StaffRole.KIOSK, name="bed 3", seconds=60)
    shown = {"Authorization": f"Bearer {token}"}
    assert guarded.get("/api/outputs", headers=shown).status_code == 200
    assert guarded.put("/api/outputs/x", headers=shown, json={"meter_dba": 60}).json()["code"] == "forbidden"
    assert guarded.get("/api/patients/anna/dose", headers=shown).json()["code"] == "forbidden"
    assert guarded.put("/api/outputs/x", headers={"Authorization": f"Bearer {KEY}"}, json={"meter_dba": 60}).is_success


# musicmed-live calibrate


class Card:
    """Takes a second of what is played."""

    def __init__(self, player: soundcard.Player) -> None:
        self.heard = np.zeros((48_000, 2), np.float32)
        player.read(self.heard)

    def close(self) -> None:
        pass


def test_the_command_keeps_what_the_meter_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(soundcard, "open_stream", Card)
    monkeypatch.setattr("builtins.input", lambda _: "61,5")
    main(["calibrate", "Own card"])
    assert default_outputs().find("Own card").meter_dba == 61.5
    assert "61.5 dB(A)" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["", "loud", "1000", "nan"])
def test_what_is_no_reading_is_one_sentence_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(soundcard, "open_stream", Card)
    monkeypatch.setattr("builtins.input", lambda _: typed)
    with pytest.raises(SystemExit):
        main(["calibrate", "Own card"])
    assert capsys.readouterr().err.count("\n") == 1
    assert not default_outputs().all()


def test_the_noise_comes_up_from_very_softly_and_stays() -> None:
    noise, heard = RisingNoise(), np.zeros((RISE_FRAMES + 48_000, 2), np.float32)
    for start in range(0, len(heard), 1000):
        noise.read(heard[start : start + 1000])
    assert np.abs(heard[:4800]).max() < 0.002
    assert np.allclose(heard[RISE_FRAMES:], pink_noise()[RISE_FRAMES : RISE_FRAMES + 48_000], atol=1e-6)


def test_it_is_json_that_others_can_read(outputs: Outputs, tmp_path: Path) -> None:
    outputs.put("Küche", 55.0)
    body = json.loads((tmp_path / "state" / "outputs.json").read_text("utf-8"))
    assert body["outputs"][0]["name"] == "Küche"
