"""What a bench writes into a page: its own block, and nothing else."""

from pathlib import Path

from bench.table import machine, render, replace_block, report

ROWS = [{"run": "ours", "steps": 1200, "loss": 1.5}, {"run": "theirs", "steps": 80, "loss": 1.88}]


def test_columns_line_up_and_numbers_stand_to_the_right() -> None:
    lines = render(ROWS).splitlines()
    assert lines == [
        "| run    | steps | loss |",
        "| ------ | ----: | ---: |",
        "| ours   | 1,200 |  1.5 |",
        "| theirs |    80 | 1.88 |",
    ]


def test_a_second_run_replaces_its_own_block_and_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "experiments.md"
    page.write_text("# Experiments\n\nWritten by a person.\n")
    for name, loss in (("race", 1.9), ("data", 2.0), ("race", 1.4)):
        report(name, f"The {name}", [{"loss": loss}], page=page)
    text = page.read_text()
    assert text.startswith("# Experiments\n\nWritten by a person.\n")
    assert text.count("<!-- bench:race -->") == text.count("<!-- bench:data -->") == 1
    assert "1.4" in text
    assert "2.0" in text
    assert "1.9" not in text
    assert machine() in text


def test_a_backslash_in_a_table_is_no_pattern() -> None:
    assert r"\1" in replace_block("<!-- bench:a -->old<!-- /bench:a -->", "a", r"\1")
