"""A session as a FHIR bundle, release 4 (HL7 FHIR 4.0.1), for a hospital's record: JSON objects, no library.

Valence and arousal have no code in LOINC or SNOMED CT, so they are of a code system of our own, which travels in the
bundle together with the questionnaire. Both are named by UUIDs, as FHIR lets those do who own no web address for them.
"""

import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from musicmed_live.core.emotion import Emotion
from musicmed_live.journal.account import Account, Beat
from musicmed_live.journal.entries import Kind

Resource = dict[str, Any]

CODES = "urn:uuid:0deb495d-3484-4f38-a877-979549031bda"
QUESTIONNAIRE = "urn:uuid:eec0a442-7daf-4e11-b0fb-0893ed1eb941"
PSEUDONYMS = "urn:uuid:cdd595de-c005-4a4e-a03f-b0bbf259a240"
SESSIONS = "urn:uuid:b190a679-7345-418f-921f-6a1ba76d174a"
_IDS = uuid.UUID("18d88086-2397-44c7-aba3-7ad7bccb8d2b")

_LOINC = "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_SPEC = "http://hl7.org/fhir/StructureDefinition"

AXES = {
    "valence": "How pleasant the patient says to feel: -1, most unpleasant, to 1, most pleasant (Russell 1980).",
    "arousal": "How activated the patient says to feel: -1, least, to 1, most (Russell 1980).",
}
_SESSION = "music-session"
_STATUS = {"ended": "completed", "deleted": "stopped", "failed": "stopped", "lost": "unknown"}  # of a procedure


def bundle(account: Account) -> Resource:
    """The session as a Bundle of type `collection`; the same session gives the same ids and references.

    It holds the patient by the pseudonym alone, the program that played (Device), the session (Procedure: it was done
    for the patient, and no practitioner need have met them as in an Encounter), each report as a QuestionnaireResponse
    with an Observation for either axis, and the heart rate. What is missing is said to be.
    """
    ids = _Ids(account.sitting.id)
    resources = [
        ("codes", _code_system()),
        ("questionnaire", _questionnaire()),
        ("patient", _patient(account)),
        ("device", _device(account)),
        ("session", _procedure(account, ids)),
        *_reports(account, ids),
        *((f"heart {n}", _heart_rate(beat, ids)) for n, beat in enumerate(account.beats)),
    ]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": SESSIONS, "value": account.sitting.id},
        "type": "collection",
        "timestamp": _instant(account.until),
        "entry": [
            {"fullUrl": ids.url(name), "resource": {**resource, "id": ids.of(name)}} for name, resource in resources
        ],
    }


class _Ids:
    """Names of a session's resources, as UUIDs of version 5 (RFC 9562, 5.5)."""

    def __init__(self, session: str) -> None:
        self._session = session

    def of(self, name: str) -> str:
        return str(uuid.uuid5(_IDS, f"{self._session}/{name}"))

    def url(self, name: str) -> str:
        return f"urn:uuid:{self.of(name)}"

    def reference(self, name: str) -> Resource:
        return {"reference": self.url(name)}


def _code_system() -> Resource:
    concepts = [{"code": axis, "display": axis.capitalize(), "definition": meaning} for axis, meaning in AXES.items()]
    concepts.append({"code": _SESSION, "display": "Session of music composed while it plays"})
    return {
        "resourceType": "CodeSystem",
        "url": CODES,
        "version": "1",
        "name": "MusicmedLive",
        "title": "Mood as musicmed live asks for it",
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "concept": concepts,
    }


def _questionnaire() -> Resource:
    items = [
        {
            "linkId": axis,
            "code": [_own(axis)],
            "text": meaning,
            "type": "decimal",
            "extension": [
                {"url": f"{_SPEC}/minValue", "valueDecimal": -1},
                {"url": f"{_SPEC}/maxValue", "valueDecimal": 1},
            ],
        }
        for axis, meaning in AXES.items()
    ]
    return {
        "resourceType": "Questionnaire",
        "url": QUESTIONNAIRE,
        "version": "1",
        "name": "MusicmedLiveMood",
        "title": "How do you feel now?",
        "status": "active",
        "subjectType": ["Patient"],
        "item": items,
    }


def _patient(account: Account) -> Resource:
    return {
        "resourceType": "Patient",
        "identifier": [{"use": "secondary", "system": PSEUDONYMS, "value": account.sitting.patient}],
    }


def _device(account: Account) -> Resource:
    versions = account.opened.get("versions", {})
    return {
        "resourceType": "Device",
        "deviceName": [{"name": "musicmed live", "type": "user-friendly-name"}],
        "version": [{"type": {"text": name}, "value": str(number)} for name, number in versions.items() if str(number)],
    }


def _procedure(account: Account, ids: _Ids) -> Resource:
    """The session: `not-done` where nothing was ever heard."""
    period = {"start": _instant(account.sitting.opened_at)}
    if account.ended is None:
        status = "in-progress"
    else:
        status, period["end"] = _STATUS.get(account.ended["reason"], "unknown"), _instant(account.until)
    if not account.clips:
        status = "preparation" if account.ended is None else "not-done"
    return {
        "resourceType": "Procedure",
        "identifier": [{"system": SESSIONS, "value": account.sitting.id}],
        "status": status,
        "code": {"coding": [_own(_SESSION)], "text": "Session of music composed while it plays"},
        "subject": ids.reference("patient"),
        "performedPeriod": period,
        "performer": [{"actor": ids.reference("device")}],
        "note": [
            {"text": f"{account.heard_seconds / 60:.1f} min of music was heard; it led to {_said(account.goal)}."}
        ],
    }


def _reports(account: Account, ids: _Ids) -> Iterator[tuple[str, Resource]]:
    """What the patient said, and what that comes to on either axis. A therapist may have said it for them."""
    told = (entry for entry in account.of_kind(Kind.EVENT) if entry.body["event"] == "report")
    for number, entry in enumerate(told):
        name, at = f"report {number}", _instant(entry.at)
        response = {
            "resourceType": "QuestionnaireResponse",
            "partOf": [ids.reference("session")],
            "questionnaire": f"{QUESTIONNAIRE}|1",
            "status": "completed",
            "subject": ids.reference("patient"),
            "authored": at,
            "item": [{"linkId": axis, "answer": [{"valueDecimal": entry.body[axis]}]} for axis in AXES],
        }
        if entry.body["by"] == "patient":
            response["source"] = ids.reference("patient")
        yield name, response
        for axis in AXES:
            yield f"{name} {axis}", _mood(axis, entry.body[axis], at, name, ids)


def _mood(axis: str, value: float, at: str, response: str, ids: _Ids) -> Resource:
    return {
        "resourceType": "Observation",
        "partOf": [ids.reference("session")],
        "status": "final",
        "category": [_category("survey")],
        "code": {"coding": [_own(axis)], "text": axis.capitalize()},
        "subject": ids.reference("patient"),
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "system": _UCUM, "code": "1"},
        "derivedFrom": [ids.reference(response)],
    }


def _heart_rate(beat: Beat, ids: _Ids) -> Resource:
    """As the profile of FHIR's vital signs has it. A source that was not to be trusted gives no value."""
    observation = {
        "resourceType": "Observation",
        "meta": {"profile": [f"{_SPEC}/heartrate"]},
        "partOf": [ids.reference("session")],
        "status": "final",
        "category": [_category("vital-signs")],
        "code": {"coding": [{"system": _LOINC, "code": "8867-4", "display": "Heart rate"}], "text": "Heart rate"},
        "subject": ids.reference("patient"),
        "effectiveDateTime": _instant(beat.at),
    }
    if beat.heart_rate_bpm is None or not math.isfinite(beat.heart_rate_bpm):
        reason = {"system": f"{_TERMS}/data-absent-reason", "code": "error", "display": "Error"}
        return {**observation, "dataAbsentReason": {"coding": [reason], "text": "The sensor was not to be trusted"}}
    value = {"value": beat.heart_rate_bpm, "unit": "beats/minute", "system": _UCUM, "code": "/min"}
    return {**observation, "valueQuantity": value}


def _own(code: str) -> Resource:
    return {"system": CODES, "version": "1", "code": code}


def _category(code: str) -> Resource:
    return {"coding": [{"system": f"{_TERMS}/observation-category", "code": code}]}


def _said(emotion: Emotion) -> str:
    return f"valence {emotion.valence:.2f}, arousal {emotion.arousal:.2f}"


def _instant(at: float) -> str:
    """A FHIR instant of seconds since 1970: to the millisecond, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
