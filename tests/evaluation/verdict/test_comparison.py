from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from lal.evaluation.report.table import describe
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.statistics import paired
from lal.evaluation.verdict.comparison import ALPHA, MetricComparison, compare, decide
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


def result(item: str, place: str, passed: bool, **changes: object) -> Result:
    """A result without its text: only the scores matter."""
    slice_name, _, part = place.partition("/")
    values = {
        "item_id": item, "solver": "lal", "slice": slice_name, "subslice": part, "source": "macbeth",
        "scorer": "exact", "prompt": f"Modernise: {item}", "expected": "have", "alternatives": (), "text": "",
        "finish_reason": "stop", "num_tokens": 1, "scores": {"exact": float(passed)}, "explanation": "",
    }  # fmt: skip
    return Result.model_validate({**values, **changes})


def answers(slices: Mapping[str, str]) -> list[Result]:
    """Results of a model from slice -> signs."""
    return [
        result(f"{place}-{number}", place, sign == "+")
        for place, signs in slices.items()
        for number, sign in enumerate(signs)
    ]


def row(rows: Sequence[MetricComparison], metric: str, place: str) -> MetricComparison:
    return next(each for each in rows if (each.metric, each.slice) == (metric, place))


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
    comparison = compare(run(old), run(new))
    assert comparison.verdict == verdict
    assert row(comparison.rows, "exact", "all").verdict == verdict


def test_items_are_counted_by_what_happened_to_them(run: Run) -> None:
    comparison = compare(run("++--?+"), run("+-+-+?"))
    assert [old.item_id for old, _ in comparison.fixed] == ["i2"]
    assert [old.item_id for old, _ in comparison.broken] == ["i1"]
    assert (comparison.num_both_right, comparison.num_both_wrong, comparison.num_compared) == (1, 1, 4)
    assert comparison.left_out == {
        "i4": "no old answer that could be scored",
        "i5": "no new answer that could be scored",
    }


def test_an_item_that_was_reworded_or_is_on_one_side_only_is_left_out(run: Run, line: Items, said: Answers) -> None:
    reworded = line("i0", "haue", "hath")
    new = [*score_answers([reworded], [said(reworded, "have")]), *run("-+++")[1:2], *run("-+++")[3:]]
    comparison = compare(run("+++"), new)
    assert comparison.left_out == {
        "i0": "asked or accepted other words then",
        "i2": "not in the new answers",
        "i3": "not in the old answers",
    }


def test_swapping_the_sides_swaps_every_verdict() -> None:
    one = answers({"known": "-" * 9 + "+", "keep": "+" * 20, "context/major": "+-" * 15})
    two = answers({"known": "+" * 9 + "-", "keep": "+" * 12 + "-" * 8, "context/major": "-+" * 15})
    there, back = compare(one, two, ["known", "keep"]), compare(two, one, ["known", "keep"])
    turned = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
    assert [turned[each.verdict] for each in there.rows] == [each.verdict for each in back.rows]
    assert [each.adjusted_p for each in there.rows] == [each.adjusted_p for each in back.rows]


def test_a_comparison_is_told_in_a_sentence(run: Run) -> None:
    assert describe(compare(run("------"), run("++++++")), "new", "old") == (
        "new is better than old: 6 fixed, 0 broken of 6 (exact McNemar p = 0.031)"
    )


def test_rows_come_as_headline_all_slices_and_parts_that_are_large_enough() -> None:
    some = answers({"known": "+" * 9, "context/major": "+" * 20, "context/minor": "-" * 19})
    rows = compare(some, some, ["known", "context"]).rows
    assert [(each.metric, each.slice) for each in rows] == [
        ("exact", name) for name in ("headline", "all", "known", "context", "major")
    ]
    headline = rows[0]
    assert headline.old.value == pytest.approx((1 + 20 / 39) / 2)
    assert headline.difference.num_pairs == 48


def test_a_headline_with_a_slice_missing_is_no_headline() -> None:
    some = answers({"known": "++--"})
    assert "headline" not in {each.slice for each in compare(some, some, ["known", "keep"]).rows}


def test_right_and_wrong_count_by_an_items_own_scorer() -> None:
    some = [result("a", "known", True), result("b", "persona", True, scorer="checks", scores={"checks": 1.0})]
    rows = compare(some, some, ["known", "persona"]).rows
    assert [(each.metric, each.slice, each.difference.num_pairs) for each in rows] == [
        ("exact", "headline", 2), ("exact", "all", 1), ("exact", "known", 1), ("checks", "all", 1),
        ("checks", "persona", 1),
    ]  # fmt: skip


def test_a_regression_in_one_slice_is_seen_though_the_mean_hides_it() -> None:
    old = answers({"known": "-" * 12 + "+" * 48, "unseen": "-" * 60, "context": "+" * 60, "keep": "+" * 60})
    new = answers({"known": "+" * 60, "unseen": "-" * 60, "context": "+" * 60, "keep": "+" * 49 + "-" * 11})
    comparison = compare(old, new, ["known", "unseen", "context", "keep"])
    assert row(comparison.rows, "exact", "headline").verdict == "cannot tell"
    assert row(comparison.rows, "exact", "keep").verdict == "worse"
    assert row(comparison.rows, "exact", "known").verdict == "better"


def test_holm_asks_more_of_a_slice_among_others_than_of_one_alone() -> None:
    old, new = {"known": "-" * 6}, {"known": "+" * 6}
    same = dict.fromkeys(("a", "b", "c"), "+-" * 10)
    assert row(compare(answers(old), answers(new)).rows, "exact", "known").verdict == "better"
    among = row(compare(answers(old | same), answers(new | same)).rows, "exact", "known")
    assert among.adjusted_p == pytest.approx(4 * 0.03125)
    assert among.verdict == "cannot tell"


def equal_models(generator: np.random.Generator, slices: Mapping[str, tuple[int, float]]) -> list[Result]:
    """Answers of a model that is right with a chance of its own on each item; two of these are equally good."""
    return [
        result(f"{name}-{number}", name, bool(generator.random() < chance))
        for name, (count, chance) in slices.items()
        for number in range(count)
    ]


def test_of_a_hundred_comparisons_of_equal_models_few_see_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "MOST_EXACT_ITEMS", 0)  # how many more items it takes is not the question, and slow
    slices = {"known": (60, 0.98), "unseen": (75, 0.65), "context": (100, 0.65), "keep": (55, 0.95)}
    generator, any_slice, headline = np.random.default_rng(9), 0, 0
    for _ in range(100):
        rows = compare(equal_models(generator, slices), equal_models(generator, slices), list(slices)).rows
        any_slice += any(each.verdict != "cannot tell" for each in rows if each.slice in slices)
        headline += rows[0].verdict != "cannot tell"
    # At most 5 of 100 each, in the long run; 10 or more of 100 would have a chance of 3 %.
    assert any_slice < 10
    assert headline < 10


def graded(name: str, value: float, size: int = 4) -> Result:
    scores = {"word_accuracy": value, "bits_per_byte": 2 - value, "character_error_rate": 1 - value}
    return result(name, "known", False, scores=scores | {"exact": 0.0}, expected="h" * size)


def test_graded_scores_have_their_rows_and_less_is_better_where_it_is() -> None:
    generator = np.random.default_rng(10)
    values = generator.random(40) / 2
    old = [graded(f"i{number}", value) for number, value in enumerate(values)]
    new = [graded(f"i{number}", value + 0.1 * generator.random()) for number, value in enumerate(values)]
    rows = compare(old, new).rows
    verdicts = {each.metric: (each.verdict, each.lower_is_better) for each in rows if each.slice == "all"}
    assert verdicts == {
        "exact": ("cannot tell", False),
        "word_accuracy": ("better", False),
        "character_error_rate": ("better", True),
        "bits_per_byte": ("better", True),
    }


def test_bits_per_byte_are_all_bits_over_all_bytes() -> None:
    old = [graded("long", 0.0, size=30), graded("short", 1.0, size=10)]
    found = row(compare(old, old).rows, "bits_per_byte", "all")
    assert found.old.value == pytest.approx((2.0 * 30 + 1.0 * 10) / 40)


def test_what_is_open_says_how_many_more_items_would_settle_it() -> None:
    old, new = answers({"known": "-" * 9 + "+" * 51}), answers({"known": "+" * 6 + "---" + "+" * 48 + "---"})
    found = row(compare(old, new).rows, "exact", "known")
    assert found.verdict == "cannot tell"
    assert found.more_items is not None
    assert found.more_items > 60
    settled = row(compare(answers({"known": "-" * 9}), answers({"known": "+" * 9})).rows, "exact", "known")
    assert settled.more_items is None


def test_a_difference_can_be_asked_about() -> None:
    old, new = answers({"known": "-" * 9 + "+" * 51}), answers({"known": "+" * 60})
    small, large = (row(compare(old, new, size=size).rows, "exact", "known").more_items for size in (0.02, 0.3))
    assert small is not None
    assert small > 500
    assert large == 0


class Noise:
    """A spread of 0.02 on each score of the headline."""

    def units(self, metric: str, place: str, difference: float, /) -> float | None:
        return difference / 0.02 if (metric, place) == ("exact", "headline") else None


def test_a_difference_is_told_in_units_of_what_the_seed_does_too() -> None:
    old, new = answers({"known": "-+++"}), answers({"known": "++++"})
    rows = compare(old, new, ["known"], Noise()).rows
    assert row(rows, "exact", "headline").noise_units == pytest.approx(12.5)
    assert row(rows, "exact", "known").noise_units is None


def test_nothing_in_common_is_no_comparison() -> None:
    comparison = compare(answers({"known": "+"}), answers({"unseen": "+"}), ["known"])
    assert comparison.rows == ()
    assert (comparison.num_compared, comparison.verdict) == (0, "cannot tell")


def test_only_the_sign_and_the_p_value_decide() -> None:
    assert decide(0.001, ALPHA) == "better"
    assert decide(-0.001, ALPHA) == "worse"
    assert decide(0.9, ALPHA + 1e-9) == "cannot tell"
    assert decide(0.0, 0.0) == "cannot tell"
