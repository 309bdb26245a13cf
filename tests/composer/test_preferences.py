"""Preferences: known names only, and never a ban on everything."""

import pytest

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.preferences import STYLES, Layer, check_preferences, choose_ensemble
from musicmed_live.core.generator import Preference
from musicmed_live.errors import InvalidInput


@pytest.mark.parametrize(
    ("instruments", "style", "field", "listed"),
    [
        (Preference(prefer=("kazoo",)), Preference(), "instruments.prefer", "piano"),
        (Preference(forbid=("kazoo",)), Preference(), "instruments.forbid", "piano"),
        (Preference(), Preference(prefer=("polka",)), "style.prefer", "chamber"),
        (Preference(), Preference(forbid=("polka",)), "style.forbid", "chamber"),
        (Preference(forbid=tuple(INSTRUMENTS)), Preference(), "instruments.forbid", "piano"),
    ],
)
def test_what_cannot_be_met_is_refused_with_the_names_that_exist(
    instruments: Preference, style: Preference, field: str, listed: str
) -> None:
    with pytest.raises(InvalidInput, match=listed) as refused:
        check_preferences(instruments, style)
    assert refused.value.field == field


def test_a_name_both_preferred_and_forbidden_is_forbidden() -> None:
    ensemble = choose_ensemble(Preference(prefer=("flute",), forbid=("flute",)))
    assert not ensemble.allows("flute")
    assert "flute" not in ensemble.wanted


def test_styles_name_existing_instruments_and_may_be_preferred_or_forbidden() -> None:
    for name, style in STYLES.items():
        assert set(style.instruments) <= set(INSTRUMENTS)
        typical = max(style.instruments, key=lambda one: style.instruments[one])
        assert choose_ensemble(style=Preference(prefer=(name,))).weights[typical] > 1
        assert choose_ensemble(style=Preference(forbid=(name,))).weights[typical] < 1


def test_an_ambient_style_fades_the_drums_down() -> None:
    assert choose_ensemble(style=Preference(prefer=("ambient",))).fader_db(Layer.DRUMS) < -6
    assert choose_ensemble().fader_db(Layer.DRUMS) == 0
