import json

import pytest

from benchmarks.report import print_figures, print_table


def test_the_last_line_is_one_json_object_with_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["clip", "level"], [["first", -23.0]])
    print_figures("joins", {"step_ratio": 0.51239})
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["benchmark"] == "joins"
    assert last["figures"] == {"step_ratio": 0.5124}
    assert "core" in last["machine"]


def test_a_table_aligns_words_left_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["clip", "bars"], [["a", 7], ["second", 12]], title="Clips")
    assert capsys.readouterr().out == "\nClips\nclip    bars\na          7\nsecond    12\n"
