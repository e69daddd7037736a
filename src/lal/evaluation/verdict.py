"""Is the new one better? Two solvers on the same items, compared pair by pair.

The place where gates, slices with Holm's correction, margins and graded scores will join; text, exit code and file are
to come from `Comparison` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lal.evaluation.results import Result
from lal.evaluation.statistics import mcnemar

ALPHA = 0.05
"""Chance of calling a difference that is none, both sides together."""

Verdict = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class Comparison:
    """How a new set of answers differs from an old one.

    Attributes:
        fixed: (old, new) of the items that only the new one gets right.
        broken: (old, new) of the items that only the old one gets right.
        num_both_right: Items that both get right.
        num_both_wrong: Items that both get wrong.
        left_out: Ids of items that cannot be compared: answered or scored on one side only, or changed in between.
    """

    fixed: tuple[tuple[Result, Result], ...]
    broken: tuple[tuple[Result, Result], ...]
    num_both_right: int
    num_both_wrong: int
    left_out: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """Exact McNemar: the chance of a split at least this uneven between two equally good solvers."""
        return mcnemar(len(self.fixed), len(self.broken))

    @property
    def num_compared(self) -> int:
        """Items behind the verdict."""
        return len(self.fixed) + len(self.broken) + self.num_both_right + self.num_both_wrong

    @property
    def verdict(self) -> Verdict:
        """`better` or `worse` only where the difference is larger than chance explains."""
        if self.p_value > ALPHA:
            return "cannot tell"
        return "better" if len(self.fixed) > len(self.broken) else "worse"


def compare(old: Sequence[Result], new: Sequence[Result]) -> Comparison:
    """Pairs one solver's results with another's by item; each item stands at most once on a side."""
    before = {result.item_id: result for result in old}
    after = {result.item_id: result for result in new}
    pairs = [(before[key], after[key]) for key in before if key in after and _are_comparable(before[key], after[key])]
    compared = {one.item_id for one, _ in pairs}
    return Comparison(
        fixed=tuple(pair for pair in pairs if not pair[0].passed and pair[1].passed),
        broken=tuple(pair for pair in pairs if pair[0].passed and not pair[1].passed),
        num_both_right=sum(bool(one.passed and two.passed) for one, two in pairs),
        num_both_wrong=sum(not one.passed and not two.passed for one, two in pairs),
        left_out=tuple(key for key in dict.fromkeys([*before, *after]) if key not in compared),
    )


def _are_comparable(old: Result, new: Result) -> bool:
    return old.question == new.question and old.passed is not None and new.passed is not None
