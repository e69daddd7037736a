"""Batches as pure functions of the step: whoever resumes at step 700 gets exactly what step 700 always gets.

    B rows in a batch        T positions in a row

A target is the id that follows; -1 where nothing is to be learned.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from lal.errors import TrainingError
from lal.text.chat import Rendered

NO_TARGET = -1
"""Target of a position that carries no loss."""

WIDTH_STEP = 8
"""Rows of conversations are padded to multiples of this many positions, except the longest."""

MAX_WIDTHS = 4
"""Most different widths of conversation batches; each costs torch.compile 4-13 s once."""

MAX_CANDIDATES = 24
"""Widths tried: 24 make 1,771 combinations, a few milliseconds; longer rows are rounded more coarsely instead."""

Ids = NDArray[np.int64]
Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        inputs: (B, T) ids.
        targets: (B, T) ids, or -1 where there is no loss.
    """

    inputs: Ids
    targets: Ids


class WindowBatches:
    """Windows of one long text, each target at most once an epoch, cut anew at each epoch's random offset.

    The text is taken as a ring, so that every offset gives the same number of windows.

    Args:
        tokens: (N,) ids of the whole split; may be a memory map, of which only the windows asked for are read.
        context_length: Positions T of each window.
        batch_size: Windows B of each batch.
        seed: Start of the random order.

    Raises:
        TrainingError: The text does not fill one batch.
    """

    def __init__(self, tokens: Tokens, context_length: int, batch_size: int, seed: int) -> None:
        self._tokens, self._context_length, self._batch_size, self._seed = tokens, context_length, batch_size, seed
        num_windows = len(tokens) // context_length
        # At least one id more than the context, or a window would meet its own beginning.
        if num_windows < batch_size or len(tokens) <= context_length:
            raise TrainingError(
                f"the training text has {len(tokens):,} tokens: fewer than a batch of {batch_size} windows "
                f"of {context_length} tokens",
                "add text, or make pretrain.batch_size or the model's context_length smaller",
            )
        self.steps_per_epoch = num_windows // batch_size
        self._epoch, self._starts = -1, np.zeros(0, dtype=np.int64)

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._starts = epoch, self._shuffle(epoch)
        starts = self._starts[place * self._batch_size : (place + 1) * self._batch_size]
        positions = starts[:, None] + np.arange(self._context_length + 1)
        windows = self._tokens[positions % len(self._tokens)].astype(np.int64)
        return Batch(np.ascontiguousarray(windows[:, :-1]), np.ascontiguousarray(windows[:, 1:]))

    def _shuffle(self, epoch: int) -> Ids:
        generator = np.random.default_rng([self._seed, epoch])
        offset = generator.integers(self._context_length)
        windows = generator.permutation(len(self._tokens) // self._context_length)
        return windows.astype(np.int64) * self._context_length + offset


def consecutive_windows(
    tokens: Tokens, context_length: int, batch_size: int, before: int | None = None
) -> Sequence[Batch]:
    """The whole text from first to last, every id but the first a target exactly once: for validation.

    All batches have the same shape; what is left over at the end is filled up without targets. Each is made when it is
    asked for: all at once, they would take eight times the memory of the text.

    Args:
        tokens: (N,) ids; may be a memory map.
        context_length: Positions T of each window.
        batch_size: Windows B of each batch.
        before: Id that stands before the first, which makes the first a target, too.
    """
    return _ConsecutiveWindows(tokens, (batch_size, context_length), before)


class _ConsecutiveWindows(Sequence[Batch]):
    def __init__(self, tokens: Tokens, shape: tuple[int, int], before: int | None) -> None:
        self._tokens, self._shape = tokens, shape
        self._before = np.array([] if before is None else [before], dtype=np.int64)

    def __len__(self) -> int:
        num_targets = max(0, len(self._before) + len(self._tokens) - 1)
        return -(-num_targets // math.prod(self._shape))

    @overload
    def __getitem__(self, place: int) -> Batch: ...

    @overload
    def __getitem__(self, place: slice) -> list[Batch]: ...

    def __getitem__(self, place: int | slice) -> Batch | list[Batch]:
        places = range(len(self))[place]
        return self._batch(places) if isinstance(places, int) else [self._batch(each) for each in places]

    def _batch(self, place: int) -> Batch:
        size = math.prod(self._shape)
        start = place * size - len(self._before)
        part = np.asarray(self._tokens[max(0, start) : start + size + 1], dtype=np.int64)
        if start < 0:
            part = np.concatenate([self._before, part])
        inputs = np.zeros(size, dtype=np.int64)
        targets = np.full(size, NO_TARGET, dtype=np.int64)
        inputs[: len(part) - 1], targets[: len(part) - 1] = part[:-1], part[1:]
        return Batch(inputs.reshape(self._shape), targets.reshape(self._shape))


class ConversationBatches:
    """Conversations, one a row, each once an epoch; rows of similar length together, in a new order each epoch.

    Rows are padded to at most `MAX_WIDTHS` different widths. What does not fill a batch of its width moves up to the
    next; the last batch of the widest is filled up with rows without targets, so all batches have `batch_size` rows.

    Args:
        rows: Conversations that fit the context (see `Rendered.fits`).
        batch_size: Rows B of each batch.
        seed: Start of the random order, and of what varies.
        pad_id: Fills the inputs behind a row's end.
        vary: The rows as an epoch shows them, drawn anew for each; one that became longer than the longest of `rows`
            is shown as it was.

    Raises:
        TrainingError: There are no rows.
    """

    def __init__(
        self,
        rows: Sequence[Rendered],
        batch_size: int,
        seed: int,
        pad_id: int,
        vary: Callable[[np.random.Generator], Sequence[Rendered]] | None = None,
    ) -> None:
        if not rows:
            raise TrainingError("no conversations to train on", "check data.conversations, or raise the context_length")
        self._rows, self._batch_size, self._seed, self._pad_id, self._vary = rows, batch_size, seed, pad_id, vary
        lengths = _lengths(rows)
        self.widths, self._longest = choose_widths(lengths), int(lengths.max()) + 1
        self.steps_per_epoch = -(-len(rows) // batch_size)
        self._epoch, self._shown, self._plan = -1, rows, list[tuple[int, Ids]]()

    def __call__(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._shown = epoch, self._rows_of(epoch)
            self._plan = self._shuffle(epoch)
        width, members = self._plan[place]
        return pad_rows([self._row(member) for member in members], width, self._batch_size, self._pad_id)

    def _rows_of(self, epoch: int) -> Sequence[Rendered]:
        """The rows as this epoch shows them."""
        return self._rows if self._vary is None else self._vary(np.random.default_rng([self._seed, epoch, 1]))

    def _row(self, member: int) -> Rendered:
        shown = self._shown[member]
        return shown if len(shown.ids) <= self._longest else self._rows[member]

    def _shuffle(self, epoch: int) -> list[tuple[int, Ids]]:
        """(width, rows) of each batch of an epoch."""
        generator = np.random.default_rng([self._seed, epoch])
        width_of_row = np.searchsorted(self.widths, _lengths(map(self._row, range(len(self._rows)))))
        plan: list[tuple[int, Ids]] = []
        waiting = np.zeros(0, dtype=np.int64)
        for place, width in enumerate(self.widths):
            here = np.flatnonzero(width_of_row == place)
            waiting = generator.permutation(np.concatenate([waiting, here]))
            full = len(waiting) // self._batch_size * self._batch_size
            plan += [(width, members) for members in waiting[:full].reshape(-1, self._batch_size)]
            waiting = waiting[full:]
        if len(waiting):
            plan.append((self.widths[-1], waiting))
        return [plan[place] for place in generator.permutation(len(plan))]


def _lengths(rows: Iterable[Rendered]) -> NDArray[np.int64]:
    """Positions each row takes; its last id is only ever a target."""
    return np.array([len(row.ids) - 1 for row in rows], dtype=np.int64)


def pad_rows(rows: Sequence[Rendered], width: int, batch_size: int, pad_id: int) -> Batch:
    """One batch of (batch_size, width); targets only on answers.

    Positions behind a row's end hold `pad_id` and have no target; attention looks back only, so nothing sees them.
    """
    inputs = np.full((batch_size, width), pad_id, dtype=np.int64)
    targets = np.full((batch_size, width), NO_TARGET, dtype=np.int64)
    for place, row in enumerate(rows):
        ids = np.array(row.ids, dtype=np.int64)
        inputs[place, : len(ids) - 1] = ids[:-1]
        targets[place, : len(ids) - 1] = np.where(row.is_answer[1:], ids[1:], NO_TARGET)
    return Batch(inputs, targets)


def choose_widths(lengths: NDArray[np.integer[Any]]) -> list[int]:
    """At most `MAX_WIDTHS` widths, ascending, that pad rows of these lengths least; the last is the longest row's."""
    step = WIDTH_STEP
    while int(lengths.max()) > MAX_CANDIDATES * step:
        step *= 2
    rounded, counts = np.unique(np.minimum(-(-lengths // step) * step, lengths.max()), return_counts=True)
    *smaller, longest = rounded.tolist()
    choices = [[*chosen, longest] for chosen in combinations(smaller, min(MAX_WIDTHS - 1, len(smaller)))]
    return min(choices, key=lambda widths: int((counts * np.array(widths)[np.searchsorted(widths, rounded)]).sum()))
