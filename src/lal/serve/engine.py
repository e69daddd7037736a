"""Continuous batching: one thread writes for many requests, a token each at every step; newcomers join between steps.

B rows in use        V vocabulary

The rows in use are always the first ones of the cache: where one ends, the last one moves into its place. So a step
computes no empty rows, and looks at no more positions than the longest row has.
"""

import copy
import logging
import threading
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lal.model.attention import LayerCache
from lal.model.sampling import draw
from lal.model.transformer import Cache, Transformer, count_parameters
from lal.serve.jobs import Job, Line
from lal.serve.limits import MAX_WAITING, PREFILL_TOKENS, ROWS
from lal.serve.writing import Candidate, Token

_log = logging.getLogger(__name__)

MOST_FOR_ONE_CORE = 16_000_000
"""Parameters up to which one core writes faster than two.

torch's workers belong to the thread that asks, and those of a second thread (the first has loaded the model) are put to
sleep after each of the some 300 small operations of a step. Two cores against one, a step of 1 and of 32 rows: 3.6 and
1.8 times as long with 0.9M parameters, 2.5 and 0.8 with 11M, 0.9 with 57M.
"""


class TorchEngine:
    """A model that continues many prompts at once.

    Args:
        model: Read only.
        end_id: Ends an answer.
        token_bytes: What an id stands for.
        num_rows: Most rows side by side.
        max_waiting: Most jobs in line for one.
    """

    def __init__(
        self,
        model: Transformer,
        end_id: int,
        token_bytes: Callable[[int], bytes],
        num_rows: int = ROWS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._model, self._end_id, self._token_bytes, self._num_rows = model, end_id, token_bytes, num_rows
        self._line = Line(max_waiting)
        self._rows: list[_Row] = []
        self._thread = threading.Thread(target=self._run, name="lal-engine", daemon=True)
        self._thread.start()

    @property
    def num_running(self) -> int:
        """Jobs being written."""
        return len(self._rows)

    @property
    def num_waiting(self) -> int:
        """Jobs in line."""
        return len(self._line)

    @property
    def is_full(self) -> bool:
        """Whether the line takes no more for now."""
        return self._line.is_full

    def submit(self, job: Job) -> None:
        """Puts a job in line. Raises: see `Line.put`."""
        self._line.put(job)

    def close(self) -> None:
        """Takes no more jobs, ends those it has, and returns when that is done."""
        self._line.close()
        self._thread.join()

    @torch.inference_mode()
    def _run(self) -> None:
        if count_parameters(self._model) <= MOST_FOR_ONE_CORE:
            torch.set_num_threads(1)
        self._reset()
        while self._rows or self._line.wait():
            try:
                self._turn()
            except Exception:  # Out of memory, most likely: who is being written loses the answer, who waits does not.
                _log.exception("a step failed; the %d requests in it end with an error", len(self._rows))
                for row in self._rows:
                    if row.job.end is None:
                        row.job.finish("error")
                self._reset()

    def _reset(self) -> None:
        """Forgets all rows, and what a failed step may have left half done."""
        like = torch.empty(0, dtype=self._model.compute_dtype, device=self._model.device)
        self._rows = []
        self._cache = _RowCache(self._model.config, self._num_rows, self._model.config.context_length, like, False)
        self._logits = torch.empty(0, self._model.config.vocabulary_size, device=self._model.device)

    def _turn(self) -> None:
        """Drops who has gone, lets newcomers in, and writes one token a row."""
        now = time.monotonic()
        gone = [row.job.is_given_up(now) for row in self._rows]
        if any(gone):
            self._keep([not is_gone for is_gone in gone])
        self._admit()
        if not self._rows:
            return
        tokens = self._choose()
        going = [self._say(row.job, token) for row, token in zip(self._rows, tokens, strict=True)]
        chosen = torch.tensor([token.token_id for token in tokens], device=self._model.device)
        if not all(going):
            chosen = chosen[self._keep(going)]
        if self._rows:
            self._logits = self._read(chosen[:, None], 0, len(self._rows))[:, -1]

    def _admit(self) -> None:
        """Reads the prompts of newcomers into free rows, behind those in use."""
        jobs = self._line.take(self._num_rows - len(self._rows), PREFILL_TOKENS)
        if not jobs:
            return
        first, lengths = len(self._rows), torch.tensor([len(job.prompt) for job in jobs])
        self._rows += [_Row(job) for job in jobs]  # Before anything can fail: they would wait for ever.
        longest = int(lengths.max())
        filled_up = [[*job.prompt, *[0] * (longest - len(job.prompt))] for job in jobs]
        self._cache.lengths[first : len(self._rows)] = 0
        logits = self._read(torch.tensor(filled_up, device=self._model.device), first, len(self._rows), lengths - 1)
        # What filled the shorter ones up is forgotten.
        self._cache.lengths[first : len(self._rows)] = lengths.to(self._model.device)
        self._logits = torch.cat([self._logits, logits[:, 0]])

    def _read(self, ids: Tensor, first: int, end: int, places: Tensor | None = None) -> Tensor:
        """Logits after reading (B, T) ids in rows `first` to `end`: of each place, or of one place a row: (B, 1, V)."""
        cache = self._cache.part(first, end)
        hidden = self._model.hidden(ids, cache)
        self._cache.lengths[first:end] = cache.lengths
        if places is not None:
            hidden = hidden[torch.arange(len(ids)), places][:, None]
        return self._model.head(hidden)

    def _choose(self) -> list[Token]:
        """The next token of each row."""
        log_odds = self._logits.log_softmax(dim=-1)
        ids = self._logits.argmax(dim=-1).tolist()
        for number, row in enumerate(self._rows):
            if row.job.sampling.temperature > 0:
                ids[number] = draw(self._logits[number], row.job.sampling, row.generator)
        said = log_odds.gather(1, torch.tensor(ids, device=log_odds.device)[:, None])[:, 0].tolist()
        candidates = self._candidates(log_odds)
        return [
            Token(token_id, self._token_bytes(token_id), min(value, 0.0), candidates[number])
            for number, (token_id, value) in enumerate(zip(ids, said, strict=True))
        ]

    def _candidates(self, log_odds: Tensor) -> list[tuple[Candidate, ...]]:
        """As many alternatives as each row asks for."""
        counts = [row.job.num_candidates for row in self._rows]
        if not any(counts):
            return [()] * len(counts)
        values, places = (found.tolist() for found in log_odds.topk(min(max(counts), log_odds.shape[1]), dim=-1))
        return [
            tuple(Candidate(*pair) for pair in zip(places[row][:count], values[row][:count], strict=True))
            for row, count in enumerate(counts)
        ]

    def _say(self, job: Job, token: Token) -> bool:
        """Hands a token to its job; returns whether the job goes on."""
        if token.token_id == self._end_id:
            job.finish("stop")
            return False
        return job.push(token)

    def _keep(self, stays: Sequence[bool]) -> Tensor:
        """Closes the gaps that ended rows leave; returns, for each row in use now, which one it was."""
        kept = [number for number, stay in enumerate(stays) if stay]
        order = list(range(len(kept)))
        movers = [number for number in kept if number >= len(kept)]
        holes = [number for number in order if not stays[number]]
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        if holes:
            self._cache.move(movers, holes)
        self._rows = [self._rows[number] for number in order]
        places = torch.tensor(order, dtype=torch.long, device=self._model.device)
        self._logits = self._logits[places]
        return places


class _Row:
    """A job that is being written, with its draws."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.generator = torch.Generator().manual_seed(job.seed)


class _RowCache(Cache):
    """A cache whose rows are filled and emptied one by one."""

    def part(self, first: int, end: int) -> Cache:
        """Some rows as a cache of their own, over the same keys and values; its lengths are a copy."""
        part = copy.copy(self)
        part.layers = [LayerCache(layer.keys[first:end], layer.values[first:end]) for layer in self.layers]
        part.lengths = self.lengths[first:end].clone()
        return part

    def move(self, movers: Sequence[int], holes: Sequence[int]) -> None:
        """Copies what rows remember into other rows' places."""
        for layer in self.layers:
            layer.keys[holes], layer.values[holes] = layer.keys[movers], layer.values[movers]
        self.lengths[holes] = self.lengths[movers]
