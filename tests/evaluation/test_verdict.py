from collections.abc import Callable

import pytest

from lal.evaluation.results import Result
from lal.evaluation.scoring import score_answers
from lal.evaluation.table import describe
from lal.evaluation.verdict import compare
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


@pytest.fixture
def run(line: Items, said: Answers) -> Callable[[str], list[Result]]:
    """Makes results out of a string of `+` (right), `-` (wrong) and `?` (no answer), one item each."""

    def make(signs: str) -> list[Result]:
        items = [line(f"i{number}", "haue", "have") for number in range(len(signs))]
        answers = [
            said(item, "have" if sign == "+" else "haue", finish_reason="error" if sign == "?" else "stop")
            for item, sign in zip(items, signs, strict=True)
        ]
        return score_answers(items, answers)

    return make


Run = Callable[[str], list[Result]]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("-" * 6, "+" * 6, "better"),
        ("+" * 6, "-" * 6, "worse"),
        ("-" * 5, "+" * 5, "cannot tell"),
        ("-" * 10 + "+" * 3, "+" * 10 + "-" * 3, "cannot tell"),
        ("-" * 15 + "+" * 5, "+" * 15 + "-" * 5, "better"),
        ("++--", "++--", "cannot tell"),
    ],
)
def test_a_difference_counts_only_when_it_is_larger_than_chance(run: Run, old: str, new: str, verdict: str) -> None:
    assert compare(run(old), run(new)).verdict == verdict


def test_items_are_counted_by_what_happened_to_them(run: Run) -> None:
    comparison = compare(run("++--?+"), run("+-+-+?"))
    assert [old.item_id for old, _ in comparison.fixed] == ["i2"]
    assert [old.item_id for old, _ in comparison.broken] == ["i1"]
    assert (comparison.num_both_right, comparison.num_both_wrong, comparison.num_compared) == (1, 1, 4)
    assert comparison.left_out == ("i4", "i5")


def test_an_item_that_was_reworded_or_is_on_one_side_only_is_left_out(run: Run, line: Items, said: Answers) -> None:
    reworded = line("i0", "haue", "hath")
    comparison = compare(run("+++"), [*score_answers([reworded], [said(reworded, "have")]), *run("-+")[1:]])
    assert comparison.left_out == ("i0", "i2")


def test_swapping_the_sides_swaps_the_verdict(run: Run) -> None:
    one, two = run("-" * 9 + "+"), run("+" * 9 + "-")
    there, back = compare(one, two), compare(two, one)
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert there.p_value == back.p_value


def test_a_comparison_is_told_in_a_sentence(run: Run) -> None:
    assert describe(compare(run("------"), run("++++++")), "new", "old") == (
        "new is better than old: 6 fixed, 0 broken of 6 (exact McNemar p = 0.031)"
    )
