"""BPE-dropout: the same texts in ever other tokens, so that a model learns how their words are spelled."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lal.text.tokenizer import Tokenizer

Numbers = NDArray[np.int64]


class BpeDropout:
    """Encodes texts as their tokenizer does, but leaves out merges by chance.

    Before each merge in a word, every place where one is possible is passed over with the given probability; of those
    left, the merge learned first takes place; where none is left, the word is done. All words of all texts take such
    a step at once, as arrays.

    Args:
        tokenizer: Its merges.
        probability: Of passing over; 0 gives the tokenizer's own ids, 1 gives bytes.

    Source: Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization",
        https://arxiv.org/abs/1910.13267
    """

    def __init__(self, tokenizer: Tokenizer, probability: float) -> None:
        self._tokenizer, self._probability = tokenizer, probability
        merges = np.array(tokenizer.merges(), dtype=np.int64).reshape(-1, 3)
        pairs = merges[:, 0] * tokenizer.vocabulary_size + merges[:, 1]
        order = np.argsort(pairs)
        # One more, beyond all pairs, is found by those that never merge.
        self._pairs, self._order = np.append(pairs[order], tokenizer.vocabulary_size**2), np.append(order, -1)
        self._merged = merges[:, 2]

    def encode_batch(self, texts: Sequence[str], draws: np.random.Generator) -> list[list[int]]:
        """Ids that stand for exactly these texts.

        Raises:
            TokenizerError: See `Tokenizer.encode_batch`.
        """
        words = [self._tokenizer.words(text) for text in texts]
        lengths = [len(word) for text in words for word in text]
        ids = np.array([byte for text in words for word in text for byte in word], dtype=np.int64)
        ids = self._merge(ids, np.repeat(np.arange(len(lengths)), lengths), draws)
        ends = np.cumsum([0, *(sum(map(len, text)) for text in words)])
        ends = np.append(0, np.cumsum(ids >= 0))[ends]
        kept = ids[ids >= 0].tolist()
        return [kept[start:end] for start, end in pairwise(ends.tolist())]

    def _merge(self, ids: Numbers, word: Numbers, draws: np.random.Generator) -> Numbers:
        """Merges the bytes of each word: (N,) ids, each at the first byte it stands for, and -1 at its other bytes."""
        done, at = np.full(len(ids), -1), np.arange(len(ids))
        while len(ids):
            merge = self._merge_of_each_pair(ids)
            merge[word[1:] != word[:-1]] = -1
            possible = np.flatnonzero(merge >= 0)
            possible = possible[draws.random(len(possible)) >= self._probability]
            left = _first_learned(possible, merge[possible], word[possible])
            ids[left] = self._merged[merge[left]]
            stays = np.isin(word, word[left])
            done[at[~stays]] = ids[~stays]
            stays[left + 1] = False
            ids, at, word = ids[stays], at[stays], word[stays]
        return done

    def _merge_of_each_pair(self, ids: Numbers) -> Numbers:
        """Which merge makes one of each two neighbours, counted in the order of learning; -1 where none does."""
        pairs = ids[:-1] * self._tokenizer.vocabulary_size + ids[1:]
        found = np.searchsorted(self._pairs, pairs)
        return np.where(self._pairs[found] == pairs, self._order[found], -1)


def _first_learned(places: Numbers, merge: Numbers, word: Numbers) -> Numbers:
    """For each word the place of the merge that was learned first, the leftmost of several."""
    size = int(places.max(initial=0)) + 1
    starts = np.flatnonzero(np.diff(word, prepend=-1))
    first: Numbers = np.minimum.reduceat(merge * size + places, starts) % size
    return first
