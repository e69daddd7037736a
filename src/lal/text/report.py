"""What a vocabulary does to the texts: proof that no byte is lost, and how well the pieces fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lal.errors import TokenizerError
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


def audit(tokenizer: Tokenizer, texts: Sequence[str], encoded: Sequence[Sequence[int]], name: str) -> Measured:
    """Demands that every text comes back from its ids and that their bytes add up; measures along the way.

    Raises:
        TokenizerError: A text does not, which makes every loss per byte wrong.
    """
    num_bytes = 0
    for number, (text, ids) in enumerate(zip(texts, encoded, strict=True), 1):
        raw = len(text.encode("utf-8"))
        if tokenizer.decode(ids) != text or tokenizer.count_bytes(ids) != raw:
            raise TokenizerError(
                f"text {number} of {name} does not survive the tokenizer: {raw} bytes became "
                f"{tokenizer.count_bytes(ids)}: {text[:60]!r}",
                "this is a defect of the tokenizer: keep the text and report it",
            )
        num_bytes += raw
    num_words = sum(len(text.split()) for text in texts)
    return Measured(len(texts), num_bytes, num_words, sum(len(ids) for ids in encoded))


def find_unused(tokenizer: Tokenizer, encoded: Sequence[Sequence[int]]) -> list[int]:
    """Ids of merges that no text uses: swallowed by longer ones, or learned from something else."""
    used = np.zeros(tokenizer.vocabulary_size, dtype=bool)
    for ids in encoded:
        used[np.asarray(ids, dtype=np.int64)] = True
    return [token_id for token_id in range(NUM_BYTES, tokenizer.end_id) if not used[token_id]]


def show_pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A text with a bar between its pieces, on one line: `Ha|ue| you| had`."""
    return "|".join(tokenizer.decode([token_id]) for token_id in ids).replace("\n", "\\n")


def find_longest(tokenizer: Tokenizer, most: int = 20) -> list[str]:
    """The longest pieces of the vocabulary: they should be words of the domain, not debris."""
    pieces = [tokenizer.decode([token_id]) for token_id in range(tokenizer.end_id)]
    return sorted(pieces, key=lambda piece: (-len(piece), piece))[:most]


def render_report(
    tokenizer: Tokenizer, measured: Mapping[str, Measured], unused: Sequence[int], examples: Sequence[str]
) -> str:
    """The tokenizer as a page of Markdown for a person."""
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
