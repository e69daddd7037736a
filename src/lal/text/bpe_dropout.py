"""BPE-dropout: questions in ever other tokens, so that a model learns how their words are spelled.

All conversations stand one after the other in arrays of N ids, their questions in single bytes.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from lal.records import Message
from lal.text.batches import Ids
from lal.text.chat import Rendered, render_encoded
from lal.text.tokenizer import Tokenizer

_NO_WORD = -1


class BpeDropout:
    """Renders conversations as `lal.text.chat` does, but leaves out merges of the questions' tokens by chance.

    Before each merge in a word, every place where one is possible is passed over with the given probability; of those
    left, the merge learned first takes place; where none is left, the word is done. All words take such a step at once,
    as arrays. What the assistant says keeps the tokenizer's own ids.

    Args:
        conversations: Their messages.
        tokenizer: Its merges.
        probability: Of passing over; 0 gives the tokenizer's own ids, 1 gives bytes.

    Raises:
        TokenizerError: See `Tokenizer.encode_batch`.

    Source: Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization",
        https://arxiv.org/abs/1910.13267
    """

    def __init__(self, conversations: Sequence[Sequence[Message]], tokenizer: Tokenizer, probability: float) -> None:
        self._probability, self._vocabulary_size = probability, tokenizer.vocabulary_size
        merges = np.array(tokenizer.merges(), dtype=np.int64).reshape(-1, 3)
        pairs = merges[:, 0] * self._vocabulary_size + merges[:, 1]
        order = np.argsort(pairs)
        # One more, beyond all pairs, is found by those that never merge.
        self._pairs, self._order = np.append(pairs[order], self._vocabulary_size**2), np.append(order, -1)
        self._merged = merges[:, 2]
        messages = [message for conversation in conversations for message in conversation]
        said = iter(tokenizer.encode_batch([message.content for message in messages if message.role == "assistant"]))
        rows = [_bytes_and_words(conversation, said, tokenizer) for conversation in conversations]
        self._ids: Ids = np.array([token_id for row, _ in rows for token_id in row.ids], dtype=np.int64)
        self._is_answer = np.array([is_answer for row, _ in rows for is_answer in row.is_answer], dtype=bool)
        # A question's byte knows the number of its word in its row; the same number in the next row is another word.
        word = np.array([number for _, words in rows for number in words], dtype=np.int64)
        lengths = [len(row.ids) for row, _ in rows]
        self._word: Ids = np.where(
            word < 0, _NO_WORD, word + (word.max(initial=0) + 1) * np.repeat(np.arange(len(rows)), lengths)
        )
        self._starts: Ids = np.cumsum([0, *lengths])

    def __call__(self, draws: np.random.Generator) -> Sequence[Rendered]:
        """The conversations, drawn anew."""
        ids = self._merge(draws)
        is_left = ids >= 0
        starts = np.append(0, np.cumsum(is_left))[self._starts]
        return _FlatRows(ids[is_left], self._is_answer[is_left], starts)

    def _merge(self, draws: np.random.Generator) -> Ids:
        """(N,) ids, those of merged bytes at the first of them, and -1 at the others."""
        done = np.where(self._word == _NO_WORD, self._ids, -1)
        at = np.flatnonzero(self._word != _NO_WORD)
        ids, word = self._ids[at], self._word[at]
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

    def _merge_of_each_pair(self, ids: Ids) -> Ids:
        """Which merge makes one of each two neighbours, counted in the order of learning; -1 where none does."""
        pairs = ids[:-1] * self._vocabulary_size + ids[1:]
        found = np.searchsorted(self._pairs, pairs)
        return np.where(self._pairs[found] == pairs, self._order[found], -1)


def _first_learned(places: Ids, merge: Ids, word: Ids) -> Ids:
    """For each word the place of the merge that was learned first, the leftmost of several."""
    size = int(places.max(initial=0)) + 1
    starts = np.flatnonzero(np.diff(word, prepend=_NO_WORD))
    first: Ids = np.minimum.reduceat(merge * size + places, starts) % size
    return first


def _bytes_and_words(
    messages: Sequence[Message], said: Iterator[list[int]], tokenizer: Tokenizer
) -> tuple[Rendered, list[int]]:
    """A conversation, its questions in bytes, its answers as encoded; and each id's word in the row, or `_NO_WORD`."""
    contents: list[Sequence[int]] = []
    numbers: list[int] = []
    for message in messages:
        if message.role == "assistant":
            contents.append(next(said))
            inside = [_NO_WORD] * len(contents[-1])
        else:
            words = tokenizer.words(message.content)
            contents.append([byte for word in words for byte in word])
            inside = [len(numbers) + place for place, word in enumerate(words) for _ in word]
        numbers += [_NO_WORD, *inside, _NO_WORD]
    return render_encoded(messages, contents, tokenizer), numbers


class _FlatRows(Sequence[Rendered]):
    """Rows that become lists when they are asked for: all at once would take as long as the merges."""

    def __init__(self, ids: Ids, is_answer: NDArray[np.bool_], starts: Ids) -> None:
        self._ids, self._is_answer, self._starts = ids, is_answer, starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, place: int) -> Rendered: ...

    @overload
    def __getitem__(self, place: slice) -> list[Rendered]: ...

    def __getitem__(self, place: int | slice) -> Rendered | list[Rendered]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        start, end = self._starts[place], self._starts[place + 1]
        return Rendered(self._ids[start:end].tolist(), self._is_answer[start:end].tolist())
