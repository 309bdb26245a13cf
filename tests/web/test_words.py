"""The words of the pages: the same in every language, each used somewhere, none missing."""

import json
import re
from collections import Counter

import pytest

from musicmed_live.composer.harmony import MODES, Scale
from musicmed_live.core.emotion import WORDS
from musicmed_live.core.reasons import SENTENCES
from tests.e2e.browser import Page
from tests.web.conftest import WEB, run_script

ROOMS = "patient|therapist|kiosk|calibrate|why|mood|music"
MESSAGES: dict[str, dict[str, str]] = json.loads((WEB / "messages.json").read_text(encoding="utf-8"))
KEYS = set(MESSAGES["en"])
PAGES = [path.read_text(encoding="utf-8") for path in sorted(WEB.iterdir()) if path.suffix in {".html", ".js"}]
# A key stands in a page as a whole, "patient.stop", or as the beginning of several: `why.${key}`.
NAMED = {key for page in PAGES for key in re.findall(rf'"((?:{ROOMS})\.[A-Za-z0-9_.#]+)"', page)}
BEGINNINGS = {start for page in PAGES for start in re.findall(rf"`((?:{ROOMS})\.[A-Za-z0-9_.#]*)\$\{{", page)}


def test_every_language_has_the_same_keys() -> None:
    assert [set(words) ^ KEYS for words in MESSAGES.values()] == [set()] * len(MESSAGES)


@pytest.mark.parametrize("language", MESSAGES)
def test_a_sentence_takes_the_same_values_in_every_language(language: str) -> None:
    for key, text in MESSAGES[language].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", MESSAGES["en"][key])), key


def test_no_sentence_is_empty() -> None:
    assert [key for words in MESSAGES.values() for key, text in words.items() if not text.strip()] == []


def test_no_key_stands_twice() -> None:
    keys = re.findall(rf'^\s+"((?:{ROOMS})\.[A-Za-z0-9_.#]+)":', (WEB / "messages.json").read_text(), re.MULTILINE)

    assert [key for key, count in Counter(keys).items() if count != len(MESSAGES)] == []


def test_every_key_that_a_page_uses_exists() -> None:
    assert not NAMED - KEYS
    assert [start for start in BEGINNINGS if not any(key.startswith(start) for key in KEYS)] == []


def test_every_key_is_used() -> None:
    assert [key for key in KEYS - NAMED if not key.startswith(tuple(BEGINNINGS))] == []


def test_every_reason_of_the_server_has_its_sentence() -> None:
    said = {key: MESSAGES["en"].get(f"why.{key}") for key in SENTENCES}

    assert said == {key: f"{sentence}." for key, sentence in SENTENCES.items()}


def test_every_mood_word_of_the_server_is_translated() -> None:
    assert {f"mood.{word}" for word in WORDS} <= KEYS


def test_every_key_that_the_composer_writes_in_is_translated() -> None:
    keys = [Scale(tonic, mode).name.split() for tonic in range(12) for mode in MODES]
    assert {f"music.tonic.{tonic}" for tonic, _ in keys} | {f"music.mode.{mode}" for _, mode in keys} <= KEYS


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("en", ["B major", "B flat minor", "F sharp Lydian", "X blue"]),
        ("de", ["H-Dur", "B-Moll", "Fis lydisch", "X blue"]),
    ],
)
def test_a_key_has_the_name_that_the_reader_gives_it(modules: Page, language: str, names: list[str]) -> None:
    script = f"""const words = await import('/words.js');
    const before = words.language();
    words.chooseLanguage('{language}');
    const names = ["B ionian", "Bb aeolian", "F# lydian", "X blue"].map(words.keyName);
    words.chooseLanguage(before);
    return names;"""
    assert run_script(modules, script) == names


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ([None, None, "de-AT", "en"], "de"),
        (["de", "en", "en"], "de"),
        ([None, "en", "de"], "en"),
        (["xx", "fr-FR", "en-GB", "de"], "en"),
        (["tlh"], "en"),
        (["DE"], "de"),
    ],
)
def test_the_first_language_that_there_is_is_spoken(modules: Page, wanted: list[str | None], spoken: str) -> None:
    script = f"const {{languageOf}} = await import('/words.js'); return languageOf({json.dumps(wanted)}, ['en', 'de']);"

    assert run_script(modules, script) == spoken


def test_values_are_put_into_a_sentence_as_they_are(modules: Page) -> None:
    script = (
        "const {filled} = await import('/words.js');"
        "return filled('{mood}, {times} times, {mood}, {other}', {mood: '<b>$&{times}</b>', times: 2});"
    )

    assert run_script(modules, script) == "<b>$&{times}</b>, 2 times, <b>$&{times}</b>, {other}"


def test_words_are_put_where_the_markup_asks_for_them(modules: Page) -> None:
    script = """
        const words = await import("/words.js");
        await words.loadWords();
        words.chooseLanguage("de");
        const page = document.createElement("div");
        page.innerHTML = '<p data-say="mood.calm"></p><button data-say-label="mood.sad"></button>';
        words.localize(page);
        localStorage.clear();
        return [page.children[0].textContent, page.children[1].ariaLabel, words.moodName("wistful")];
    """

    assert run_script(modules, script) == ["ruhig", "traurig", "wistful"]
