"""What a vocabulary does to the texts: proof that no byte is lost, and how well the pieces fit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lal.errors import TokenizerError
from lal.text.pieces import Piece
from lal.text.tokenizer import CONTROL_TOKENS, NUM_BYTES, Tokenizer


@dataclass(frozen=True)
class Measured:
    """How much text became how many tokens.

    Attributes:
        num_texts: Documents or messages.
        num_bytes: Of UTF-8.
        num_words: Runs of anything but white space.
        num_tokens: Control tokens not counted.
    """

    num_texts: int
    num_bytes: int
    num_words: int
    num_tokens: int

    @property
    def numbers(self) -> dict[str, float]:
        """For metrics: sizes, bytes per token (more is shorter sequences), tokens per word (1 is whole words)."""
        return {
            "texts": self.num_texts,
            "bytes": self.num_bytes,
            "tokens": self.num_tokens,
            "bytes_per_token": round(self.num_bytes / max(1, self.num_tokens), 4),
            "tokens_per_word": round(self.num_tokens / max(1, self.num_words), 4),
        }


class Audit:
    """Demands that every text of a part comes back from its ids and that their bytes add up; measures along the way.

    Args:
        tokenizer: What made the ids.
        name: Of the part, for errors.

    Attributes:
        is_used: (V,) whether an entry of the vocabulary has stood in a text.
    """

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        self._num_texts = self._num_bytes = self._num_words = self._num_tokens = 0
        self.is_used = np.zeros(tokenizer.vocabulary_size, dtype=bool)

    def add(self, piece: Piece, ids: NDArray[np.integer[Any]]) -> None:
        """Looks at the next piece and its ids.

        Raises:
            TokenizerError: They do not belong together, which makes every loss per byte wrong.
        """
        raw, num_bytes = piece.text.encode("utf-8"), self._tokenizer.count_bytes(ids)
        if self._tokenizer.decode(ids.tolist()) != piece.text or num_bytes != len(raw):
            raise TokenizerError(
                f"text {piece.number} of {self._name} does not survive the tokenizer: {len(raw)} bytes became "
                f"{num_bytes}: {piece.text[:60]!r}",
                "this is a defect of the tokenizer: keep the text and report it",
            )
        self._num_texts += piece.is_last
        self._num_bytes += num_bytes
        self._num_words += len(piece.text.split())
        self._num_tokens += len(ids)
        self.is_used[ids] = True

    @property
    def measured(self) -> Measured:
        """What has been counted so far."""
        return Measured(self._num_texts, self._num_bytes, self._num_words, self._num_tokens)


def find_unused(tokenizer: Tokenizer, audits: Iterable[Audit]) -> list[int]:
    """Ids of merges that no text of these parts uses: swallowed by longer ones, or learned from something else."""
    is_used = np.any([audit.is_used for audit in audits], axis=0)
    return [token_id for token_id in range(NUM_BYTES, tokenizer.end_id) if not is_used[token_id]]


def show_pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A text with a bar between its pieces, on one line: `Ha|ue| you| had`."""
    return "|".join(tokenizer.decode([token_id]) for token_id in ids).replace("\n", "\\n")


def find_longest(tokenizer: Tokenizer, most: int = 20) -> list[str]:
    """The longest pieces of the vocabulary: they should be words of the domain, not debris."""
    pieces = [tokenizer.decode([token_id]) for token_id in range(tokenizer.end_id)]
    return sorted(pieces, key=lambda piece: (-len(piece), piece))[:most]


def render_report(
    tokenizer: Tokenizer,
    measured: Mapping[str, Measured],
    unused: Sequence[int],
    examples: Sequence[str],
    learned_from: float = 1.0,
) -> str:
    """The tokenizer as a page of Markdown for a person.

    Args:
        tokenizer: What is told of.
        measured: Sizes by part.
        unused: As `find_unused` gives them.
        examples: Texts to show cut into pieces.
        learned_from: Share (0 to 1) of the training texts that the vocabulary is learned from.
    """
    merges = tokenizer.end_id - NUM_BYTES
    rows = [
        f"| {name} | {part.num_bytes:,} | {part.num_tokens:,} | {part.numbers['bytes_per_token']:.2f} "
        f"| {part.numbers['tokens_per_word']:.2f} |"
        for name, part in measured.items()
    ]
    shown = [f"    {show_pieces(tokenizer, ids)}" for ids in tokenizer.encode_batch(examples)]
    return "\n".join(
        [
            "# Tokenizer",
            "",
            f"{tokenizer.vocabulary_size:,} entries: {NUM_BYTES} bytes, {merges:,} merges, {len(CONTROL_TOKENS)} "
            f"control tokens. Merges that the training texts never use: {len(unused):,}.",
            *([f"Learned from {learned_from:.1%} of the training texts, drawn evenly."] if learned_from < 1 else []),
            "Every text comes back from its ids, and the bytes of the ids add up to the bytes of the texts.",
            "",
            "| part | bytes | tokens | bytes per token | tokens per word |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "How it cuts:",
            "",
            *shown,
            "",
            f"Longest pieces: {', '.join(f'`{piece}`' for piece in find_longest(tokenizer))}",
            "",
        ]
    )
