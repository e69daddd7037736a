import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lal.cli.gold import app
from lal.errors import DataError, LalError
from lal.evaluation.scores.results import Result as GoldResult
from lal.evaluation.scores.results import write_results

ROOT = Path(__file__).parents[2]


def result(item: str, solver: str, text: str, slice_name: str = "known") -> GoldResult:
    return GoldResult(
        item_id=item,
        solver=solver,
        slice=slice_name,
        subslice="",
        source="macbeth",
        scorer="exact",
        prompt=f"Modernise: Haue {item}",
        expected=f"Have {item}",
        alternatives=(),
        text=text,
        finish_reason="stop",
        num_tokens=3,
        scores={"exact": float(text == f"Have {item}"), "changed_words": None},
        explanation="",
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three items: the table is right on the first, lal on the last two."""
    results = [
        *[result("g1", "copy", "Have g1"), result("g1", "lal", "Hate\x1b[2J g1")],
        *[result("g2", "copy", "Haue g2", "unseen"), result("g2", "lal", "Have g2", "unseen")],
        *[result("g3", "copy", "Haue g3", "unseen"), result("g3", "lal", "Have g3", "unseen")],
    ]
    write_results(tmp_path / "gold.jsonl", results)
    return tmp_path / "gold.jsonl"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines_of(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def error_of(*arguments: object) -> LalError:
    error = run(*arguments).exception
    assert isinstance(error, LalError)
    return error


def test_the_table_is_printed_with_the_headline_of_the_params(file: Path) -> None:
    output = lines_of("table", file, "--params", ROOT / "params.yaml")
    assert re.search(r"unseen +2 +0\.00 +1\.00 +0\.34 to 1\.00", output)


def test_items_are_listed_with_answer_and_verdict(file: Path) -> None:
    output = lines_of("list", "--file", file)
    assert "g2  unseen, macbeth" in output
    assert "lal       Have g2   [right]" in output
    assert output.endswith("3 of 3 items\n")


def test_the_list_can_be_narrowed_to_a_slice_a_solver_and_failures(file: Path) -> None:
    assert "2 of 3 items" in lines_of("list", "--file", file, "--slice", "unseen")
    assert "0 of 3 items" in lines_of("list", "--file", file, "--slice", "unseen", "--failed")
    assert "2 of 3 items" in lines_of("list", "--file", file, "--solver", "copy", "--failed")


def test_an_item_is_shown_with_everyones_answers_and_scores(file: Path) -> None:
    output = lines_of("show", "g3", "--file", file)
    assert "copy      Haue g3   [wrong]" in output
    assert "lal       Have g3   [right]" in output
    assert "exact 1" in output
    assert "changed_words" not in output


def test_what_a_model_said_cannot_move_the_cursor(file: Path) -> None:
    assert "\x1b" not in lines_of("show", "g1", "--file", file)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    assert "dvc repro" in error_of("list", "--file", tmp_path / "gold.jsonl").remedy


def test_unknown_items_slices_and_solvers_are_answered_with_the_known_ones(file: Path) -> None:
    assert isinstance(error_of("show", "g9", "--file", file), DataError)
    assert "known, unseen" in error_of("list", "--file", file, "--slice", "unsen").remedy
    assert "copy, lal" in error_of("list", "--file", file, "--solver", "Lal").remedy
