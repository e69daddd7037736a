"""One score of the model against another's, or against a number: the difference, at whatever confidence is asked for.

A difference is turned so that more is better, whatever the metric. Whoever asks for several of them decides how sure
each interval has to be; see `lal.evaluation.verdict.gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import ALL, HEADLINE, PASSES, has_headline, score_weights
from lal.evaluation.statistics.paired import Difference, difference_in_means, difference_in_passes, macro_difference
from lal.evaluation.verdict.comparison import LOWER_IS_BETTER
from lal.evaluation.verdict.floors import share_above

EACH = "each"
"""Every slice that has the metric."""


@dataclass(frozen=True)
class Pair:
    """One item that can be compared: the model's score, the other's, and the length of the right answer."""

    value: float
    limit: float
    num_bytes: int


@dataclass(frozen=True)
class Contest:
    """The model against something else on some items.

    Attributes:
        metric: What is compared.
        parts: Its items; of the headline, those of each slice apart.
        floor: The number, if it is one that the model stands against.
    """

    metric: str
    parts: tuple[tuple[Pair, ...], ...]
    floor: float | None = None

    @property
    def num_pairs(self) -> int:
        """Items compared."""
        return sum(map(len, self.parts))

    @cached_property
    def value(self) -> float:
        """The model's score: of the headline, the mean over its slices."""
        return sum(_mean(self.metric, part, "value") for part in self.parts) / len(self.parts)

    @cached_property
    def limit(self) -> float:
        """The other's, or the number."""
        if self.floor is not None:
            return self.floor
        return sum(_mean(self.metric, part, "limit") for part in self.parts) / len(self.parts)

    @property
    def counts(self) -> tuple[int, int] | None:
        """(right answers, items) where there are such: of one slice, not of a mean of slices."""
        if self.metric not in PASSES or len(self.parts) > 1:
            return None
        return round(sum(pair.value for pair in self.parts[0])), len(self.parts[0])

    def at(self, confidence: float) -> Difference:
        """How much better the model is, with its interval."""
        found = [self._part_at(part, confidence) for part in self.parts]
        return found[0] if len(found) == 1 else macro_difference(found)

    def _part_at(self, part: Sequence[Pair], confidence: float) -> Difference:
        new, old = [pair.value for pair in part], [pair.limit for pair in part]
        if self.metric in PASSES:
            if self.floor is not None:
                return share_above(round(sum(new)), len(new), self.floor, confidence)
            fixed = sum(pair.value > pair.limit for pair in part)
            broken = sum(pair.value < pair.limit for pair in part)
            return difference_in_passes(fixed, broken, len(part), confidence)
        if self.metric in LOWER_IS_BETTER:
            new, old = old, new
        weights = _weights(self.metric, part)
        return difference_in_means(old, new, weights=weights, confidence=confidence)


def paired_contest(
    new: Sequence[Result], old: Sequence[Result], metric: str, place: str, headline: Sequence[str]
) -> Contest | None:
    """The model against another on the items that both answered in the same wording and have the score of.

    Returns:
        None if there is no such item, or none in one of the headline's slices: a mean over others is another score.
    """
    before = {result.item_id: result for result in old}
    scored: list[tuple[Result, Pair]] = []
    for result in new:
        other = before.get(result.item_id)
        if other is None or other.question != result.question:
            continue
        value, limit = _score(result, metric, place), _score(other, metric, place)
        if value is not None and limit is not None:
            scored.append((result, Pair(value, limit, result.num_bytes)))
    return _contest(scored, metric, place, headline)


def floor_contest(
    new: Sequence[Result], floor: float, metric: str, place: str, headline: Sequence[str]
) -> Contest | None:
    """The model against a number; None as in `paired_contest`."""
    scored = [
        (result, Pair(value, floor, result.num_bytes))
        for result in new
        if (value := _score(result, metric, place)) is not None
    ]
    return _contest(scored, metric, place, headline, floor)


def within(result: Result, name: str) -> bool:
    """Whether an item counts in `all`, a slice, a subslice, or `slice subslice` as columns are called."""
    return name in (ALL, result.slice) or (
        result.subslice != "" and name in (result.subslice, f"{result.slice} {result.subslice}")
    )


def slices_with(results: Sequence[Result], metric: str) -> list[str]:
    """The slices in which at least one item has the score, in the order of the gold set."""
    return list(dict.fromkeys(each.slice for each in results if _score(each, metric, each.slice) is not None))


def _score(result: Result, metric: str, place: str) -> float | None:
    """A score; right and wrong by the item's own scorer, and in the headline, whose slices may have either, by both."""
    if metric not in PASSES:
        return result.scores.get(metric)
    counts = place == HEADLINE or result.scorer == metric
    return float(result.passed) if counts and result.passed is not None else None


def _contest(
    scored: Sequence[tuple[Result, Pair]], metric: str, place: str, headline: Sequence[str], floor: float | None = None
) -> Contest | None:
    names = tuple(headline) if place == HEADLINE else (place,)
    parts = tuple(tuple(pair for result, pair in scored if within(result, name)) for name in names)
    if metric in PASSES and not any(result.scorer == metric for result, _ in scored):
        return None
    if place == HEADLINE and not has_headline(metric, [len(part) for part in parts]):
        return None
    return Contest(metric, parts, floor) if parts and all(parts) else None


def _weights(metric: str, part: Sequence[Pair]) -> list[float] | None:
    return score_weights(metric, (pair.num_bytes for pair in part))


def _mean(metric: str, part: Sequence[Pair], which: str) -> float:
    weights = _weights(metric, part) or [1.0] * len(part)
    scores: list[float] = [getattr(pair, which) for pair in part]
    return sum(weight * score for weight, score in zip(weights, scores, strict=True)) / sum(weights)
