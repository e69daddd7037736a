"""Formats that read a whole sequence at a time: the network itself, and ONNX graphs.

B rows        T positions         V vocabulary
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lal.errors import ExportError
from lal.export.extra import optional
from lal.export.opened import Question
from lal.model.transformer import Transformer
from lal.text.tokenizer import Tokenizer

Forward = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""(B, T) ids -> (B, T, V) logits."""

MOST_LOGITS = 2**25
"""B T V of a batch at most: 128 MB."""


@dataclass
class _Row:
    """An answer on its way: what the network will say, as far as it is known or guessed."""

    question: Question
    room: int
    guess: list[int]
    is_done: bool = False

    @property
    def read(self) -> list[int]:
        """Prompt and guess; the last of the tokens there is room for need not be read."""
        return [*self.question.ids, *self.guess[: self.room - 1]]

    def check(self, chosen: Sequence[int], end_id: int) -> None:
        """Keeps the guess up to the first token that is not the likeliest, and puts that one right.

        Args:
            chosen: The likeliest token after the prompt, and after each token of the guess that was read.
            end_id: Ends an answer.
        """
        for place, token_id in enumerate(chosen):
            if token_id == end_id or place == self.room:
                self.guess, self.is_done = self.guess[:place], True
                return
            if place == len(self.guess) or self.guess[place] != token_id:
                # What followed the wrong token is the best guess at what follows the right one.
                self.guess = [*self.guess[:place], token_id, *self.guess[place + 1 :]][: self.room]
                self.is_done = place + 1 == self.room
                return
        self.is_done = len(self.guess) == self.room


class ForwardModel:
    """A network without a cache.

    It would read a sequence anew for each token. But what it should say is known: the measured answer is read behind
    the prompt in one go, and where each of its tokens is the likeliest, that is the greedy answer. Where one is not, it
    is put right and what is left is read again; the answer is always the one that step by step would have given.

    Args:
        forward: The network; a row's logits must not depend on its neighbours, nor on what follows.
        tokenizer: Its own.
        context_length: Most positions.
    """

    def __init__(self, forward: Forward, tokenizer: Tokenizer, context_length: int) -> None:
        self._forward, self._tokenizer, self._context_length = forward, tokenizer, context_length

    def next_log_probabilities(self, question: Question) -> Mapping[int, float]:
        """See `Opened`; all tokens."""
        logits = torch.from_numpy(self._forward(np.array([question.ids]))[0, -1])
        return dict(enumerate(logits.double().log_softmax(dim=-1).tolist()))

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """See `Opened`."""
        drafts = self._tokenizer.encode_batch([question.measured.text for question in questions])
        rows = []
        for question, draft in zip(questions, drafts, strict=True):
            room = min(max_new_tokens, self._context_length - len(question.ids) + 1)
            rows.append(_Row(question, room, draft[:room]))
        while going := sorted((row for row in rows if not row.is_done), key=lambda row: len(row.read)):
            for batch in self._batches(going):
                for row, chosen in zip(batch, self._likeliest(batch), strict=True):
                    row.check(chosen, self._tokenizer.end_id)
        return [self._tokenizer.decode(row.guess) for row in rows]

    def _batches(self, rows: Sequence[_Row]) -> list[list[_Row]]:
        longest = max(len(row.read) for row in rows)
        size = max(1, min(64, MOST_LOGITS // (longest * self._tokenizer.vocabulary_size)))
        return [list(rows[first : first + size]) for first in range(0, len(rows), size)]

    def _likeliest(self, batch: Sequence[_Row]) -> list[list[int]]:
        """For each row the likeliest token after its prompt and after each token of its guess that was read."""
        longest = max(len(row.read) for row in batch)
        ids = np.array([row.read + [0] * (longest - len(row.read)) for row in batch])
        chosen = self._forward(ids).argmax(axis=-1)
        return [
            line[len(row.question.ids) - 1 : len(row.read)].tolist() for row, line in zip(batch, chosen, strict=True)
        ]


def torch_forward(model: Transformer) -> Forward:
    """A network of Lal's."""

    def forward(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = model(torch.from_numpy(ids)).numpy()
        return logits

    return forward


def onnx_forward(path: Path, num_threads: int) -> Forward:
    """An ONNX graph in onnxruntime.

    Raises:
        ExportError: onnxruntime is not installed, or cannot load the file.
    """
    onnxruntime = optional("onnxruntime", f"run {path.name}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 4  # What is wrong is raised.
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # It has an exception of its own for each kind of damage.
        raise ExportError(
            f"{path}: onnxruntime cannot load it: {str(error).strip().splitlines()[0]:.200}",
            "run `dvc repro -f export`; onnx-int8 needs onnxruntime 1.22 or later",
        ) from error

    def forward(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {"input_ids": ids})[0]
        return logits

    return forward


def largest_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float:
    """Largest difference of two tables of log-probabilities, over the tokens that both have; infinite if none.

    Example:
        >>> largest_difference({1: -0.5, 2: -1.0}, {2: -1.25, 3: -9.0})
        0.25
    """
    shared = ours.keys() & theirs.keys()
    if not shared or any(math.isnan(theirs[token_id]) for token_id in shared):
        return math.inf
    return max(abs(ours[token_id] - theirs[token_id]) for token_id in shared)
