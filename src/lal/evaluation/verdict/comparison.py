"""Is the new one better? Two sets of answers to the same items, compared pair by pair: by metric and by slice.

`decide` alone says better, worse or cannot tell; table and page show what it said. Holm's method makes the slices of a
metric one family: the chance that any of them is called better or worse while both models are equally good is at most
5 %. So it is for the parts of slices. The headline and all items alike are one question each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import (
    ALL,
    BITS,
    GRADED,
    HEADLINE,
    LARGEST,
    PASSES,
    build_scoreboard,
    has_headline,
    score_weights,
)
from lal.evaluation.statistics.intervals import Estimate, macro, mcnemar, mean, proportion
from lal.evaluation.statistics.paired import (
    Difference,
    difference_in_means,
    difference_in_passes,
    holm,
    items_to_settle,
    macro_difference,
)

ALPHA = 0.05
"""Chance of calling a difference that is none, both sides together."""

LOWER_IS_BETTER = ("character_error_rate", BITS)

Verdict = Literal["better", "worse", "cannot tell"]

Pair = tuple[Result, Result]
"""The old answer and the new one."""


class SeedNoise(Protocol):
    """What a comparison asks of `lal.evaluation.statistics.noise.NoiseFloor`."""

    def units(self, metric: str, place: str, difference: float, /) -> float | None:
        """A difference in units of what the seed alone does."""


@dataclass(frozen=True)
class MetricComparison:
    """One metric on one slice.

    Attributes:
        metric: exact, checks, or the name of a graded score.
        slice: headline (the mean of the headline slices), all, a slice, or a part of one.
        old: The old score on the items that are compared.
        new: The new one on the same items.
        difference: New minus old.
        adjusted_p: Its p-value, adjusted for the other slices of the metric.
        verdict: Whether the new one is better.
        more_items: How many more items would settle it, or a difference of the size asked about; None if settled, or
            if nothing tells.
        noise_units: The difference in standard deviations between two trainings that differ in the seed alone; None if
            that was not measured.
        lower_is_better: Whether a smaller score is the better one.
    """

    metric: str
    slice: str
    old: Estimate
    new: Estimate
    difference: Difference
    adjusted_p: float
    verdict: Verdict
    more_items: int | None
    noise_units: float | None
    lower_is_better: bool


@dataclass(frozen=True)
class Comparison:
    """How a new set of answers differs from an old one.

    Attributes:
        rows: By metric: the headline, all items, then slice by slice, each followed by its parts.
        fixed: (old, new) of the items that only the new one gets right.
        broken: (old, new) of the items that only the old one gets right.
        num_both_right: Items that both get right.
        num_both_wrong: Items that both get wrong.
        left_out: Id -> why, of the items that cannot be compared.
    """

    rows: tuple[MetricComparison, ...]
    fixed: tuple[Pair, ...]
    broken: tuple[Pair, ...]
    num_both_right: int
    num_both_wrong: int
    left_out: Mapping[str, str]

    @property
    def p_value(self) -> float:
        """Exact McNemar over all items: the chance of a split at least this uneven between equally good models."""
        return mcnemar(len(self.fixed), len(self.broken))

    @property
    def num_compared(self) -> int:
        """Items behind that."""
        return len(self.fixed) + len(self.broken) + self.num_both_right + self.num_both_wrong

    @property
    def verdict(self) -> Verdict:
        """Whether the new one is better over all items alike."""
        return decide(len(self.fixed) - len(self.broken), self.p_value)

    def row(self, metric: str, slice_name: str) -> MetricComparison | None:
        """One metric on one slice, if it is there."""
        return next((row for row in self.rows if (row.metric, row.slice) == (metric, slice_name)), None)


def decide(gain: float, p_value: float) -> Verdict:
    """The verdict, everywhere: better or worse only where the difference is larger than chance explains.

    Args:
        gain: New minus old, turned so that more is better; only its sign counts.
        p_value: Adjusted for everything that was looked at beside it.
    """
    if p_value > ALPHA or gain == 0:
        return "cannot tell"
    return "better" if gain > 0 else "worse"


def compare(
    old: Sequence[Result],
    new: Sequence[Result],
    headline_slices: Sequence[str] = (),
    noise: SeedNoise | None = None,
    size: float | None = None,
) -> Comparison:
    """Pairs one solver's results with another's by item; each item stands at most once on a side.

    Args:
        old: The results to compare with.
        new: The results to judge.
        headline_slices: Slices whose mean is the headline; none for no such row.
        noise: Spread between seeds.
        size: A difference, in the metric's own units: `more_items` then says for every row what would settle that;
            None for the difference seen, where it is not settled.
    """
    before = {result.item_id: result for result in old}
    after = {result.item_id: result for result in new}
    both = [(before[key], after[key]) for key in before if key in after and before[key].question == after[key].question]
    scored = [(one, two) for one, two in both if one.passed is not None and two.passed is not None]
    compared = {one.item_id for one, _ in scored}
    table = _Table(both, tuple(headline_slices), noise, size)
    return Comparison(
        rows=tuple(row for metric in (*PASSES, *GRADED, BITS) for row in table.rows(metric)),
        fixed=tuple(pair for pair in scored if not pair[0].passed and pair[1].passed),
        broken=tuple(pair for pair in scored if pair[0].passed and not pair[1].passed),
        num_both_right=sum(bool(one.passed and two.passed) for one, two in scored),
        num_both_wrong=sum(not one.passed and not two.passed for one, two in scored),
        left_out={
            key: _why_left_out(before.get(key), after.get(key))
            for key in dict.fromkeys([*before, *after])
            if key not in compared
        },
    )


@dataclass(frozen=True)
class _Place:
    """Some items under a name.

    Attributes:
        name: As in `MetricComparison.slice`.
        kind: Places of one kind are one family for Holm's method.
        parts: Their pairs; of the headline, those of each slice apart.
    """

    name: str
    kind: Literal["headline", "all", "slice", "part"]
    parts: tuple[list[Pair], ...]


@dataclass(frozen=True)
class _Table:
    """The pairs, and how they are to be compared; see `compare`."""

    pairs: Sequence[Pair]
    headline: tuple[str, ...]
    noise: SeedNoise | None
    size: float | None

    def rows(self, metric: str) -> list[MetricComparison]:
        """The lines of one metric; none if no item has it on both sides."""
        places = self._places(metric)
        differences = [_difference(metric, place.parts) for place in places]
        adjusted = [0.0] * len(places)
        for kind in {place.kind for place in places}:
            family = [index for index, place in enumerate(places) if place.kind == kind]
            for index, value in zip(family, holm([differences[index].p_value for index in family]), strict=True):
                adjusted[index] = value
        return [
            self._row(metric, place, difference, p_value, sum(other.kind == place.kind for other in places))
            for place, difference, p_value in zip(places, differences, adjusted, strict=True)
        ]

    def _places(self, metric: str) -> list[_Place]:
        pairs = [pair for pair in self.pairs if _has(metric, pair)]
        if not pairs:
            return []
        found = [_Place(ALL, "all", (pairs,))]
        counted = [pair for pair in self.pairs if pair[1].slice in self.headline]
        if metric in PASSES:
            # A headline may have slices of both kinds; right is right.
            own = metric == ("exact" if any(_has("exact", pair) for pair in counted) else "checks")
            counted = [pair for pair in counted if own and any(_has(scorer, pair) for scorer in PASSES)]
        else:
            counted = [pair for pair in counted if _has(metric, pair)]
        parts = tuple([pair for pair in counted if pair[1].slice == name] for name in self.headline)
        if has_headline(metric, [len(part) for part in parts]):
            found.insert(0, _Place(HEADLINE, "headline", parts))
        for column in build_scoreboard([new for _, new in pairs], ()).columns:
            within = [pair for pair in pairs if column.has(pair[1])]
            found.append(_Place(column.name, "part" if column.is_part else "slice", (within,)))
        return found

    def _row(
        self, metric: str, place: _Place, difference: Difference, adjusted_p: float, family: int
    ) -> MetricComparison:
        lower_is_better = metric in LOWER_IS_BETTER
        verdict = decide(-difference.value if lower_is_better else difference.value, adjusted_p)
        settle = self.size is not None or verdict == "cannot tell"
        return MetricComparison(
            metric=metric,
            slice=place.name,
            old=_estimate(metric, place.parts, 0),
            new=_estimate(metric, place.parts, 1),
            difference=difference,
            adjusted_p=adjusted_p,
            verdict=verdict,
            more_items=items_to_settle(difference, self.size, ALPHA / family) if settle else None,
            noise_units=self.noise.units(metric, place.name, difference.value) if self.noise else None,
            lower_is_better=lower_is_better,
        )


def _has(metric: str, pair: Pair) -> bool:
    """Whether both sides were scored; right and wrong count by the item's own scorer alone."""
    if metric in PASSES and pair[1].scorer != metric:
        return False
    return all(result.scores.get(metric) is not None for result in pair)


def _values(metric: str, pairs: Sequence[Pair], side: Literal[0, 1]) -> list[float]:
    """One side's scores, all of which are there."""
    if metric in PASSES:
        return [float(bool(pair[side].passed)) for pair in pairs]
    return [value for pair in pairs if (value := pair[side].scores[metric]) is not None]


def _weights(metric: str, pairs: Sequence[Pair]) -> list[float] | None:
    return score_weights(metric, (new.num_bytes for _, new in pairs))


def _difference(metric: str, parts: Sequence[list[Pair]]) -> Difference:
    found = []
    for pairs in parts:
        old, new = _values(metric, pairs, 0), _values(metric, pairs, 1)
        if metric in PASSES:
            fixed = sum(one < two for one, two in zip(old, new, strict=True))
            broken = sum(one > two for one, two in zip(old, new, strict=True))
            found.append(difference_in_passes(fixed, broken, len(pairs)))
        else:
            found.append(difference_in_means(old, new, _weights(metric, pairs)))
    return found[0] if len(found) == 1 else macro_difference(found)


def _estimate(metric: str, parts: Sequence[Sequence[Pair]], side: Literal[0, 1]) -> Estimate:
    found = [
        proportion(_values(metric, pairs, side))
        if metric in PASSES
        else mean(_values(metric, pairs, side), _weights(metric, pairs), LARGEST.get(metric, math.inf))
        for pairs in parts
    ]
    return found[0] if len(found) == 1 else macro(found)


def _why_left_out(old: Result | None, new: Result | None) -> str:
    if old is None:
        return "not in the old answers"
    if new is None:
        return "not in the new answers"
    if old.question != new.question:
        return "asked or accepted other words then"
    sides = [name for name, result in (("old", old), ("new", new)) if result.passed is None]
    return f"no {' and no '.join(sides)} answer that could be scored"
