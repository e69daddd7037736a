"""Which live prompts the gold set says nothing about, and which of them to label first.

Two prompts are as near as the cosine of their weighted pieces of three letters (tf-idf). Near enough is what is usual
within the gold set: as near as 95 in 100 gold items are to the nearest other one of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from lal.monitor.signals import Array

USUAL = 0.05
"""Share of the gold items that lie further from the others than the limit says."""

MOST_TO_LABEL = 10


@dataclass(frozen=True)
class Coverage:
    """How much of the traffic the gold set stands for.

    Attributes:
        limit: Least likeness that counts as near, 0 to 1.
        uncovered: Weighted share of the live prompts with no gold item that near.
        to_label: Numbers of live prompts, the one that stands for most of the uncovered ones first.
        stands_for: How many uncovered prompts each of them brings near.
    """

    limit: float
    uncovered: float
    to_label: list[int]
    stands_for: list[int]


def find_coverage(gold: Sequence[str], live: Sequence[str], weights: Array) -> Coverage:
    """Holds live prompts against the gold set's.

    Args:
        gold: Prompts of gold items, at least two.
        live: The N prompts.
        weights: Shape (N,), positive.
    """
    vectorizer = _vectorizer()
    of_gold = vectorizer.fit_transform(gold)
    of_live = vectorizer.transform(live)
    among = (of_gold @ of_gold.T).toarray()
    np.fill_diagonal(among, 0.0)
    limit = float(np.quantile(among.max(axis=1), USUAL))
    near = (of_live @ of_gold.T).max(axis=1).toarray().ravel()
    uncovered = np.flatnonzero(near < limit)
    chosen, gains = _choose(live, uncovered, limit)
    return Coverage(limit, float(weights[uncovered].sum() / weights.sum()), chosen, gains)


def _vectorizer() -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True)


def _choose(live: Sequence[str], uncovered: "np.typing.NDArray[np.intp]", limit: float) -> tuple[list[int], list[int]]:
    """Greedily, the prompt that is near most of those that no chosen one is near yet (maximum coverage)."""
    if not len(uncovered):
        return [], []
    vectorizer = _vectorizer()
    vectors = vectorizer.fit_transform([live[number] for number in uncovered])
    is_near = (vectors @ vectors.T).toarray() >= max(limit, 1e-9)
    np.fill_diagonal(is_near, val=True)
    waiting = np.ones(len(uncovered), dtype=bool)
    chosen: list[int] = []
    gains: list[int] = []
    while waiting.any() and len(chosen) < MOST_TO_LABEL:
        gain = (is_near & waiting).sum(axis=1)
        best = int(gain.argmax())
        chosen.append(int(uncovered[best]))
        gains.append(int(gain[best]))
        waiting &= ~is_near[best]
    return chosen, gains
