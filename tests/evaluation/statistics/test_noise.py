import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lal.errors import DataError
from lal.evaluation.scores.results import Result
from lal.evaluation.statistics.noise import (
    NOT_MEASURED,
    NoiseFloor,
    Subject,
    describe_floor,
    gold_digest,
    noise_floor,
    read_noise,
    seed_scores,
    spread_factors,
    t_quantile,
    write_noise,
)
from lal.evaluation.verdict.comparison import compare
from lal.evaluation.verdict.contests import paired_contest
from lal.files import write_json

SUBJECT = Subject(
    profile="profiles/small.yaml",
    params={"pretrain": {"steps": 200}},
    parameters=935_296,
    num_items=600,
    gold_sha256="a" * 64,
    corpus_sha256="b" * 64,
    conversations_sha256="c" * 64,
)
SCORES = (0.60, 0.62, 0.64, 0.61, 0.63)


def floor_of(*values: float) -> NoiseFloor:
    return noise_floor({1337 + n: {"exact": {"headline": value}} for n, value in enumerate(values)}, SUBJECT)


def result(identity: str, slice_name: str, passed: bool, scorer: str = "exact", **changes: Any) -> Result:
    values: dict[str, Any] = {
        "item_id": identity,
        "solver": "lal",
        "slice": slice_name,
        "subslice": "",
        "source": "macbeth",
        "scorer": scorer,
        "prompt": f"Modernise: {identity}",
        "expected": "have",
        "alternatives": (),
        "text": "have",
        "finish_reason": "stop",
        "num_tokens": 1,
        "scores": {scorer: float(passed)},
        "explanation": "",
    }
    return Result(**(values | changes))


def test_the_spread_is_the_standard_deviation_between_seeds() -> None:
    floor = floor_of(*SCORES)
    assert floor.spread("exact", "headline") == pytest.approx(float(np.std(SCORES, ddof=1)), abs=1e-6)
    assert floor.means["exact"]["headline"] == pytest.approx(0.62)
    assert (floor.num_seeds, floor.seeds) == (5, (1337, 1338, 1339, 1340, 1341))


def test_a_difference_is_told_in_standard_deviations_of_a_difference_of_two_trainings() -> None:
    floor = floor_of(*SCORES)
    spread = floor.spread("exact", "headline")
    assert spread is not None
    assert floor.units("exact", "headline", math.sqrt(2) * spread) == pytest.approx(1)
    assert floor.units("exact", "headline", -0.05) == pytest.approx(-0.05 / (math.sqrt(2) * spread))


def test_what_was_not_measured_and_what_never_moved_has_no_units() -> None:
    floor = floor_of(0.5, 0.5, 0.5)
    assert floor.spread("exact", "headline") == 0
    assert floor.units("exact", "headline", 0.1) is None
    assert floor.units("exact", "keep", 0.1) is None
    assert floor.spread("bits_per_byte", "headline") is None
    assert floor.spread_interval("exact", "keep") is None


def test_two_trainings_of_one_recipe_exceed_the_critical_units_once_in_twenty_times() -> None:
    rng = np.random.default_rng(3)
    trials, exceeded = 2000, 0
    for scores in rng.normal(0.6, 0.02, size=(trials, 7)):
        floor = floor_of(*scores[:5])
        units = floor.units("exact", "headline", scores[5] - scores[6])
        assert units is not None
        exceeded += abs(units) > floor.critical_units
    assert exceeded / trials == pytest.approx(0.05, abs=0.015)  # three standard errors


def test_the_interval_of_a_spread_holds_the_true_one_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(4)
    low, high = spread_factors(5)
    spreads = np.std(rng.normal(size=(20_000, 5)), axis=1, ddof=1)
    assert np.mean((low * spreads <= 1) & (high * spreads >= 1)) == pytest.approx(0.95, abs=0.005)


@given(st.integers(2, 80))
@settings(max_examples=20, deadline=None)
def test_the_quantiles_are_those_of_scipy(num_seeds: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    freedom = num_seeds - 1
    expected = [math.sqrt(freedom / stats.chi2.ppf(share, freedom)) for share in (0.975, 0.025)]
    assert spread_factors(num_seeds) == pytest.approx(expected, rel=1e-9)
    assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_a_slice_that_one_seed_has_no_score_for_is_left_out() -> None:
    floor = noise_floor({1: {"exact": {"a": 0.1, "b": 0.2}}, 2: {"exact": {"a": 0.3}}}, SUBJECT)
    assert floor.deviations == {"exact": {"a": pytest.approx(0.141421)}}


def test_scores_are_by_metric_and_slice_with_the_headline_as_mean_of_its_slices() -> None:
    results = [
        result("a", "known", True, scores={"exact": 1.0, "word_accuracy": 1.0, "bits_per_byte": 0.5}),
        result("b", "known", False, scores={"exact": 0.0, "word_accuracy": 0.5, "bits_per_byte": 1.5}),
        result("c", "keep", True, scores={"exact": 1.0, "word_accuracy": None, "bits_per_byte": 0.1}),
        result("d", "persona", True, "checks"),
    ]
    scores = seed_scores(results, ("known", "keep"))
    assert scores["exact"] == {"headline": 0.75, "all": pytest.approx(2 / 3), "known": 0.5, "keep": 1.0}
    assert scores["checks"] == {"all": 1.0, "persona": 1.0}
    assert scores["word_accuracy"] == {"all": 0.75, "known": 0.75}
    assert "headline" not in scores["bits_per_byte"]  # of three graded items; see `has_headline`


def test_scores_are_those_of_a_comparison_and_of_the_gate() -> None:
    """Bits weighted by bytes, and a headline of graded scores where there is one, or the units would be another's."""
    results = [
        result(
            f"{place}-{number}", place, number % 3 > 0, subslice="rare" if place == "known" else "",
            expected="have " * (1 + number % 5),
            scores={
                "exact": float(number % 3 > 0), "word_accuracy": number / 30, "bits_per_byte": 1 / (1 + number),
                "changed_words": number / 30 if place == "known" or number < 4 else None,
            },
        )
        for place in ("known", "keep")
        for number in range(30)
    ]  # fmt: skip
    headline = ("known", "keep")
    scores = seed_scores(results, headline)
    rows = {(row.metric, row.slice): row.new.value for row in compare(results, results, headline).rows}
    assert {(metric, name) for metric, slices in scores.items() for name in slices} == rows.keys()
    assert ("changed_words", "headline") not in rows
    for (metric, name), value in rows.items():
        assert scores[metric][name] == pytest.approx(value)
        contest = paired_contest(results, results, metric, name, headline)
        assert contest is not None
        assert contest.value == pytest.approx(value)
    assert paired_contest(results, results, "changed_words", "headline", headline) is None


def test_a_floor_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    write_noise(path, floor_of(*SCORES))
    assert read_noise(path) == floor_of(*SCORES)
    assert json.loads(path.read_text())["measured"] is True


def test_a_file_that_says_not_measured_is_none_and_any_other_an_error(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    write_noise(path, None)
    assert json.loads(path.read_text()) == NOT_MEASURED
    assert read_noise(path) is None
    write_json(path, {"num_seeds": 1})
    with pytest.raises(DataError, match=r"noise\.json: not a noise floor: num_seeds"):
        read_noise(path)
    path.unlink()
    with pytest.raises(DataError, match=r"noise\.json"):
        read_noise(path)


def test_the_file_in_the_repository_can_be_read() -> None:
    read_noise(Path(__file__).parents[3] / "metrics" / "noise.json")


def test_the_digest_of_the_gold_set_is_of_the_questions_and_not_of_the_answers() -> None:
    one, two = result("a", "known", True), result("b", "keep", True)
    digest = gold_digest([one, two])
    assert gold_digest([two.model_copy(update={"text": "haue", "solver": "copy"}), one]) == digest
    for change in ({"expected": "had"}, {"alternatives": ("had",)}, {"prompt": "x"}, {"slice": "keep"}):
        assert gold_digest([one.model_copy(update=change), two]) != digest
    assert gold_digest([one]) != digest


def test_a_floor_measured_on_something_else_says_what_was_different() -> None:
    floor = floor_of(*SCORES)
    assert floor.changes(SUBJECT.model_dump()) == []
    assert floor.changes({"gold_sha256": "d" * 64, "parameters": 12}) == [
        "other gold items",
        "a model of 935,296 parameters",
    ]


def test_a_headline_may_have_slices_of_both_kinds() -> None:
    results = [result("a", "known", True), result("d", "persona", False, "checks")]
    assert seed_scores(results, ("known", "persona"))["exact"]["headline"] == 0.5
    assert "headline" not in seed_scores(results, ("known", "persona"))["checks"]
    assert "headline" not in seed_scores(results, ("known", "keep"))["exact"]


def test_a_stale_floor_and_one_never_measured_are_told() -> None:
    rows = [result("a", "known", True)]
    fresh = noise_floor(
        {1: {"exact": {"all": 0.1}}, 2: {"exact": {"all": 0.2}}},
        SUBJECT.model_copy(update={"gold_sha256": gold_digest(rows)}),
    )
    assert "once in twenty times" in describe_floor(fresh, rows)
    assert "measured with" not in describe_floor(fresh, rows)
    assert "measured with other gold items" in describe_floor(fresh, [result("b", "known", True)])
    assert "`lal noise`" in describe_floor(None, rows)
