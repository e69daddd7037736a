import json
from collections.abc import Callable

import pytest

from lal.errors import ParamsError
from lal.evaluation.report.table import render_table
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import MIN_PART_ITEMS, build_scoreboard, check_headline, graded, metrics
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


@pytest.fixture
def results(line: Items, question: Items, said: Answers) -> list[Result]:
    """Two known lines, two of context, one to keep, one question; copy answers lines only."""
    items = [
        line("k1", "haue", "have"),
        line("k2", "loue", "love"),
        line("c1", "then", "than", slice="context", subslice="context-minority"),
        line("c2", "then", "then", slice="context", subslice="context-majority", source="henry-v"),
        line("s1", "Horse", "Horse", slice="keep"),
        question("p1", "Who are you?", "Lal"),
    ]
    answers = [said(item, item.prompt.split(": ")[1], "lexicon+rules") for item in items[:5]]
    texts = ["have", "love", "than", "than", "Horse", "I am Lal."]
    answers += [said(item, text) for item, text in zip(items, texts, strict=True)]
    return score_answers(items, answers)


@pytest.fixture
def parted(line: Items, said: Answers) -> Callable[..., list[Result]]:
    """Makes right answers to items of (slice, part, how many)."""

    def make(*parts: tuple[str, str, int]) -> list[Result]:
        items = [
            line(f"{name}{part}{number}", "haue", "have", slice=name, subslice=part)
            for name, part, count in parts
            for number in range(count)
        ]
        return score_answers(items, [said(item, "have") for item in items])

    return make


def test_slices_stand_in_the_order_of_the_gold_set_with_their_large_parts_below(
    parted: Callable[..., list[Result]],
) -> None:
    many, few = MIN_PART_ITEMS, MIN_PART_ITEMS - 1
    results = parted(("known", "", 2), ("context", "rare", many), ("context", "common", many), ("keep", "names", few))
    columns = build_scoreboard(results, ["known"]).columns
    assert [(column.name, column.is_part, column.num_items) for column in columns] == [
        ("known", False, 2),
        ("context", False, 2 * many),
        ("common", True, many),
        ("rare", True, many),
        ("keep", False, few),
    ]


def test_parts_of_two_slices_that_are_called_alike_are_counted_apart(
    parted: Callable[..., list[Result]],
) -> None:
    many = MIN_PART_ITEMS
    board = build_scoreboard(parted(("verse", "short", many), ("prose", "short", many + 1)), ["verse"])
    names = {column.name: column.num_items for column in board.columns}
    assert names == {"verse": many, "verse short": many, "prose": many + 1, "prose short": many + 1}
    assert [board.rows[0].cells[name].num_scored for name in names] == list(names.values())


def test_the_headline_is_the_mean_of_its_slices(results: list[Result]) -> None:
    board = build_scoreboard(results, ["known", "context", "keep"])
    lal, lexicon = board.row("lal"), board.row("lexicon+rules")
    assert lal is not None
    assert lexicon is not None
    assert lal.headline.value == pytest.approx((1 + 0.5 + 1) / 3)
    assert lexicon.headline.value == pytest.approx((0 + 0.5 + 1) / 3)
    assert board.rival("lal") == lexicon
    assert board.row("nobody") is None


def test_the_hybrid_has_a_row_and_is_nobodys_rival(line: Items, said: Answers) -> None:
    item = line("a", "haue", "have", slice="known")
    answers = [said(item, text, name) for name, text in (("copy", "haue"), ("lal", "haue"), ("hybrid", "have"))]
    board = build_scoreboard(score_answers([item], answers), ["known"])
    hybrid, rival = board.row("hybrid"), board.rival("lal")
    assert hybrid is not None
    assert rival is not None
    assert (hybrid.headline.value, rival.solver) == (1.0, "copy")


def test_a_solver_that_was_not_asked_has_no_share_and_no_headline_with_that_slice(results: list[Result]) -> None:
    row = build_scoreboard(results, ["known", "persona"]).row("lexicon+rules")
    assert row is not None
    assert row.cells["persona"].value is None
    assert row.headline.value is None


def test_the_guard_holds_only_if_enough_is_left_alone(line: Items, said: Answers) -> None:
    items = [line(f"s{i}", "Horse", "Horse", slice="keep") for i in range(20)]
    for broken, kept in ((1, True), (2, False)):
        answers = [said(item, "Horsse" if i < broken else "Horse") for i, item in enumerate(items)]
        row = build_scoreboard(score_answers(items, answers), ["keep"]).row("lal")
        assert row is not None
        assert row.keeps is kept


def test_graded_scores_are_given_for_all_and_for_each_slice_they_apply_to(results: list[Result]) -> None:
    lal = [result for result in results if result.solver == "lal"]
    changed = graded(lal, "changed_words")
    assert list(changed) == ["all", "known", "context", "keep"]
    assert (changed["all"].value, changed["all"].num_scored, changed["all"].num_unscored) == (1.0, 3, 2)
    assert changed["keep"].value is None


def test_metrics_are_numbers_under_keys_that_metrics_tools_take(results: list[Result]) -> None:
    numbers = metrics(results, ["known", "context", "keep"], "lal")
    assert numbers["headline"] == {"lexicon_rules": 0.5, "lal": 0.8333}
    assert numbers["exact"]["lal"]["context"] == 0.5
    assert numbers["checks"] == {"lal": {"persona": 1.0}}
    assert numbers["lal"]["num_items"] == 6
    assert numbers["lal"]["num_unscored"] == 0
    assert numbers["lal"]["keep_guard_met"] == 1
    assert numbers["lal"]["low"]["known"] < numbers["lal"]["high"]["known"] == 1.0
    json.dumps(numbers, allow_nan=False)


def test_what_was_not_scored_is_absent_from_the_metrics(results: list[Result]) -> None:
    numbers = metrics(results, ["persona"], "lal")
    assert numbers["headline"] == {"lal": 1.0}
    assert "keep" not in numbers["lal"]["changed_words"]
    assert "persona" not in numbers["exact"]["lal"]


def test_a_headline_slice_without_items_is_an_error_before_anything_costly(line: Items) -> None:
    with pytest.raises(ParamsError, match=r"gold\.headline names knwon") as caught:
        check_headline(["known", "knwon"], [line("a", "haue", "have")])
    assert "known" in caught.value.remedy


def test_the_table_has_a_line_a_slice_and_says_what_it_means(results: list[Result]) -> None:
    lines = render_table(results, ["known", "context", "keep"], "lal").splitlines()
    assert lines[0].split("  ")[-1].strip() == "lal, 95 % interval"
    assert lines[1].split()[:4] == ["headline", "5", "0.50", "0.83"]
    assert [line.split()[0] for line in lines[2:6]] == ["known", "context", "keep", "persona"]
    assert lines[5].split() == ["persona", "1", "-", "1.00", "0.21", "to", "1.00"]
    assert len({len(line) for line in lines[:6]}) == 1
    assert "Guard: 0.95 of keep must come back as it was; lal meets it with 1 of 1 (1.000)." in lines
    assert "cannot tell whether lal is better than lexicon+rules: 3 fixed, 1 broken of 5" in lines[-1]


def test_parts_are_indented_below_their_slice(parted: Callable[..., list[Result]]) -> None:
    lines = render_table(parted(("context", "rare", MIN_PART_ITEMS)), ["context"], "lal").splitlines()
    assert [line[: len("  rare")] for line in lines[2:4]] == ["contex", "  rare"]


def test_the_comparison_below_the_table_is_of_the_headline_slices(results: list[Result]) -> None:
    last = render_table(results, ["keep"], "lal").splitlines()[-1]
    assert "cannot tell whether lal is better than lexicon+rules: 0 fixed, 0 broken of 1" in last


def test_the_table_about_a_solver_that_is_not_there_still_shows_the_others(results: list[Result]) -> None:
    assert "lexicon+rules" in render_table(results, ["known"], "nobody")
