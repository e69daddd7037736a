"""The bundle behind an OpenAI-compatible HTTP server, asked as a client would."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lal.errors import ExportError, ModelError
from lal.evaluation.solvers.endpoint import Endpoint
from lal.evaluation.solvers.gguf import AskError
from lal.export.http_json import ask_json
from lal.export.opened import Question
from lal.records import Message
from lal.text.tokenizer import CONTROL_TOKENS, Tokenizer

MODEL = "lal"
NOT_TRAFFIC = {"store": False}
"""Keeps what is asked here out of the request log, which holds what people ask."""

NUM_CLIENTS = 32
"""Questions asked at once; the server writes as many side by side."""

NUM_CANDIDATES = 20
"""Tokens whose odds are asked for: as many as OpenAI's protocol allows."""


class Served:
    """A server that is running.

    Args:
        base_url: Such as `http://127.0.0.1:8000/v1`.
        tokenizer: Lal's, to find the ids of the tokens that the server names.
    """

    def __init__(self, base_url: str, tokenizer: Tokenizer) -> None:
        self._base_url = base_url.rstrip("/")
        ids = range(tokenizer.vocabulary_size)
        self._ids: dict[bytes | str, int] = {tokenizer.token_bytes(token_id): token_id for token_id in ids}
        self._ids |= {name: tokenizer.end_id + place for place, name in enumerate(CONTROL_TOKENS)}

    def next_log_probabilities(self, question: Question) -> Mapping[int, float]:
        """See `Opened`; the likeliest tokens, or none where the answer ends before it begins."""
        reply = self._chat(question.item.messages, {"logprobs": True, "top_logprobs": NUM_CANDIDATES})
        content = (reply["choices"][0].get("logprobs") or {}).get("content") or []
        if not content:
            return {}
        named = {self._id_of(entry): float(entry["logprob"]) for entry in content[0]["top_logprobs"]}
        return {token_id: value for token_id, value in named.items() if token_id is not None and math.isfinite(value)}

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """See `Opened`."""
        endpoint = Endpoint(self._base_url, MODEL, max_new_tokens, more=NOT_TRAFFIC)

        def answer(question: Question) -> str:
            messages = [{"role": each.role, "content": each.content} for each in question.item.messages]
            return endpoint.chat(messages).text

        try:
            with ThreadPoolExecutor(NUM_CLIENTS) as pool:
                return list(pool.map(answer, questions))
        except (AskError, ModelError) as error:
            raise ExportError(f"http: a gold item got no answer: {error}", "run `lal serve` to see why") from error

    def num_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens that the server made of a conversation."""
        return int(self._chat(messages, {})["usage"]["prompt_tokens"])

    def _chat(self, messages: Sequence[Message], more: Mapping[str, Any]) -> Any:
        body = {
            "model": MODEL,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "max_tokens": 1,
            "temperature": 0,
        }
        return ask_json(f"{self._base_url}/chat/completions", {**body, **NOT_TRAFFIC, **more})

    def _id_of(self, entry: Mapping[str, Any]) -> int | None:
        piece = entry.get("bytes")
        return self._ids.get(bytes(piece) if piece else str(entry.get("token")))
