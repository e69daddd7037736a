"""TinyShakespeare at character level, split as it is customary, and how a model is scored on a part of it.

B rows in a batch        T positions in a row
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lal.data.archives import read_members
from lal.data.corpus import SOURCES, tinyshakespeare
from lal.data.sources import fetch, read_lock
from lal.text.batches import NO_TARGET, Batch, Ids, consecutive_windows

CACHE = Path(".lal/sources")
LOCK = Path("data/sources.lock")
SCORED_POSITIONS = 4096
"""Of a batch that is scored: few enough for the cache, whatever the context."""


@dataclass(frozen=True)
class Parts:
    """A text in two.

    Attributes:
        training: To learn from.
        held_out: To score; never learned from.
    """

    training: str
    held_out: str

    @property
    def vocabulary(self) -> str:
        """The characters of both parts, in the order of their ids."""
        return "".join(sorted(set(self.training + self.held_out)))


def read_shakespeare(is_tuning: bool, cache: Path = CACHE, lock: Path = LOCK) -> Parts:
    """Fetches the text, if need be, and cuts it.

    Args:
        is_tuning: Leave the last tenth out altogether and hold out the one before it: recipes are chosen on characters
            80 to 90 %, so that the customary validation part, 90 to 100 %, decides nothing.
        cache: Folder that keeps what was fetched.
        lock: The pinned sources.

    Raises:
        SourceError: The text cannot be fetched, or is another one.
    """
    source = read_lock(lock)[SOURCES["tinyshakespeare"][0]]
    [content] = read_members(fetch([source], cache)[source.name], "microgpt/input.txt").values()
    training, validation = (document.text for document in tinyshakespeare(content))
    return for_tuning(training, len(validation)) if is_tuning else Parts(training, validation)


def for_tuning(training: str, num_held_out: int) -> Parts:
    """The training part alone, its last characters held out.

    Example:
        >>> for_tuning("abcdefghi", 1)
        Parts(training='abcdefgh', held_out='i')
    """
    middle = len(training) - num_held_out
    return Parts(training[:middle], training[middle:])


def to_ids(text: str, vocabulary: str) -> Ids:
    """Each character's place in the vocabulary.

    Example:
        >>> to_ids("abba", "ab").tolist()
        [0, 1, 1, 0]
    """
    place = {character: number for number, character in enumerate(vocabulary)}
    return np.array([place[character] for character in text], dtype=np.int64)


@dataclass(frozen=True)
class Characters:
    """A text in two, as ids.

    Attributes:
        training: To learn from.
        held_out: To score.
        vocabulary_size: Different characters.
    """

    training: Ids
    held_out: Ids
    vocabulary_size: int

    @classmethod
    def of(cls, parts: Parts) -> "Characters":
        """One id a character."""
        vocabulary = parts.vocabulary
        return cls(to_ids(parts.training, vocabulary), to_ids(parts.held_out, vocabulary), len(vocabulary))


def windows(part: Ids, context_length: int) -> Iterable[Batch]:
    """The whole of a part, each character but the first a target once, in windows of the model's own context."""
    return consecutive_windows(part, context_length, max(1, SCORED_POSITIONS // context_length))


def mean_loss(sum_of_losses: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> float:
    """Nats a target, over all targets of some batches; not compiled, since the shapes differ from training's."""
    nats, count = [], 0
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for batch in batches:
            nats.append(float(sum_of_losses(batch)))
            count += int((batch.targets != NO_TARGET).sum())
    return math.fsum(nats) / count
