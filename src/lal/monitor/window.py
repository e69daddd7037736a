"""The prompts that are compared: the last ones that the server kept, and those that the model was made for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lal.live import LIVE_SOURCE, REQUESTS, Request
from lal.monitor.signals import Array
from lal.records import Conversation, read_records

MOST_REQUESTS = 2000
"""The latest ones; older traffic is another day's."""

MOST_REFERENCE = 2000

LEAST_LEARNED = 20
"""Fewer live requests in training do not say what their kind is."""


@dataclass(frozen=True)
class Window:
    """Live prompts.

    Attributes:
        requests: Oldest first, each with a prompt that is not empty.
        weights: Shape (N,): how many requests each stands for, as only a share was kept.
    """

    requests: tuple[Request, ...]
    weights: Array

    @property
    def prompts(self) -> list[str]:
        """What was asked."""
        return [request.prompt for request in self.requests]


def live_window(folder: Path) -> Window:
    """The latest requests of data/live.

    Raises:
        DataError: A row is damaged.
    """
    files = sorted(folder.glob(f"{Path(REQUESTS).stem}*.jsonl"))
    rows = [row for path in files for row in read_records(path, Request) if row.prompt.strip()]
    latest = tuple(sorted(rows, key=lambda row: row.time)[-MOST_REQUESTS:])
    return Window(latest, np.array([1 / row.kept_share for row in latest], dtype=np.float64))


def reference_prompts(conversations: Path) -> list[str]:
    """What the users of held-out conversations ask: of the kind that the model was trained for, but not trained on.

    Raises:
        DataError: The file is missing or damaged.
    """
    rows = read_records(conversations / "validation.jsonl", Conversation)
    asked = [[each.content for each in row.messages if each.role == "user"] for row in rows]
    prompts = [each[-1] for each in asked if each and each[-1].strip()]
    return prompts[:: max(1, len(prompts) // MOST_REFERENCE)][:MOST_REFERENCE]


def learned_prompts(conversations: Path) -> list[str]:
    """What was asked in live requests that were trained on since; none if too few to tell what their kind is.

    Raises:
        DataError: The file is missing or damaged.
    """
    rows = read_records(conversations / "train.jsonl", Conversation)
    prompts = [row.prompt for row in rows if is_from_live(row) and row.prompt.strip()]
    return prompts[:MOST_REFERENCE] if len(prompts) >= LEAST_LEARNED else []


def is_from_live(row: Conversation) -> bool:
    """Whether a training row came out of feedback."""
    return row.source.startswith(LIVE_SOURCE)
