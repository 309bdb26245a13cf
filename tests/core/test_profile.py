"""A patient's profile: it comes back as it went, and junk is refused with the place that is wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.core.exposure import Week
from musicmed_live.core.profile import MEANS, Baseline, Feature, Profile
from musicmed_live.errors import InvalidInput

WHOLE = Profile({Feature.HEART_RATE: Baseline(62.0, 4.0, 600.0, 0.25)}, report_sd=0.12)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    features = draw(st.sets(st.sampled_from(Feature)))
    baselines = {
        feature: Baseline(
            draw(st.floats(*MEANS[feature])), draw(st.floats(0.01, 50)), draw(st.floats(0, 1e6)), draw(st.floats(-1, 1))
        )
        for feature in features
    }
    return Profile(baselines, draw(st.floats(0.05, 0.35)))


def changed(*path: str, to: Any) -> str:
    """A whole profile's text with one value changed."""
    body = json.loads(WHOLE.to_json())
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return json.dumps(body)


@given(profiles())
def test_a_profile_comes_back_as_it_went(profile: Profile) -> None:
    assert Profile.from_json(profile.to_json()) == profile


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "profile: []"),
        ("{}", "version: null is not 1"),
        (changed("version", to=2), "version: 2 is not 1"),
        (changed("report_sd", to="small"), 'profile.report_sd: "small"'),
        (changed("report_sd", to=float("nan")), "profile.report_sd: NaN"),
        (changed("baselines", to=None), "baselines: null"),
        (changed("baselines", "mood", to={}), "mood"),
        (changed("baselines", "heart_rate", to=62), "baselines.heart_rate: 62"),
        (changed("baselines", "heart_rate", "mean", to=900), "baselines.heart_rate.mean: 900 is not from 20 to 300"),
        (changed("baselines", "heart_rate", "sd", to=0), "baselines.heart_rate.sd: 0"),
        (changed("baselines", "heart_rate", "seconds", to=-1), "baselines.heart_rate.seconds: -1"),
        (changed("baselines", "heart_rate", "arousal", to=None), "baselines.heart_rate.arousal: null"),
        (changed("baselines", "heart_rate", "median", to=62), "median"),
        (changed("name", to="Anna"), "name"),
    ],
)
def test_what_is_no_profile_is_refused_and_the_place_named(text: str, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Profile.from_json(text)
    assert named in refused.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda t: st.lists(t) | st.dictionaries(st.text(), t)
    )
)
def test_any_other_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        Profile.from_json(json.dumps(value))


def test_a_week_of_sound_comes_back() -> None:
    profile = Profile(week=Week({498_721: 0.25, 498_722: 1e-6}))
    assert Profile.from_json(profile.to_json()) == profile


def test_a_profile_from_before_there_were_weeks_has_an_empty_one() -> None:
    assert Profile.from_json('{"version": 1, "report_sd": 0.1, "baselines": {}}').week == Week()


@pytest.mark.parametrize("week", [[], {"x": 1}, {"-1": 1}, {"1": -1}, {"1": "1"}, {"1" * 30: 1}, {"1": 1e9}])
def test_a_week_that_cannot_be_is_refused(week: object) -> None:
    body = {"version": 1, "report_sd": 0.1, "baselines": {}, "exposure_pa2h": week}
    with pytest.raises(InvalidInput) as refused:
        Profile.from_json(json.dumps(body))
    assert refused.value.field.startswith("exposure_pa2h")
