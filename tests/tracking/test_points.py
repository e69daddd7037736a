"""Tests of `lal.tracking.points`."""

import math

from hypothesis import given
from hypothesis import strategies as st

from lal.tracking.points import (
    Point,
    at_end,
    changed_params,
    flatten_metrics,
    flatten_params,
    make_points,
    metric_name,
    rename,
)


def test_params_are_flat_text_that_reads_like_the_file() -> None:
    params = {"seed": 1, "sft": {"epochs": 1.0, "compile": True, "size": None}, "gold": {"headline": ["a", "b"]}}
    assert flatten_params(params) == {
        "seed": "1",
        "sft.epochs": "1.0",
        "sft.compile": "true",
        "sft.size": "null",
        "gold.headline": '["a", "b"]',
    }


def test_metrics_are_the_numbers_and_nothing_else() -> None:
    metrics = {"a": {"b": 1, "c": None, "d": "text"}, "stopped_early": True, "e": [1], "f": 0.5}
    assert flatten_metrics(metrics) == {"a.b": 1.0, "stopped_early": 1.0, "f": 0.5}


@given(st.text(max_size=20), st.text(max_size=40))
def test_a_metric_name_has_only_characters_that_mlflow_allows(stage: str, key: str) -> None:
    allowed = set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-. /")
    assert set(metric_name(stage, key)) <= allowed


def test_names_keep_stage_and_matrix_apart() -> None:
    assert metric_name("train@gpt", "exact.lexicon+rules") == "train/gpt/exact.lexicon_rules"


def test_numbers_that_are_none_are_left_out() -> None:
    points = make_points("pretrain", {"loss": 1.5, "bad": math.nan, "worse": math.inf}, 3)
    assert [(point.key, point.value, point.step) for point in points] == [("pretrain/loss", 1.5, 3)]


def test_a_result_that_is_also_a_curve_ends_the_curve() -> None:
    points = [Point("a", 1.0, 0, 9), Point("b", 2.0, 0, 9)]
    assert at_end(points, {"a": 40}) == [Point("a", 1.0, 40, 9), Point("b", 2.0, 0, 9)]


def test_numbers_of_the_leaderboard_get_short_names() -> None:
    points = [Point("evaluate/headline.lal", 0.123456, 0, 9), Point("other", 1.0, 0, 9)]
    assert rename(points, {"headline": "evaluate/headline.lal", "keep": "absent"}) == [Point("headline", 0.1235, 0, 9)]


def test_what_changed_names_old_and_new() -> None:
    assert changed_params({"a": "1", "b": "2", "gone": "3"}, {"a": "1", "b": "5", "new": "x"}) == {
        "b": ("2", "5"),
        "new": ("(none)", "x"),
    }
