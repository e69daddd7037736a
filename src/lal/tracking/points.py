"""Numbers and params as MLflow wants them: flat, finite, named in the characters it allows."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """A number of a run, at a training step (0 for a final result) and a time in milliseconds since 1970."""

    key: str
    value: float
    step: int
    time: int


def make_points(stage: str, values: Mapping[str, float], step: int) -> list[Point]:
    """Some numbers as points of now; NaN and infinity, which MLflow stores as 1.8e308, are left out."""
    now = int(time.time() * 1000)
    finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
    return [Point(metric_name(stage, key), value, step, now) for key, value in finite.items()]


def rename(points: list[Point], names: Mapping[str, str]) -> list[Point]:
    """The points whose key is a value of `names`, under that name, rounded to four digits for a narrow column."""
    values = {point.key: point for point in points}
    found = {name: values[key] for name, key in names.items() if key in values}
    return [Point(name, round(point.value, 4), 0, point.time) for name, point in found.items()]


def at_end(points: list[Point], last_step: Mapping[str, int]) -> list[Point]:
    """Moves final results that are also curves to the curve's last step: tables show the point with the highest one."""
    return [Point(point.key, point.value, last_step.get(point.key, point.step), point.time) for point in points]


def metric_name(stage: str, key: str) -> str:
    """`stage/key` in the characters MLflow allows; its chart page groups by what stands before the slash."""
    return re.sub(r"[^0-9A-Za-z_. /-]", "_", f"{stage.replace('@', '/')}/{key}")


def flatten_metrics(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested metrics under dotted names, as `dvc metrics` shows them; text, lists and null are left out.

    Example:
        >>> flatten_metrics({"keep": {"exact": 0.5}, "items": 3, "verdict": "better"})
        {'keep.exact': 0.5, 'items': 3.0}
    """
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= flatten_metrics(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)):
            flat[f"{prefix}{key}"] = float(value)
    return flat


def flatten_texts(stage: str, metrics: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The words of nested metrics under the names that numbers have there; they become tags, which MLflow's pages show.

    Example:
        >>> flatten_texts("sft", {"diagnosis": {"finding": "plateau"}, "items": 3, "lines": ["a"]})
        {'sft/diagnosis.finding': 'plateau'}
    """
    flat: dict[str, str] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= flatten_texts(stage, value, f"{prefix}{key}.")
        elif isinstance(value, str):
            flat[metric_name(stage, f"{prefix}{key}")] = value
    return flat


def flatten_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested params under dotted names, each as text: words as they are, everything else as JSON.

    Example:
        >>> flatten_params({"sft": {"epochs": 1.0, "precision": "auto"}, "gold": {"headline": ["known"]}})
        {'sft.epochs': '1.0', 'sft.precision': 'auto', 'gold.headline': '["known"]'}
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat |= flatten_params(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def changed_params(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Key -> (old, new) of the flat params that differ; one that was not there before has `(none)` as its old value."""
    return {key: (before.get(key, "(none)"), value) for key, value in after.items() if before.get(key) != value}
