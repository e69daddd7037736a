"""BPE-dropout: the same texts in ever other tokens, so that a model learns how their words are spelled.

All words of all texts take the same step at once, as arrays over their N bytes together.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lal.records import Message
from lal.text.chat import Rendered, render_encoded
from lal.text.tokenizer import Tokenizer

Numbers = NDArray[np.int64]


class BpeDropout:
    """Encodes texts as their tokenizer does, but leaves out merges by chance.

    Before each merge in a word, every place where one is possible is passed over with the given probability; of those
    left, the merge learned first takes place; where none is left, the word is done.

    Args:
        tokenizer: Its merges.
        probability: Of passing over; 0 gives the tokenizer's own ids, 1 gives bytes.
        texts: What will be encoded, again and again.

    Raises:
        TokenizerError: See `Tokenizer.words`.

    Source: Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization",
        https://arxiv.org/abs/1910.13267
    """

    def __init__(self, tokenizer: Tokenizer, probability: float, texts: Sequence[str]) -> None:
        self._probability, self._vocabulary_size = probability, tokenizer.vocabulary_size
        merges = np.array(tokenizer.merges(), dtype=np.int64).reshape(-1, 3)
        pairs = merges[:, 0] * self._vocabulary_size + merges[:, 1]
        order = np.argsort(pairs)
        # One more, beyond all pairs, is found by those that never merge.
        self._pairs, self._order = np.append(pairs[order], self._vocabulary_size**2), np.append(order, -1)
        self._merged = merges[:, 2]
        words = [tokenizer.words(text) for text in texts]
        self._bytes: Numbers = np.array([byte for text in words for word in text for byte in word], dtype=np.int64)
        lengths = [len(word) for text in words for word in text]
        self._word_of_byte: Numbers = np.repeat(np.arange(len(lengths)), lengths)
        self._ends: Numbers = np.cumsum([0, *(sum(map(len, text)) for text in words)])

    def encode(self, draws: np.random.Generator) -> list[list[int]]:
        """Ids of each text, drawn anew."""
        ids = self._merge(draws)
        ends = np.append(0, np.cumsum(ids >= 0))[self._ends].tolist()
        kept = ids[ids >= 0].tolist()
        return [kept[start:end] for start, end in pairwise(ends)]

    def _merge(self, draws: np.random.Generator) -> Numbers:
        """(N,) ids, each at the first byte it stands for; -1 at its other bytes."""
        done = np.full(len(self._bytes), -1)
        ids, at, word = self._bytes.copy(), np.arange(len(self._bytes)), self._word_of_byte
        while len(ids):
            merge = self._merge_of_each_pair(ids)
            merge[word[1:] != word[:-1]] = -1
            possible = np.flatnonzero(merge >= 0)
            possible = possible[draws.random(len(possible)) >= self._probability]
            left = self._first_learned(possible, merge[possible], word[possible])
            ids[left] = self._merged[merge[left]]
            stays = np.isin(word, word[left])
            done[at[~stays]] = ids[~stays]
            stays[left + 1] = False
            ids, at, word = ids[stays], at[stays], word[stays]
        return done

    def _merge_of_each_pair(self, ids: Numbers) -> Numbers:
        """Which merge makes one of each two neighbours, counted in the order of learning; -1 where none does."""
        pairs = ids[:-1] * self._vocabulary_size + ids[1:]
        found = np.searchsorted(self._pairs, pairs)
        return np.where(self._pairs[found] == pairs, self._order[found], -1)

    def _first_learned(self, possible: Numbers, merge: Numbers, word: Numbers) -> Numbers:
        """For each word the place of the merge that was learned first, the leftmost of several."""
        size = len(self._bytes)
        starts = np.flatnonzero(np.diff(word, prepend=-1))
        return np.minimum.reduceat(merge * size + possible, starts) % size


def vary_questions(
    conversations: Sequence[Sequence[Message]], tokenizer: Tokenizer, probability: float
) -> Callable[[np.random.Generator], list[Rendered]]:
    """What renders the conversations anew: what the assistant says as ever, all else with BPE-dropout."""
    messages = [message for conversation in conversations for message in conversation]
    said = tokenizer.encode_batch([message.content for message in messages if message.role == "assistant"])
    asked = [message.content for message in messages if message.role != "assistant"]
    dropout = BpeDropout(tokenizer, probability, asked)

    def vary(draws: np.random.Generator) -> list[Rendered]:
        contents = {True: iter(said), False: iter(dropout.encode(draws))}
        return [
            render_encoded(turns, [next(contents[turn.role == "assistant"]) for turn in turns], tokenizer)
            for turns in conversations
        ]

    return vary
