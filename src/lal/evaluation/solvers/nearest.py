"""The training conversation nearest to a question, by BM25: what looking up a known answer is worth.

Words are compared, in small letters, nothing stemmed and nothing left out: spelling is the task, so `haue` and `have`
are two words, and `the` is one like any other (BM25 gives it little weight by itself). Lines to modernise are looked up
among lines, other questions among other questions.

Source: S. E. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; X. H. Lu,
"BM25S: Orders of magnitude faster lexical search via eager sparse scoring", https://arxiv.org/abs/2407.03618.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lal.evaluation.scores.alignment import words
from lal.records import Conversation, line_to_modernise


@dataclass(frozen=True)
class _Shelf:
    """Rows of one kind, and the index over their questions; None where no question has a word."""

    rows: tuple[Conversation, ...]
    index: Any

    @classmethod
    def build(cls, rows: Sequence[Conversation]) -> "_Shelf":
        import bm25s

        tokens = [_words_of(row.prompt) for row in rows]
        if not any(tokens):
            return cls(tuple(rows), None)
        # Double precision: ties then are ties, and the first row wins on every machine.
        index = bm25s.BM25(dtype="float64")
        index.index(tokens, show_progress=False)
        return cls(tuple(rows), index)

    def scores(self, prompt: str) -> NDArray[np.float64]:
        """(rows,) BM25 of each row; 0 where no word is shared."""
        known = [] if self.index is None else self.index.get_tokens_ids(_words_of(prompt))
        if not known:
            return np.zeros(len(self.rows))
        scores: NDArray[np.float64] = self.index.get_scores_from_ids(known)
        return scores


@dataclass(frozen=True)
class Nearest:
    """An index over training conversations."""

    lines: _Shelf
    others: _Shelf

    @classmethod
    def build(cls, rows: Sequence[Conversation]) -> "Nearest":
        """Indexes the last question of each conversation."""
        return cls(
            _Shelf.build([row for row in rows if line_to_modernise(row.prompt) is not None]),
            _Shelf.build([row for row in rows if line_to_modernise(row.prompt) is None]),
        )

    @property
    def num_rows(self) -> int:
        """Conversations in the index."""
        return len(self.lines.rows) + len(self.others.rows)

    def best(self, query: str, k: int = 1) -> list[tuple[Conversation, float]]:
        """The rows whose questions are nearest, best first; of equally near ones the first of the training set.

        Args:
            query: A question as it would be asked, so with `Modernise: ` before a line.
            k: Most rows; fewer come back where fewer share a word with the query.

        Returns:
            (row, BM25 score) pairs; no scale, comparable within one query only.
        """
        shelf = self.others if line_to_modernise(query) is None else self.lines
        scores = shelf.scores(query)
        if not len(scores) or k < 1:
            return []
        kth = np.partition(scores, -k)[-k] if k < len(scores) else 0.0
        near = np.flatnonzero((scores >= kth) & (scores > 0))
        order = near[np.argsort(-scores[near], kind="stable")][:k]
        return [(shelf.rows[place], float(scores[place])) for place in order]

    def answer_to(self, prompt: str) -> str:
        """What the nearest training conversation was answered; nothing if none shares a word."""
        return next((row.answer for row, _ in self.best(prompt)), "")


def _words_of(prompt: str) -> list[str]:
    return [word.lower() for word in words(line_to_modernise(prompt) or prompt)]
