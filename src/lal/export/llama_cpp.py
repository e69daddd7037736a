"""A GGUF file of the bundle in llama.cpp, asked by token ids: its odds, its answers, its tokenizer, its template.

The binding is xllamacpp, as for `evaluate.references`. Its engine opens a port of 127.0.0.1, which is used here with a
key that nobody else knows: only there can it be asked by ids, and for its tokenizer.
"""

import importlib
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lal.errors import ExportError, ModelError
from lal.evaluation.solvers.gguf import read_header, start_server
from lal.export.extra import INSTALL
from lal.export.http_json import ask_json
from lal.export.opened import Question
from lal.records import Message
from lal.text.tokenizer import Tokenizer

NUM_SLOTS = 16
"""Answers side by side."""

MOST_PROBABILITIES = 2048
"""Tokens whose odds are asked for; of a larger vocabulary the likeliest."""

_GREEDY = {"temperature": 0.0, "repeat_penalty": 1.0, "cache_prompt": False}


class LlamaCpp:
    """A GGUF file in memory.

    Keys and values are kept in f32 and attention is not fused, so that what is measured is the file: llama.cpp's own
    defaults, f16 for both, move log-probabilities by some ten thousandths.

    Args:
        path: The file.
        tokenizer: Lal's, to put ids into words.
        num_threads: Processor threads.

    Raises:
        ExportError: xllamacpp is not installed, or llama.cpp cannot load the file.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer, num_threads: int) -> None:
        try:
            llama = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise ExportError(
                f"without xllamacpp Lal cannot run {path.name}: {error}",
                f"run `{INSTALL}`, or take the format out of export.formats in params.yaml",
            ) from error
        self._tokenizer, self._key = tokenizer, secrets.token_hex()
        try:
            self._context_length = read_header(path).context_length
            settings = _settings(llama, path, self._context_length, num_threads, self._key)
            self._server = start_server(llama, settings)
        except (ModelError, RuntimeError) as error:
            raise ExportError(f"{path}: llama.cpp cannot load it: {error}", "run `dvc repro -f export`") from error

    @property
    def chat_template(self) -> str:
        """As llama.cpp read it from the file."""
        return str(self._ask("/props")["chat_template"])

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that llama.cpp makes of a conversation."""
        body = {"messages": [{"role": each.role, "content": each.content} for each in messages]}
        return str(self._ask("/apply-template", body)["prompt"])

    def tokenize(self, text: str) -> list[int]:
        """Ids of a text in which nothing is a control token."""
        body = {"content": text, "add_special": False, "parse_special": False}
        return [int(token_id) for token_id in self._ask("/tokenize", body)["tokens"]]

    def next_log_probabilities(self, question: Question) -> Mapping[int, float]:
        """See `Opened`."""
        count = min(self._tokenizer.vocabulary_size, MOST_PROBABILITIES)
        # The odds are told only with a token that has letters, so one is made to win; they are those before that.
        (letter,) = self._tokenizer.encode("a")
        body = {"prompt": question.ids, "n_predict": 1, "n_probs": count, "logit_bias": [[letter, 1e6]]}
        reply = self._ask("/completion", body | _GREEDY)
        return {entry["id"]: entry["logprob"] for entry in reply["completion_probabilities"][0]["top_logprobs"]}

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """See `Opened`."""
        with ThreadPoolExecutor(NUM_SLOTS) as pool:
            return list(pool.map(lambda question: self._answer(question, max_new_tokens), questions))

    def _answer(self, question: Question, max_new_tokens: int) -> str:
        body = {"prompt": question.ids, "n_predict": max_new_tokens, "return_tokens": True} | _GREEDY
        ids: list[int] = self._ask("/completion", body)["tokens"]
        return self._tokenizer.decode(ids)  # The end, a control token, gives nothing.

    def _ask(self, path: str, body: Any = None) -> Any:
        return ask_json(f"{self._server.listening_address}{path}", body, self._key)


def _settings(llama: Any, path: Path, context_length: int, num_threads: int, key: str) -> Any:
    settings = llama.CommonParams()
    settings.model.path = str(path)
    settings.n_parallel, settings.n_ctx = NUM_SLOTS, NUM_SLOTS * context_length
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = num_threads
    settings.n_threads_http = NUM_SLOTS + 1
    settings.cache_type_k = settings.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.cache_ram_mib = settings.verbosity = 0
    settings.ui = settings.endpoint_slots = settings.warmup = False
    settings.api_keys = [key]
    return settings
