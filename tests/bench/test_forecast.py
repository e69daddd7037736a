"""The bench of the forecast, on a text of a few hundred tokens: it trains, and its rows say what came out."""

from pathlib import Path

from bench.forecast import measure
from tests.tiny_training import tiny_params, write_inputs


def test_each_run_is_a_row_with_what_was_foretold_and_measured(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    rows = measure(tiny_params(), tmp_path / "tokens", tmp_path / "tokenizer", [(16, 5), (16, 40)], page=None)
    assert [(row["width"], row["steps"]) for row in rows] == [(16, 5), (16, 40)]
    short, long = (float(str(row["measured"])) for row in rows)
    assert long < short
    low, high = map(float, str(rows[1]["range"]).split(" to "))
    assert low < float(str(rows[1]["foretold"])) < high
    assert (rows[1]["inside"] == "yes") == (low <= long <= high)
