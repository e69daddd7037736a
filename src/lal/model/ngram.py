"""The history ladder's best rung before networks: an n-gram model with interpolated modified Kneser-Ney smoothing.

It predicts the next symbol from the `order - 1` before it by counting, without a gradient. Three ideas make it strong:

1. **Interpolate.** What was counted after a long context is mixed with the prediction from the context one shorter, and
   so on down to equal odds for all symbols, so that nothing is impossible.
2. **Discount.** Each count gives up a constant: what was seen once will be seen less often than once again. What is
   given up is the weight of the shorter context.
3. **Count contexts, not occurrences,** in all but the longest grams: "Francisco" is frequent, but follows one word
   only, so after a context that says nothing it is unlikely.

    V symbols there are        T positions of a row        a gram of k symbols is one integer, its digits in base V

So the context of a gram is `gram // V`, and the gram without its first symbol `gram % V ** (k - 1)`.

Source: R. Kneser and H. Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; S. F. Chen and
J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", Harvard TR-10-98, 1998, where modified
Kneser-Ney, with three discounts instead of one, is recommended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

END = 256
"""The symbol between two texts, next to the 256 bytes."""

NUM_SYMBOLS = 257
"""V of a model over bytes."""

NO_ESTIMATE = (0.0, 0.5, 1.0, 1.5)
"""Discounts where a text is too small to estimate them, by count; as KenLM's `--discount_fallback` has them."""

Symbols = NDArray[np.integer[Any]]
Codes = NDArray[np.uint64]
Floats = NDArray[np.float64]


def to_symbols(texts: Iterable[str]) -> NDArray[np.int64]:
    """The bytes of texts in a row, with `END` before the first and after each.

    Example:
        >>> to_symbols(["ab", "c"]).tolist()
        [256, 97, 98, 256, 99, 256]
    """
    pieces = [np.frombuffer(text.encode("utf-8"), dtype=np.uint8) for text in texts]
    ended = [np.append(piece.astype(np.int64), END) for piece in pieces]
    return np.concatenate([np.array([END], dtype=np.int64), *ended])


@dataclass(frozen=True)
class Grams:
    """What was counted of all grams of one length k.

    Attributes:
        codes: Grams that were seen, ascending.
        counts: How often each of them; below the longest, after how many different symbols.
        contexts: Their first k - 1 symbols, each once, ascending.
        totals: Sum of the counts in each context.
        given_up: Sum of the discounts in each context: what the next shorter context shares out.
        discounts: What a count of 0, 1, 2, and 3 or more gives up.
    """

    codes: Codes
    counts: NDArray[np.int64]
    contexts: Codes
    totals: Floats
    given_up: Floats
    discounts: Floats

    @classmethod
    def count(cls, codes: Codes, num_symbols: int) -> "Grams":
        """Counts grams, each given as often as it counts."""
        distinct, counts = np.unique(codes, return_counts=True)
        contexts, context_of = np.unique(distinct // np.uint64(num_symbols), return_inverse=True)
        discounts = estimate_discounts(counts)

        def sums(values: NDArray[Any]) -> Floats:
            return np.bincount(context_of, weights=values, minlength=len(contexts)).astype(np.float64)

        return cls(
            codes=distinct,
            counts=counts,
            contexts=contexts,
            totals=sums(counts),
            given_up=sums(discounts[np.minimum(counts, 3)]),
            discounts=discounts,
        )

    def predict(self, codes: Codes, shorter: Floats, num_symbols: int) -> Floats:
        """Probability of each gram's last symbol after its first ones, given what the context one shorter says."""
        gram, gram_seen = _find(self.codes, codes)
        context, context_seen = _find(self.contexts, codes // np.uint64(num_symbols))
        if not len(self.codes):
            return shorter
        counts = np.where(gram_seen, self.counts[gram], 0)
        kept = counts - self.discounts[np.minimum(counts, 3)]
        mixed = (kept + self.given_up[context] * shorter) / self.totals[context]
        return np.where(context_seen, mixed, shorter)


@dataclass(frozen=True)
class NGram:
    """A trained model; `orders[k - 1]` holds the grams of k symbols.

    Attributes:
        num_symbols: V.
        orders: From single symbols to the longest grams.
    """

    num_symbols: int
    orders: tuple[Grams, ...]

    @classmethod
    def train(cls, symbols: Symbols, order: int, num_symbols: int = NUM_SYMBOLS) -> "NGram":
        """Counts a text.

        Args:
            symbols: (T,) integers from 0 to V - 1.
            order: Length of the longest grams; 1 is the unigram model, 7 the most that 64 bits hold of bytes.
            num_symbols: V.
        """
        assert order >= 1, order
        assert num_symbols**order < 2**64, f"grams of {order} out of {num_symbols} symbols do not fit 64 bits"
        counted = Grams.count(_codes(symbols, order, num_symbols), num_symbols)
        orders = [counted]
        for length in range(order - 1, 0, -1):
            # Each different longer gram counts once for the gram it ends with: contexts, not occurrences.
            counted = Grams.count(counted.codes % np.uint64(num_symbols**length), num_symbols)
            orders.append(counted)
        return cls(num_symbols, tuple(reversed(orders)))

    @property
    def order(self) -> int:
        """Length of the longest grams."""
        return len(self.orders)

    @property
    def num_entries(self) -> int:
        """Different grams of all lengths."""
        return sum(len(grams.codes) for grams in self.orders)

    def probabilities(self, symbols: Symbols) -> Floats:
        """(..., T) -> (..., T): probability of each symbol given up to `order - 1` before it in its own row.

        The first ones of a row have less to go by: give a whole text as one row, or windows to see what they cost.
        """
        found = np.full(symbols.shape, 1 / self.num_symbols)
        for length, grams in enumerate(self.orders, start=1):
            codes = _codes(symbols, length, self.num_symbols)
            found[..., length - 1 :] = grams.predict(codes, found[..., length - 1 :], self.num_symbols)
        return found

    def nats(self, symbols: Symbols) -> Floats:
        """(..., T) -> (..., T): -log of `probabilities`."""
        return -np.log(self.probabilities(symbols))

    def distribution(self, context: Sequence[int]) -> Floats:
        """(V,) probabilities of what follows a context; they add up to 1."""
        before = list(context)[max(0, len(context) - self.order + 1) :]
        rows = np.array([[*before, symbol] for symbol in range(self.num_symbols)])
        return self.probabilities(rows)[:, -1]

    def sample(self, context: Sequence[int], num_symbols: int, seed: int = 0) -> list[int]:
        """Symbols drawn one by one, each after those before it."""
        generator = np.random.default_rng(seed)
        drawn = list(context)
        for _ in range(num_symbols):
            drawn.append(int(generator.choice(self.num_symbols, p=self.distribution(drawn))))
        return drawn[len(context) :]


def estimate_discounts(counts: NDArray[np.integer[Any]]) -> Floats:
    """What a count of 0, 1, 2, and 3 or more gives up, from how many grams were counted once to four times.

    Source: Chen and Goodman 1998, the section on modified Kneser-Ney smoothing.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == times)) for times in (1, 2, 3, 4))
    if min(n1, n2, n3) == 0:
        return np.array(NO_ESTIMATE)
    shrink = n1 / (n1 + 2 * n2)
    estimated = np.array([0.0, 1 - 2 * shrink * n2 / n1, 2 - 3 * shrink * n3 / n2, 3 - 4 * shrink * n4 / n3])
    # A discount of nothing would make what was not seen impossible; no count can give up more than it has.
    return estimated if estimated[1:].min() > 0 else np.array(NO_ESTIMATE)


def _codes(symbols: Symbols, length: int, num_symbols: int) -> Codes:
    """(..., T) symbols -> (..., T - length + 1) codes of the grams that they make; none if there are too few."""
    num_positions = max(0, symbols.shape[-1] - length + 1)
    codes = np.zeros((*symbols.shape[:-1], num_positions), dtype=np.uint64)
    for place in range(length):
        codes = codes * np.uint64(num_symbols) + symbols[..., place : place + num_positions].astype(np.uint64)
    return codes


def _find(ascending: Codes, wanted: Codes) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted code stands, and whether it is there at all; the place of one that is not means nothing."""
    places = np.minimum(np.searchsorted(ascending, wanted), max(0, len(ascending) - 1))
    return places, (ascending[places] == wanted if len(ascending) else np.zeros(wanted.shape, dtype=bool))
