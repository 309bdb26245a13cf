"""A session as a FHIR bundle."""

import json
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.journal.account import Account, account_of
from musicmed_live.journal.entries import Entry, Kind, Sitting
from musicmed_live.journal.fhir import AXES, CODES, QUESTIONNAIRE, bundle
from tests.journal.stories import ANNA, NOON, clip, done, entry, opened, point, reading, story

Resource = dict[str, Any]


def account(*entries: Entry) -> Account:
    """The account of a session in which that happened."""
    ended = entries[-1].at if entries and entries[-1].kind is Kind.ENDED else None
    return account_of(Sitting(ANNA, "anna", NOON, ended), [entry(0, Kind.OPENED, opened()), *entries])


@pytest.fixture(scope="module")
def whole() -> Resource:
    return bundle(account_of(Sitting(ANNA, "anna", NOON, NOON + 900), story()))


def of_type(found: Resource, kind: str) -> list[Resource]:
    return [e["resource"] for e in found["entry"] if e["resource"]["resourceType"] == kind]


def observations(found: Resource, code: str) -> list[Resource]:
    return [o for o in of_type(found, "Observation") if o["code"]["coding"][0]["code"] == code]


def references(value: Any) -> list[str]:
    """All that a resource refers to."""
    if isinstance(value, list):
        return [each for item in value for each in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if "reference" in value else []
    return own + [each for item in value.values() for each in references(item)]


def test_a_bundle_is_valid_and_survives_being_written(whole: Resource) -> None:
    read = Bundle.model_validate_json(json.dumps(whole))
    assert read.type == "collection"
    assert len(read.entry or []) == len(whole["entry"])


def test_every_reference_is_of_something_in_the_bundle(whole: Resource) -> None:
    urls = [e["fullUrl"] for e in whole["entry"]]
    assert len(set(urls)) == len(urls)
    assert set(references(whole)) <= set(urls)
    assert all(e["fullUrl"] == f"urn:uuid:{e['resource']['id']}" for e in whole["entry"])


def test_the_patient_is_a_pseudonym_and_nothing_else(whole: Resource) -> None:
    (patient,) = of_type(whole, "Patient")
    assert set(patient) == {"resourceType", "id", "identifier"}
    assert [found["value"] for found in patient["identifier"]] == ["anna"]


def test_a_report_is_a_response_and_an_observation_for_either_axis(whole: Resource) -> None:
    responses = of_type(whole, "QuestionnaireResponse")
    assert len(responses) == 5
    first = responses[0]
    assert first["questionnaire"] == f"{QUESTIONNAIRE}|1"
    assert {item["linkId"]: item["answer"] for item in first["item"]} == {
        "valence": [{"valueDecimal": -0.7}],
        "arousal": [{"valueDecimal": 0.7}],
    }
    assert "source" in first
    for axis, value in (("valence", -0.7), ("arousal", 0.7)):
        observed = observations(whole, axis)
        assert len(observed) == 5
        assert observed[0]["valueQuantity"]["value"] == value
        assert observed[0]["derivedFrom"] == [{"reference": f"urn:uuid:{first['id']}"}]
        assert observed[0]["code"]["coding"][0]["system"] == CODES


def test_the_questionnaire_and_the_codes_travel_along(whole: Resource) -> None:
    (questionnaire,), (codes,) = of_type(whole, "Questionnaire"), of_type(whole, "CodeSystem")
    assert (questionnaire["url"], codes["url"]) == (QUESTIONNAIRE, CODES)
    assert [item["linkId"] for item in questionnaire["item"]] == list(AXES)
    known = {concept["code"] for concept in codes["concept"]}
    used = [c for r in whole["entry"] for c in r["resource"].get("code", {}).get("coding", []) if c["system"] == CODES]
    assert {coding["code"] for coding in used} <= known


def test_a_word_that_somebody_else_passed_on_does_not_claim_to_be_the_patients() -> None:
    (response,) = of_type(
        bundle(account(done(3, "report", "therapist", valence=0.1, arousal=0.2))), "QuestionnaireResponse"
    )
    assert "source" not in response


def test_a_heart_rate_has_its_loinc_code_and_unit(whole: Resource) -> None:
    first = observations(whole, "8867-4")[0]
    assert first["code"]["coding"][0]["system"] == "http://loinc.org"
    assert (first["valueQuantity"]["value"], first["valueQuantity"]["code"]) == (92.0, "/min")
    assert first["category"][0]["coding"][0]["code"] == "vital-signs"


def test_a_heart_rate_that_is_missing_is_said_to_be() -> None:
    found = bundle(account(entry(5, Kind.READING, reading(None, 0.0)), entry(15, Kind.READING, reading(80.0, 1.0))))
    absent, known = observations(found, "8867-4")
    assert "valueQuantity" not in absent
    assert absent["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert "dataAbsentReason" not in known


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([], "preparation"),
        ([entry(9, Kind.ENDED, {"reason": "ended", "underruns": 0, "bridges": 0})], "not-done"),
        ([entry(0, Kind.CLIP, clip(point(0, 0), point(0, 0), None))], "in-progress"),
        (
            [
                entry(0, Kind.CLIP, clip(point(0, 0), point(0, 0), None)),
                entry(9, Kind.ENDED, {"reason": "deleted", "underruns": 0, "bridges": 0}),
            ],
            "stopped",
        ),
    ],
)
def test_what_became_of_the_session(entries: list[Entry], status: str) -> None:
    found = bundle(account(*entries))
    Bundle.model_validate(found)
    (session,) = of_type(found, "Procedure")
    assert session["status"] == status
    assert ("end" in session["performedPeriod"]) == (status not in ("preparation", "in-progress"))


def test_the_same_session_gives_the_same_bundle(whole: Resource) -> None:
    assert bundle(account_of(Sitting(ANNA, "anna", NOON, NOON + 900), story())) == whole
    other = bundle(account_of(Sitting("f" * 32, "anna", NOON, NOON + 900), story(session="f" * 32)))
    assert not {e["fullUrl"] for e in other["entry"]} & {e["fullUrl"] for e in whole["entry"]}


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=5),
    st.lists(st.one_of(st.none(), st.floats(20, 300)), max_size=5),
)
def test_any_session_gives_a_valid_bundle(moods: list[tuple[float, float]], beats: list[float | None]) -> None:
    entries = [done(n, "report", **point(*mood)) for n, mood in enumerate(moods)]
    entries += [entry(n, Kind.READING, reading(bpm, 1.0 if bpm else 0.0)) for n, bpm in enumerate(beats)]
    found = bundle(account(*entries))
    Bundle.model_validate(found)
    json.dumps(found, allow_nan=False)
    assert len(of_type(found, "QuestionnaireResponse")) == len(moods)
    assert len(observations(found, "8867-4")) == len(beats)
