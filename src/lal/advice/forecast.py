"""How low a training will bring the loss, foretold from its size: a law with few constants, fitted to this recipe.

    bits a byte = A (e + a P^-alpha + b D^-beta)

    A  what an n-gram model, counted in a second, needs a byte for the same text: how hard the text is
    P  parameters of the blocks        D  bytes learned from, as if none were repeated and batches were small

The form is Hoffmann et al.'s, with the text's difficulty in front so that runs on one corpus can speak for another.
What is repeated is worth less than what is new (Muennighoff et al.), what is learned in large batches less than in
small ones (McCandlish et al.). The range is the error of runs that were left out of the fit, in their turn.

Source: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", equation 2, https://arxiv.org/abs/2203.15556;
    Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", equation 5, https://arxiv.org/abs/2305.16264;
    McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", equation 2.11, https://arxiv.org/abs/1812.06162
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lal.model.layers import feed_forward_width
from lal.model.ngram import NGram
from lal.params import Shape

REPEATS_WORTH = 15.4
"""R* of Muennighoff et al.: after so many repeats, a further one brings 1/e of new text."""

ALPHAS = (0.2, 0.34, 0.5, 0.7, 1.0)
BETAS = (0.28, 0.4, 0.55, 0.7, 0.85, 1.0)
CRITICAL_BATCHES = (4096.0, 8192.0, 16384.0, 32768.0)
"""Bytes a batch at which half of the learning is lost. The three are tried in all combinations."""

ANCHOR_ORDER = 5
ANCHOR_BYTES = 1_000_000
ANCHOR_HELD_OUT_BYTES = 100_000
"""The anchor is counted and scored on the beginning of each split: one second, whatever the corpus weighs."""

COVERAGE = 1.64
"""Standard deviations of a left-out run's error on either side of a prediction: 9 in 10, were errors normal."""


@dataclass(frozen=True)
class Size:
    """What a run's loss depends on.

    Attributes:
        anchor: A, bits a byte; see `measure_anchor`.
        block_parameters: P.
        corpus_bytes: Different bytes there are to learn from.
        seen_bytes: Bytes learned from, repeats counted.
        batch_bytes: Bytes of a batch.
    """

    anchor: float
    block_parameters: int
    corpus_bytes: int
    seen_bytes: float
    batch_bytes: float

    def effective_bytes(self, critical_batch: float) -> float:
        """D: seen bytes, less what repeats and large batches waste."""
        new = min(self.seen_bytes, self.corpus_bytes)
        repeats = self.seen_bytes / self.corpus_bytes - 1
        worth = new if repeats <= 0 else new * (1 + REPEATS_WORTH * (1 - math.exp(-repeats / REPEATS_WORTH)))
        return worth / (1 + self.batch_bytes / critical_batch)


@dataclass(frozen=True)
class Range:
    """A prediction, with the bounds that nine in ten outcomes should keep."""

    low: float
    likely: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether an outcome lies within."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Law:
    """The law with its constants.

    Attributes:
        alpha: Exponent of P.
        beta: Exponent of D.
        critical_batch: Bytes.
        constants: e, a and b.
        error: Root mean square of the relative error on runs left out of the fit, one at a time.
    """

    alpha: float
    beta: float
    critical_batch: float
    constants: tuple[float, float, float]
    error: float

    def bits_per_byte(self, size: Size) -> Range:
        """What a run of this size will need a byte of held-out text."""
        likely = size.anchor * float(
            _terms(size, self.alpha, self.beta, self.critical_batch) @ np.array(self.constants)
        )
        return Range(likely * (1 - COVERAGE * self.error), likely, likely * (1 + COVERAGE * self.error))


def fit_law(runs: Sequence[tuple[Size, float]]) -> Law:
    """The law that foretells each run best from the others.

    Args:
        runs: Size and bits a byte of each; at least six.
    """
    assert len(runs) >= 6, len(runs)
    errors = []
    for place, (size, bits) in enumerate(runs):
        others = [*runs[:place], *runs[place + 1 :]]
        errors.append(_best(others).bits_per_byte(size).likely / bits - 1)
    # The exponents were chosen anew without each run: their own choice is part of the error.
    return replace(_best(runs), error=math.sqrt(sum(error**2 for error in errors) / len(errors)))


def _best(runs: Sequence[tuple[Size, float]]) -> Law:
    """The law whose exponents foretell each of these runs best from the rest."""
    laws = (_fit(runs, *exponents) for exponents in itertools.product(ALPHAS, BETAS, CRITICAL_BATCHES))
    return min(laws, key=lambda law: law.error)


def _fit(runs: Sequence[tuple[Size, float]], alpha: float, beta: float, critical_batch: float) -> Law:
    """Constants of least relative error, none of them negative: what would be is left out.

    What each run's error would be without it follows from its leverage h: the error in the fit over 1 - h.
    """
    ratios = np.array([bits / size.anchor for size, bits in runs])
    terms = np.array([_terms(size, alpha, beta, critical_batch) for size, _ in runs]) / ratios[:, None]
    kept = list(range(terms.shape[1]))
    while True:
        inverse = np.linalg.pinv(terms[:, kept])
        solution = inverse.sum(axis=1)
        if solution.min() >= 0:
            break
        del kept[int(solution.argmin())]
    constants = np.zeros(terms.shape[1])
    constants[kept] = solution
    leverage = np.einsum("rk,kr->r", terms[:, kept], inverse)
    errors = (terms @ constants - 1) / np.maximum(1 - leverage, 1e-9)
    e, a, b = (float(value) for value in constants)
    return Law(alpha, beta, critical_batch, (e, a, b), float(np.sqrt(np.mean(np.square(errors)))))


def _terms(size: Size, alpha: float, beta: float, critical_batch: float) -> NDArray[np.float64]:
    return np.array([1.0, size.block_parameters**-alpha, size.effective_bytes(critical_batch) ** -beta])


def measure_anchor(training: bytes, held_out: bytes) -> float:
    """A: bits a byte of held-out text under a Kneser-Ney model of five bytes, counted on up to 1 MB of training."""
    model = NGram.train(np.frombuffer(training[:ANCHOR_BYTES], dtype=np.uint8), ANCHOR_ORDER)
    nats = model.nats(np.frombuffer(held_out[:ANCHOR_HELD_OUT_BYTES], dtype=np.uint8))
    return float(nats.mean()) / math.log(2)


def block_parameters(shape: Shape) -> int:
    """P of a shape with a key/value head for each head: four square matrices and three of the feed-forward network."""
    width = shape.width
    return shape.num_layers * (4 * width**2 + 3 * width * feed_forward_width(width))


@functools.cache
def calibrated() -> Law:
    """The law, fitted to `RUNS`."""
    return fit_law(
        [
            (Size(anchor, parameters, corpus_bytes, seen_bytes, batch_bytes), bits)
            for anchor, parameters, corpus_bytes, seen_bytes, batch_bytes, bits in RUNS
        ]
    )


RUNS = (
    (2.2231, 802_816, 1_003_854, 204_800, 2_048, 3.112),
    (2.2231, 802_816, 1_003_854, 409_600, 2_048, 2.657),
    (2.2231, 802_816, 1_003_854, 819_200, 2_048, 2.366),
    (2.2231, 802_816, 1_003_854, 1_638_400, 2_048, 2.215),
    (2.2231, 802_816, 1_003_854, 2_355_200, 2_048, 2.157),
    (2.2231, 802_816, 1_003_854, 3_481_600, 2_048, 2.121),
    (2.2231, 802_816, 1_003_854, 9_011_200, 2_048, 2.093),
    (2.2231, 1_769_472, 1_003_854, 4_915_200, 2_048, 2.059),
    (2.2231, 802_816, 1_003_854, 4_679_179, 3_899, 2.091),
    (2.2231, 212_992, 1_003_854, 595_239, 3_968, 2.833),
)
"""Runs of this recipe (4 layers, context 256, 8 rows a batch, each with its own full decay) on TinyShakespeare: anchor,
parameters of the blocks, bytes of the corpus, bytes seen, bytes a batch, bits a byte on the whole validation part. The
first eight over characters in bf16, the last two over 512 byte pairs in fp32. `python -m bench.forecast` makes more."""
