"""The same model as a GGUF file, run by llama.cpp in this process: the extra `formats`.

Prompts go over as ids that our own template and tokenizer made, so what a user types never becomes a control token.
The engine opens a port of 127.0.0.1 that nothing here uses; a key that nobody knows shuts it.

Of a character that takes several tokens llama.cpp tells the last one only: the others' log-probabilities are missing.
"""

import importlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lal.errors import ModelError
from lal.evaluation.solvers.gguf import read_header, start_server
from lal.serve.jobs import Job, Line
from lal.serve.limits import MAX_WAITING, ROWS
from lal.serve.writing import Candidate, Token

_log = logging.getLogger(__name__)

FILES = ("model-f16.gguf", "model-f32.gguf", "model-q8_0.gguf")
"""In a bundle; the first that is there is served: half the bytes of f32 for the same answers on nearly all lines."""


def gguf_file(folder: Path) -> Path:
    """The file of a bundle that llama.cpp serves.

    Raises:
        ModelError: It has none.
    """
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"{folder}: no {' or '.join(FILES)}, which --backend llama.cpp needs",
        "export the model with GGUF files, or serve it with --backend torch",
    )


class LlamaEngine:
    """A GGUF file that continues many prompts at once.

    Args:
        path: The file.
        context_length: Tokens that prompt and answer may have.
        token_bytes: What an id stands for.
        num_rows: Most jobs side by side; each has a thread here, which waits for llama.cpp.
        max_waiting: Most jobs in line.

    Raises:
        ModelError: The extra is not installed, or llama.cpp cannot run the file.
    """

    def __init__(
        self,
        path: Path,
        context_length: int,
        token_bytes: Callable[[int], bytes],
        num_rows: int = ROWS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        header = read_header(path)
        try:
            llama = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise ModelError(
                f"{path}: xllamacpp, which runs GGUF files, cannot be imported: {error}", "pip install '.[formats]'"
            ) from error
        try:
            # One place more than ours: the last token of an answer is read, too.
            self._server = start_server(llama, _settings(llama, path, context_length + 1, num_rows))
        except RuntimeError as error:
            raise ModelError(
                f"{path}: llama.cpp cannot load it (architecture {header.architecture!r}): {error}",
                "export the model again, or serve it with --backend torch",
            ) from error
        self._token_bytes = token_bytes
        self._line = Line(max_waiting)
        self._running: set[Job] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"lal-llama-{number}", daemon=True) for number in range(num_rows)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def num_running(self) -> int:
        """Jobs being written."""
        return len(self._running)

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
        for thread in self._threads:
            thread.join()
        self._server = None

    def _run(self) -> None:
        while (job := self._line.take_one()) is not None:
            self._running.add(job)
            try:
                _Conversation(job, self._token_bytes).hold(self._server)
            except Exception:
                _log.exception("llama.cpp failed on a request")
                if job.end is None:
                    job.finish("error")
            self._running.discard(job)


class _Conversation:
    """One job as llama.cpp's server answers it, event by event."""

    def __init__(self, job: Job, token_bytes: Callable[[int], bytes]) -> None:
        self._job, self._token_bytes = job, token_bytes
        self._reason: str | None = None
        self._error: Any = None

    def hold(self, server: Any) -> None:
        """Asks, and listens until the end."""
        job = self._job
        server.handle_completions(_request(job), self._listen)
        if job.end is not None:
            return
        if self._reason is None:
            _log.error("llama.cpp broke off: %.200s", self._error)
            job.finish("error")
        else:
            job.finish("stop" if self._reason == "stop" else "length")

    def _listen(self, event: Any) -> bool:
        """Takes an event; true tells llama.cpp to break off."""
        if self._job.is_given_up(time.monotonic()):
            return True
        if not isinstance(event, dict) or not event.get("choices"):
            self._error = event
            return not isinstance(event, dict) or "error" in event or "code" in event
        choice = event["choices"][0]
        self._reason = choice.get("finish_reason") or self._reason
        told = ((choice.get("logprobs") or {}).get("content") or [None])[-1]
        if told is None:
            return False
        return not self._job.push(self._token(choice.get("text") or "", told))

    def _token(self, text: str, told: dict[str, Any]) -> Token:
        """A token out of an event, whose text is that of several where a character has several tokens."""
        token_id = int(told["id"])
        count = self._job.num_candidates
        candidates = [Candidate(int(each["id"]), float(each["logprob"])) for each in told["top_logprobs"][:count]]
        return Token(token_id, text.encode(), min(float(told["logprob"]), 0.0), tuple(candidates))


def num_threads() -> int:
    """Half of the processors.

    llama.cpp's threads wait for each other in loops. As many as there are processors leave none for HTTP, and then a
    model of a million parameters wrote 170 tokens a second on two cores, where one thread wrote 3,000.
    """
    return max(1, (os.cpu_count() or 1) // 2)


def _request(job: Job) -> dict[str, Any]:
    sampling = job.sampling
    return {
        "prompt": job.prompt,
        "max_tokens": job.max_new_tokens,
        "stream": True,
        "logprobs": max(job.num_candidates, 1),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "samplers": ["temperature", "top_p"],  # As ours draws: in this order, and with nothing else.
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "seed": job.seed % 2**32,
        "cache_prompt": False,  # Else an answer may depend, in its last digits, on who was there before.
    }


def _settings(llama: Any, path: Path, context_length: int, num_rows: int) -> Any:
    settings = llama.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = context_length * num_rows
    settings.n_parallel = num_rows
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = num_threads()
    # As `lal.export` measures a bundle's files: llama.cpp's own defaults, f16 for both, move the odds a little.
    settings.cache_type_k = settings.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.verbosity = 0
    settings.ui = settings.endpoint_slots = settings.warmup = False
    settings.cache_ram_mib = 0
    settings.api_keys = [secrets.token_hex()]
    return settings
