from collections.abc import Callable
from pathlib import Path

import pytest

from lal.errors import DataError
from lal.evaluation.scores.results import of_solver, read_results, solvers, table_rows, write_results
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


def test_what_is_written_is_what_is_read(tmp_path: Path, line: Items, question: Items, said: Answers) -> None:
    items = [line("a", "haue", "have", alternatives=("hath",)), question("b", "Who are you?", "Lal")]
    results = score_answers(items, [said(items[0], "haue\u2028!"), said(items[1], "Nobody.", finish_reason="length")])
    write_results(tmp_path / "gold.jsonl", results)
    assert read_results(tmp_path / "gold.jsonl") == results


def test_rows_stand_by_item_and_then_by_solver(line: Items, said: Answers) -> None:
    one, two = line("a", "haue", "have"), line("b", "loue", "love")
    answers = [said(item, "x", solver) for solver in ("copy", "lal") for item in (two, one)]
    results = score_answers([one, two], answers)
    assert [(r.item_id, r.solver) for r in results] == [("a", "copy"), ("a", "lal"), ("b", "copy"), ("b", "lal")]
    assert solvers(results) == ["copy", "lal"]
    assert [r.item_id for r in of_solver(results, "lal")] == ["a", "b"]


def test_the_file_holds_nothing_that_differs_from_run_to_run(tmp_path: Path, line: Items, said: Answers) -> None:
    item = line("a", "haue", "have")
    for name, seconds in (("one", 0.1), ("two", 99.0)):
        write_results(tmp_path / name, score_answers([item], [said(item, "have", seconds=seconds)]))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_whether_it_passed_is_none_without_a_score(line: Items, said: Answers) -> None:
    item = line("a", "haue", "have")
    texts = [("have", "stop"), ("haue", "stop"), ("", "error")]
    assert [score_answers([item], [said(item, text, finish_reason=why)])[0].passed for text, why in texts] == [
        True,
        False,
        None,
    ]


def test_the_table_has_a_row_an_item_with_every_solvers_answer(line: Items, question: Items, said: Answers) -> None:
    items = [line("a", "haue", "have"), question("b", "Who?", "Lal")]
    answers = [said(item, "x", solver="lal") for item in items] + [said(items[0], "have", solver="lexicon")]
    rows = table_rows(score_answers(items, answers), "lal")
    assert len({tuple(row) for row in rows}) == 1
    assert [row["answer"] for row in rows] == ["x", "x"]
    assert [row["lexicon"] for row in rows] == ["have", None]
    assert rows[0]["passed"] is False


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such result file") as caught:
        read_results(tmp_path / "gold.jsonl")
    assert "dvc repro" in caught.value.remedy


def test_a_file_without_results_and_one_with_an_item_twice_are_errors(
    tmp_path: Path, line: Items, said: Answers
) -> None:
    file, item = tmp_path / "gold.jsonl", line("a", "haue", "have")
    file.write_text("")
    with pytest.raises(DataError, match="holds no results"):
        read_results(file)
    write_results(file, score_answers([item], [said(item, "have")]) * 2)
    with pytest.raises(DataError, match="lal answers item 'a' twice"):
        read_results(file)
