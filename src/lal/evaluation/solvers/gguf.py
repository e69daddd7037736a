"""A model in a GGUF file, asked through llama.cpp: the optional extra `references`.

The binding is xllamacpp, llama.cpp's own server engine inside this process. The engine also opens a port of
127.0.0.1 that nothing here uses; a key that nobody knows shuts it.
"""

import importlib
import math
import os
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from lal.errors import ModelError

INSTALL = "pip install '.[references]'"

MOST_CONTEXT = 8192
"""Tokens of context that are reserved at most: some models allow 131,072, whose cache would fill the memory."""

_SIZES = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_MOST_DIMENSIONS = 8


class AskError(Exception):
    """One question got no answer; the others may."""


@dataclass(frozen=True)
class Said:
    """What a model said.

    Attributes:
        text: Its words.
        finish_reason: stop: ended by itself. length: ran into the limit.
        num_tokens: Tokens of it; 0 where the model's server does not tell.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    num_tokens: int


@dataclass(frozen=True)
class Header:
    """What the beginning of a GGUF file says.

    Attributes:
        architecture: Such as `llama`.
        name: The model's own name; may be empty.
        context_length: Tokens it was made to look back on.
        num_parameters: Entries of all its tensors.
        num_bytes: Size of the file.
    """

    architecture: str
    name: str
    context_length: int
    num_parameters: int
    num_bytes: int


def read_header(path: Path) -> Header:
    """Reads what a GGUF file says of itself, without its weights.

    Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

    Raises:
        ModelError: The file is missing, not GGUF, or cut short within its header.
    """
    try:
        with path.open("rb") as handle:
            magic, version, num_tensors, num_entries = struct.unpack("<4sIQQ", _read(handle, 24))
            if magic != b"GGUF" or version not in (2, 3):
                raise ModelError(f"{path}: not a GGUF file of version 2 or 3", "name another file")
            entries = dict(_entry(handle) for _ in range(num_entries))
            num_parameters = sum(_tensor_entries(handle) for _ in range(num_tensors))
        num_bytes = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}", "name a GGUF file that is there") from error
    except (EOFError, struct.error, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: damaged or cut short: {error}", "fetch the file again") from error
    architecture = str(entries.get("general.architecture", ""))
    context = entries.get(f"{architecture}.context_length")
    return Header(
        architecture=architecture,
        name=str(entries.get("general.name", "")),
        context_length=context if isinstance(context, int) else MOST_CONTEXT,
        num_parameters=num_parameters,
        num_bytes=num_bytes,
    )


def start_server(llama: Any, settings: Any) -> Any:
    """llama.cpp's engine, once it takes questions: let go of before its loop runs, it would never end.

    Args:
        llama: The module xllamacpp.
        settings: Its `CommonParams`.

    Raises:
        RuntimeError: llama.cpp cannot load the file.
    """
    server = llama.Server(settings)
    server.handle_completions({"prompt": [0], "max_tokens": 1})
    return server


class GgufModel:
    """A GGUF file in memory, answering greedily.

    Args:
        path: The file.
        max_new_tokens: Longest answer, in tokens.
        num_threads: Processor threads; 0 for as many as there are processors.

    Raises:
        ModelError: The extra is not installed, or the file is not a model that llama.cpp runs.
    """

    def __init__(self, path: Path, max_new_tokens: int, num_threads: int = 0) -> None:
        header = read_header(path)
        try:
            llama = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise ModelError(
                f"{path}: xllamacpp, which runs GGUF files, cannot be imported: {error}", f"run `{INSTALL}`"
            ) from error
        self._max_new_tokens = max_new_tokens
        try:
            self._server = start_server(llama, _settings(llama, path, header, num_threads or os.cpu_count() or 1))
        except RuntimeError as error:
            raise ModelError(
                f"{path}: llama.cpp cannot load it (architecture {header.architecture!r}): {error}",
                "fetch the file again, or name a model that this version of llama.cpp knows",
            ) from error

    def chat(self, messages: Sequence[Mapping[str, str]]) -> Said:
        """Answers a conversation, in the model's own chat template. Raises: AskError: it cannot."""
        request = {"messages": list(messages), "max_tokens": self._max_new_tokens} | _GREEDY
        choice, num_tokens = _first_choice(self._server.handle_chat_completions(request))
        return _said(choice.get("message", {}).get("content"), choice, num_tokens)

    def go_on(self, text: str) -> Said:
        """Continues a text to the end of its line. Raises: AskError: it cannot."""
        request = {"prompt": text, "max_tokens": self._max_new_tokens, "stop": ["\n"]} | _GREEDY
        choice, num_tokens = _first_choice(self._server.handle_completions(request))
        return _said(choice.get("text"), choice, num_tokens)


_GREEDY = {"temperature": 0.0, "repeat_penalty": 1.0, "seed": 0, "cache_prompt": True}


def _settings(llama: Any, path: Path, header: Header, num_threads: int) -> Any:
    settings = llama.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = min(header.context_length, MOST_CONTEXT)
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = num_threads
    settings.verbosity = 0
    settings.ui = settings.endpoint_slots = False
    settings.cache_ram_mib = 0
    settings.api_keys = [secrets.token_hex()]
    return settings


def _first_choice(reply: Any) -> tuple[dict[str, Any], int]:
    if not isinstance(reply, dict) or not reply.get("choices"):
        error = reply.get("error") if isinstance(reply, dict) else None
        raise AskError(str(error.get("message") if isinstance(error, dict) else reply)[:200])
    return reply["choices"][0], int(reply.get("usage", {}).get("completion_tokens", 0))


def _said(text: Any, choice: Mapping[str, Any], num_tokens: int) -> Said:
    reason = choice.get("finish_reason")
    if not isinstance(text, str) or reason not in ("stop", "length"):
        raise AskError(f"no text; finish_reason {reason!r}")
    return Said(text, "stop" if reason == "stop" else "length", num_tokens)


def _read(handle: BinaryIO, count: int) -> bytes:
    if count > 2**26:
        raise EOFError(f"an entry claims {count:,} bytes")
    content = handle.read(count)
    if len(content) < count:
        raise EOFError("the file ends within its header")
    return content


def _number(handle: BinaryIO, form: str) -> Any:
    return struct.unpack(form, _read(handle, struct.calcsize(form)))[0]


def _text(handle: BinaryIO) -> str:
    return _read(handle, _number(handle, "<Q")).decode("utf-8", "replace")


def _value(handle: BinaryIO, kind: int) -> Any:
    """One value; of arrays, which hold the vocabulary, nothing is kept."""
    if kind == _TEXT:
        return _text(handle)
    if kind == _ARRAY:
        inner, count = _number(handle, "<I"), _number(handle, "<Q")
        if inner in _SIZES:
            handle.seek(count * struct.calcsize(_SIZES[inner]), os.SEEK_CUR)
        else:
            for _ in range(count):
                _value(handle, inner)
        return None
    if kind not in _SIZES:
        raise EOFError(f"an entry is of the unknown kind {kind}")
    return _number(handle, _SIZES[kind])


def _entry(handle: BinaryIO) -> tuple[str, Any]:
    key, kind = _text(handle), _number(handle, "<I")
    return key, _value(handle, kind)


def _tensor_entries(handle: BinaryIO) -> int:
    _text(handle)
    num_dimensions = _number(handle, "<I")
    if num_dimensions > _MOST_DIMENSIONS:
        raise EOFError(f"a tensor claims {num_dimensions} dimensions")
    sizes = [_number(handle, "<Q") for _ in range(num_dimensions)]
    _number(handle, "<I"), _number(handle, "<Q")  # its type, its place
    return math.prod(sizes)
