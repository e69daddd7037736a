"""What clients get, in OpenAI's shapes: whole answers and pieces of streamed ones, for chat and for completions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lal.serve.writing import Passage, Token
from lal.text.tokenizer import CONTROL_TOKENS, Tokenizer

Kind = Literal["chat", "completion"]

_PREFIXES = {"chat": "chatcmpl-", "completion": "cmpl-"}
_OBJECTS = {"chat": "chat.completion", "completion": "text_completion"}


def answer_id(kind: Kind, digits: str) -> str:
    """An answer's name, by which feedback finds it."""
    return _PREFIXES[kind] + digits


@dataclass(frozen=True)
class Form:
    """What all pieces of an answer have in common.

    Attributes:
        kind: Which endpoint answers.
        id: The answer's.
        created: Seconds since 1970.
        model: The version that answers.
        tokenizer: Its own.
        has_logprobs: Whether log-probabilities were asked for.
    """

    kind: Kind
    id: str
    created: int
    model: str
    tokenizer: Tokenizer
    has_logprobs: bool

    def whole(
        self, text: str, tokens: Sequence[Token], reason: str, num_prompt: int, num_answer: int
    ) -> dict[str, Any]:
        """An answer that is not streamed."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "logprobs": self._logprobs(tokens, 0)}
        if self.kind == "chat":
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        head = self._head(_OBJECTS[self.kind])
        return head | {"choices": [choice], "usage": usage(num_prompt, num_answer)}

    def first(self) -> dict[str, Any] | None:
        """What a stream begins with."""
        if self.kind != "chat":
            return None
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self._piece({"index": 0, "delta": delta, "logprobs": None, "finish_reason": None})

    def piece(self, passage: Passage, offset: int) -> dict[str, Any]:
        """More text; `offset` is the number of characters before it."""
        choice: dict[str, Any] = {
            "index": 0,
            "logprobs": self._logprobs(passage.tokens, offset),
            "finish_reason": None,
        }
        if self.kind == "chat":
            choice["delta"] = {"content": passage.text}
        else:
            choice["text"] = passage.text
        return self._piece(choice)

    def last(self, reason: str) -> dict[str, Any]:
        """That nothing more comes, and why."""
        said: dict[str, Any] = {"delta": {}} if self.kind == "chat" else {"text": ""}
        return self._piece({"index": 0, "logprobs": None, "finish_reason": reason} | said)

    def usage(self, num_prompt: int, num_answer: int) -> dict[str, Any]:
        """The piece behind the last one, for who asked for it."""
        return self._head(self._piece_object) | {"choices": [], "usage": usage(num_prompt, num_answer)}

    @property
    def _piece_object(self) -> str:
        return "chat.completion.chunk" if self.kind == "chat" else _OBJECTS[self.kind]

    def _piece(self, choice: dict[str, Any]) -> dict[str, Any]:
        return self._head(self._piece_object) | {"choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        fingerprint = f"fp_{self.model.rpartition('-')[2]}"
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": fingerprint,
        }

    def _logprobs(self, tokens: Sequence[Token], offset: int) -> dict[str, Any] | None:
        if not self.has_logprobs:
            return None
        if self.kind == "chat":
            return {"content": [self._chat_token(token) for token in tokens], "refusal": None}
        return self._completion_tokens(tokens, offset)

    def _chat_token(self, token: Token) -> dict[str, Any]:
        others = [self._named(other.token_id, other.log_probability) for other in token.candidates]
        return self._named(token.token_id, token.log_probability, token.data) | {"top_logprobs": others}

    def _named(self, token_id: int, log_probability: float, data: bytes | None = None) -> dict[str, Any]:
        piece = self.tokenizer.token_bytes(token_id) if data is None else data
        name = piece.decode("utf-8", "replace") if piece else token_name(self.tokenizer, token_id)
        return {"token": name, "logprob": log_probability, "bytes": list(piece) or None}

    def _completion_tokens(self, tokens: Sequence[Token], offset: int) -> dict[str, Any]:
        """The older shape: lists side by side, and where each token begins in the text, in characters."""
        offsets, place = [], offset
        for token in tokens:
            offsets.append(place)
            place += len(token.data.decode("utf-8", "ignore"))
        return {
            "tokens": [self._named(token.token_id, 0.0, token.data)["token"] for token in tokens],
            "token_logprobs": [token.log_probability for token in tokens],
            "top_logprobs": [
                {token_name(self.tokenizer, each.token_id): each.log_probability for each in token.candidates}
                for token in tokens
            ],
            "text_offset": offsets,
        }


def token_name(tokenizer: Tokenizer, token_id: int) -> str:
    """A token as text: half a character as its bytes, a control token by its name."""
    piece = tokenizer.token_bytes(token_id)
    return piece.decode("utf-8", "backslashreplace") if piece else CONTROL_TOKENS[token_id - tokenizer.end_id]


def usage(num_prompt: int, num_answer: int) -> dict[str, int]:
    """What was read and written, in tokens."""
    return {"prompt_tokens": num_prompt, "completion_tokens": num_answer, "total_tokens": num_prompt + num_answer}


def event(content: dict[str, Any]) -> bytes:
    """A piece as a server-sent event."""
    return b"data: " + json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""Ends a stream."""
