"""The noise floor: how far the scores of one recipe lie apart when nothing but the seed differs.

Two kinds of chance stand behind a difference of two models, and they are two numbers here. Item noise: another hundred
questions would have given another score; the intervals of a comparison tell it. Seed noise: another training of the
same recipe, asked the same questions, gives another score; no interval made from one pair of models can know it.
"""

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from lal.errors import DataError
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import (
    ALL,
    BITS,
    GRADED,
    HEADLINE,
    PASSES,
    build_scoreboard,
    has_headline,
    score_weights,
)
from lal.files import read_json, write_json
from lal.records import Many, Record

MEASURES = (*GRADED, BITS)

NOT_MEASURED = {"measured": False}
"""What the file says before the first `lal noise`: it must exist, since DVC has it as a dependency."""

REMEDY = "run `lal noise`, or `git checkout` the file"

Scores = dict[str, dict[str, float]]
"""Metric -> slice -> score."""


class Subject(Record):
    """What a noise floor was measured on: another subject has another one."""

    profile: str
    """The file that says what was trained."""
    params: dict[str, Any]
    """The sections of params.yaml that decide it, the profile's values in place."""
    parameters: Annotated[int, Field(ge=1)]
    """Size of the model."""
    num_items: Annotated[int, Field(ge=1)]
    gold_sha256: str
    """Of the questions asked and the answers accepted, see `gold_digest`."""
    corpus_sha256: str
    conversations_sha256: str
    """Of the train.jsonl of either."""


class NoiseFloor(Record):
    """Spread between seeds, by metric and slice; what metrics/noise.json holds."""

    measured: bool = True
    num_seeds: Annotated[int, Field(ge=2)]
    deviations: dict[str, dict[str, float]]
    """Standard deviation between seeds, by metric and slice."""
    means: dict[str, dict[str, float]]
    scores: dict[str, dict[str, Many[float]]]
    """What each seed scored, in the order of `seeds`."""
    seeds: Many[int]
    subject: Subject

    def spread(self, metric: str, slice_name: str) -> float | None:
        """The standard deviation of a score between seeds; None where it was not measured."""
        return self.deviations.get(metric, {}).get(slice_name)

    def units(self, metric: str, slice_name: str, difference: float) -> float | None:
        """A difference of two trained models in units of what the seed alone does.

        The difference of two trainings of one recipe has standard deviation sqrt(2) times that of a single one. Compare
        the units with `critical_units`, not with 2: a spread from a few seeds is itself uncertain.

        Returns:
            None where there is no spread, or where all seeds scored the same: nothing divides by 0.
        """
        spread = self.spread(metric, slice_name)
        return difference / (math.sqrt(2) * spread) if spread else None

    def spread_interval(self, metric: str, slice_name: str) -> tuple[float, float] | None:
        """The 95 % interval of a spread itself, taking the scores of seeds as normal; None as in `spread`.

        Five seeds leave a spread between 0.6 and 2.9 times what they showed.

        Source: chi-square interval of a variance, e.g. Snedecor and Cochran, "Statistical Methods", section 5.11.
        """
        spread = self.spread(metric, slice_name)
        if spread is None:
            return None
        low, high = spread_factors(self.num_seeds)
        return low * spread, high * spread

    @property
    def critical_units(self) -> float:
        """Units that the seed alone exceeds, up or down, once in twenty times: Student's t at `num_seeds` - 1."""
        return t_quantile(0.975, self.num_seeds - 1)

    def changes(self, subject: Mapping[str, Any]) -> list[str]:
        """What is different now from what was measured, as phrases for a person; empty if nothing is.

        Args:
            subject: Those fields of `Subject` that are known where the question is asked.
        """
        before = self.subject.model_dump()
        differing = [name for name, value in subject.items() if before[name] != value]
        told = {
            "profile": "another profile",
            "params": "other params",
            "parameters": f"a model of {before['parameters']:,} parameters",
            "num_items": f"{before['num_items']:,} gold items",
            "gold_sha256": "other gold items",
            "corpus_sha256": "another corpus",
            "conversations_sha256": "other conversations",
        }
        return [told[name] for name in differing]


def read_noise(path: Path) -> NoiseFloor | None:
    """Reads metrics/noise.json; None if it says that nothing was measured yet.

    Raises:
        DataError: The file is missing or says neither.
    """
    content = read_json(path)
    if content == NOT_MEASURED:
        return None
    try:
        return NoiseFloor.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(f"{path}: not a noise floor: {where}: {first['msg']}", REMEDY) from error


def write_noise(path: Path, floor: NoiseFloor | None) -> None:
    """Writes metrics/noise.json, with None the form that says that nothing was measured."""
    write_json(path, NOT_MEASURED if floor is None else floor.model_dump(mode="json"))


def describe_floor(floor: NoiseFloor | None, results: Sequence[Result]) -> str:
    """What the units of a comparison are, and whether they are still those of this gold set, in two sentences at most.

    Args:
        floor: What metrics/noise.json holds.
        results: The answers that are compared.
    """
    if floor is None:
        return "How far the seed alone moves a score was not measured yet: `lal noise` does."
    told = (
        f"Seed noise: {floor.num_seeds} trainings of {floor.subject.profile} that differ in the seed alone; two of "
        f"them differ by more than {floor.critical_units:.1f} units once in twenty times."
    )
    changed = floor.changes({"gold_sha256": gold_digest(results)}) if results else []
    return f"{told} It was measured with {changed[0]}: `lal noise` asks its models again." if changed else told


def noise_floor(scores: Mapping[int, Scores], subject: Subject) -> NoiseFloor:
    """The spread of what each seed scored; a slice that one of them has no score for is left out.

    Args:
        scores: Seed -> its scores; two seeds at least.
        subject: What they were measured on.
    """
    assert len(scores) >= 2, "one training has no spread"
    first, *others = scores.values()
    kept = {
        metric: {
            name: tuple(by_metric[metric][name] for by_metric in scores.values())
            for name in slices
            if all(name in other.get(metric, {}) for other in others)
        }
        for metric, slices in first.items()
    }
    return NoiseFloor(
        num_seeds=len(scores),
        deviations=_over_seeds(kept, statistics.stdev),
        means=_over_seeds(kept, statistics.fmean),
        scores=kept,
        seeds=tuple(scores),
        subject=subject,
    )


def seed_scores(results: Sequence[Result], headline_slices: Sequence[str]) -> Scores:
    """One model's scores by metric and slice, named as in a comparison.

    Slices are `headline` (unweighted mean of the headline slices), `all`, and the columns of the gold table. What has
    no value in a slice is absent.
    """
    columns = build_scoreboard(results, headline_slices).columns
    found: Scores = {}
    for metric in (*PASSES, *MEASURES):
        slices = {HEADLINE: _headline(results, metric, headline_slices), ALL: _mean(results, metric)}
        for column in columns:
            slices[column.name] = _mean([result for result in results if column.has(result)], metric)
        if present := {name: value for name, value in slices.items() if value is not None}:
            found[metric] = present
    return found


def gold_digest(results: Iterable[Result]) -> str:
    """SHA-256 of what was asked and what was accepted, item by item, whoever answered and in whatever order."""
    asked = sorted({(result.item_id, result.slice, result.subslice, *result.question) for result in results})
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def spread_factors(num_seeds: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a standard deviation from so many normal values, as multiples of it.

    Example:
        >>> low, high = spread_factors(5)
        >>> round(low, 2), round(high, 2)
        (0.6, 2.87)
    """
    freedom = num_seeds - 1
    quantiles = [_quantile(lambda x: _chi_square(x, freedom), share, 10.0 * freedom + 100) for share in (0.975, 0.025)]
    return math.sqrt(freedom / quantiles[0]), math.sqrt(freedom / quantiles[1])


def t_quantile(share: float, freedom: int) -> float:
    """Quantile of Student's t for a share from 0.5 to 0.99.

    Example:
        >>> round(t_quantile(0.975, 4), 3)
        2.776
    """
    assert 0.5 <= share <= 0.99, share
    return _quantile(lambda x: _student(x, freedom), share, 100.0)


def _over_seeds(
    scores: Mapping[str, Mapping[str, tuple[float, ...]]], figure: Callable[[tuple[float, ...]], float]
) -> dict[str, dict[str, float]]:
    return {
        metric: {name: round(figure(values), 6) for name, values in slices.items()} for metric, slices in scores.items()
    }


def _headline(results: Sequence[Result], metric: str, slices: Sequence[str]) -> float | None:
    """The mean of the slices' means; None if one of them has too little for a mean."""
    groups = [[result for result in results if result.slice == name] for name in slices]
    if metric in PASSES:
        # A headline may have slices of both kinds; right is right, and stands under one of the two names.
        kinds = {result.scorer for group in groups for result in group}
        if metric != ("exact" if "exact" in kinds else "checks"):
            return None
        scored = [[(float(each.passed), 1) for each in group if each.passed is not None] for group in groups]
    else:
        scored = [_scored(group, metric) for group in groups]
    if not has_headline(metric, [len(group) for group in scored]):
        return None
    return statistics.fmean(_weighted(metric, group) for group in scored)


def _mean(results: Iterable[Result], metric: str) -> float | None:
    """The mean of what was scored; pass and fail count only where they are the item's own scorer."""
    scored = _scored(results, metric)
    return _weighted(metric, scored) if scored else None


def _scored(results: Iterable[Result], metric: str) -> list[tuple[float, int]]:
    """(score, bytes) of the items that have the score."""
    own = (result for result in results if metric not in PASSES or result.scorer == metric)
    return [(value, result.num_bytes) for result in own if (value := result.scores.get(metric)) is not None]


def _weighted(metric: str, scored: Sequence[tuple[float, int]]) -> float:
    return statistics.fmean((value for value, _ in scored), score_weights(metric, (size for _, size in scored)))


def _quantile(distribution: Callable[[float], float], share: float, most: float) -> float:
    """Where a rising distribution function reaches a share, by halving; scipy is no dependency of the product."""
    low, high = 0.0, most
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if distribution(middle) < share else (low, middle)
    return high


def _chi_square(x: float, freedom: int) -> float:
    """Distribution function of chi-square: the series of the incomplete gamma function.

    Source: Abramowitz and Stegun, 6.5.29 and 26.4.19.
    """
    if x <= 0:
        return 0.0
    a, half = freedom / 2, x / 2
    term = total = 1 / a
    number = a
    while term > total * 1e-15:
        number += 1
        term *= half / number
        total += term
    return min(1.0, total * math.exp(a * math.log(half) - half - math.lgamma(a)))


def _student(x: float, freedom: int) -> float:
    """Distribution function of Student's t for x >= 0: the finite sums over the angle.

    Source: Abramowitz and Stegun, 26.7.3 (odd degrees of freedom) and 26.7.4 (even).
    """
    angle = math.atan2(x, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(freedom // 2):
        total += term
        term *= cosine**2 * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    inner = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1 + inner) / 2
