"""A command says which packages it lacks, and how to get them."""

import pytest

from musicmed_live import cli


def test_fitting_without_what_reads_midi_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("models.commands.packages.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as left:
        cli.main(["models", "fit-recognizer", "--ratings", "a", "--renderings", "b", "--out", "c.json"])
    assert left.value.code == 2
    assert capsys.readouterr().err == "musicmed-live: fitting needs mido: pip install 'musicmed-live[training]'\n"
