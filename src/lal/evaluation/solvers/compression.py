"""Bits per byte of the held-out text: what each model of it would need to write it down.

Letter frequencies and an n-gram model are counted in seconds, and the networks must beat them: all are scored on the
same bytes of the validation split, and all pay for the end of each document.

The n-gram model sees the text as one row, so it always has its six bytes of context; a network reads windows of its own
context, whose first tokens have little before them. That favours the n-gram model, by about 0.01 bits per byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lal.evaluation.scores.results import Result, of_solver, solvers
from lal.evaluation.scores.scoreboard import ANSWER_BITS, SIZE, TEXT_BITS, TEXT_MODELS, mean_bits, metric_key
from lal.evaluation.solvers.likelihood import bits_per_byte, text_cost
from lal.model.folder import LoadedModel
from lal.model.ngram import END, NGram, to_symbols
from lal.records import Document

ORDERS = dict(zip(TEXT_MODELS, (1, 7), strict=True))
"""Of bytes. On TinyShakespeare 5, 6 and 7 need 2.253, 2.198 and 2.189 bits per byte: longer gains nothing."""

DIGITS = 4

MAX_TRAINING_BYTES = 32 * 2**20
"""Counted of a larger training split; 8 MB took 1.2 s of one core and 0.4 GB."""

MAX_VALIDATION_BYTES = 2**18
"""Scored of a larger validation split; all of TinyShakespeare's, which has 111,540."""


@dataclass(frozen=True)
class Compression:
    """What the held-out text costs everyone.

    Attributes:
        bits_per_byte: By name; empty if there is no held-out text.
        num_entries: Different grams in each of the counted models.
        num_training_bytes: Of the training split, what was counted.
        num_validation_bytes: Of the validation split, what was scored.
    """

    bits_per_byte: Mapping[str, float]
    num_entries: Mapping[str, int]
    num_training_bytes: int
    num_validation_bytes: int


def compress(
    corpus: Sequence[Document], held_out: Sequence[Document], networks: Mapping[str, LoadedModel]
) -> Compression:
    """Scores the validation split with counted models of the training split, and with networks.

    Splits larger than `MAX_TRAINING_BYTES` and `MAX_VALIDATION_BYTES` are used up to there.

    Args:
        corpus: Documents of the training split.
        held_out: Documents of the validation split.
        networks: By name.
    """
    training = first_bytes([row.text for row in corpus], MAX_TRAINING_BYTES)
    scored = first_bytes([row.text for row in held_out], MAX_VALIDATION_BYTES)
    counted = {name: NGram.train(to_symbols(training), order) for name, order in ORDERS.items()}
    num_bytes = _count_bytes(scored)
    costs: dict[str, float] = {}
    if num_bytes:
        symbols = to_symbols(scored)
        assert int((symbols != END).sum()) == num_bytes, "not every byte is scored"
        for name, model in counted.items():
            # The end before the first document is given, as it is to a network.
            costs[name] = bits_per_byte(float(model.nats(symbols)[1:].sum()), num_bytes)
        for name, loaded in networks.items():
            cost = text_cost(loaded, scored)
            assert cost.num_bytes == num_bytes, f"{name} was scored on {cost.num_bytes} bytes, not {num_bytes}"
            costs[name] = cost.bits_per_byte
    return Compression(
        costs, {name: model.num_entries for name, model in counted.items()}, _count_bytes(training), num_bytes
    )


def ladder_metrics(results: Sequence[Result], sizes: Mapping[str, int], text: Compression) -> dict[str, Any]:
    """What metrics/evaluate.json says beside the scores, for `verdict.ladder` and for tracking.

    Args:
        results: All rows.
        sizes: Parameters or entries by solver.
        text: What the held-out text costs.
    """
    answer_bits = {name: mean_bits(of_solver(results, name)) for name in solvers(results)}
    return {
        TEXT_BITS: {metric_key(name): round(value, DIGITS) for name, value in text.bits_per_byte.items()},
        ANSWER_BITS: {metric_key(name): round(bits, DIGITS) for name, bits in answer_bits.items() if bits is not None},
        SIZE: {metric_key(name): size for name, size in {**sizes, **text.num_entries}.items()},
        "text": {"train_bytes": text.num_training_bytes, "validation_bytes": text.num_validation_bytes},
    }


def first_bytes(texts: Sequence[str], most: int) -> list[str]:
    """The texts from the first on, as far as `most` bytes of UTF-8 go; the last one is cut between two characters.

    Example:
        >>> first_bytes(["abc", "d\N{LATIN SMALL LETTER E WITH ACUTE}f", "g"], 5)
        ['abc', 'd']
    """
    kept: list[str] = []
    for text in texts:
        content = text.encode("utf-8")
        if len(content) > most:
            if part := content[:most].decode("utf-8", errors="ignore"):
                kept.append(part)
            break
        kept.append(text)
        most -= len(content)
    return kept


def _count_bytes(texts: Sequence[str]) -> int:
    return sum(len(text.encode("utf-8")) for text in texts)
