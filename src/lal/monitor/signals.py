"""What a prompt looks like to the model that was made for other ones: four numbers that move when the world does.

N prompts
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lal.evaluation.solvers.likelihood import bits_per_byte, continuation_nats
from lal.model.folder import LoadedModel

Array = npt.NDArray[np.float64]

ORDER = 4
"""Letters of the pieces that a prompt is searched for."""

BATCH_SIZE = 16

SIGNALS = {
    "bits_per_byte": "bits per byte under the base model",
    "tokens_per_byte": "tokens per byte",
    "unseen_grams": f"share of pieces of {ORDER} letters that no training text has",
    "log_bytes": "length (logarithm of the bytes)",
}


def grams(text: str) -> list[str]:
    """The pieces of `ORDER` characters of a text, one at each place.

    Example:
        >>> grams("Haue a")
        ['Haue', 'aue ', 'ue a']
    """
    return [text[place : place + ORDER] for place in range(len(text) - ORDER + 1)]


def known_grams(texts: Iterable[str]) -> frozenset[str]:
    """All pieces of the texts that a model was made from."""
    return frozenset(gram for text in texts for gram in grams(text))


def measure(texts: Sequence[str], base: LoadedModel, known: frozenset[str]) -> dict[str, Array]:
    """The signals of prompts, none of which is empty.

    Bits per byte are those of what fits the context of the base model.

    Args:
        texts: The N prompts.
        base: The pretrained model, computing in float32.
        known: See `known_grams`.

    Returns:
        For each of `SIGNALS` an array of shape (N,).
    """
    tokenizer, most = base.tokenizer, base.model.config.context_length
    ids = tokenizer.encode_batch(texts)
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    rows = [([tokenizer.end_id], each[:most]) for each in ids]
    nats = continuation_nats(base.model, rows, BATCH_SIZE)
    read = [sum(len(tokenizer.token_bytes(identity)) for identity in each) for _, each in rows]
    return {
        "bits_per_byte": np.array([bits_per_byte(*pair) for pair in zip(nats, read, strict=True)]),
        "tokens_per_byte": np.array([len(each) for each in ids]) / sizes,
        "unseen_grams": np.array([_unseen(text, known) for text in texts]),
        "log_bytes": np.log(sizes),
    }


def _unseen(text: str, known: frozenset[str]) -> float:
    found = grams(text)
    return sum(gram not in known for gram in found) / len(found) if found else 0.0
