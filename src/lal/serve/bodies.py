"""What clients send, as OpenAI describes it, and what of it can be honoured here.

A field that would change the answer and cannot be honoured is refused; one that would not is accepted and ignored; one
that OpenAI does not have is refused, as OpenAI does: a misspelt `max_tokens` should be found out.

Source: https://platform.openai.com/docs/api-reference/chat/create and .../completions/create
"""

import json
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lal.serve.limits import MAX_CANDIDATES, MAX_STOP_CHARACTERS, MAX_STOPS

_IGNORED = {
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
    "parallel_tool_calls",
    "prediction",
    "reasoning_effort",
    "verbosity",
}
"""They change nothing about what a model like this would say."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1, None),
    "best_of": (1, None),
    "echo": (False, None),
    "suffix": ("", None),
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logit_bias": ({}, None),
    "tools": ([], None),
    "tool_choice": ("none", "auto", None),
    "functions": ([], None),
    "function_call": ("none", "auto", None),
    "response_format": ({"type": "text"}, None),
    "modalities": (["text"], None),
    "audio": (None,),
    "web_search_options": (None,),
}
"""Fields that cannot be honoured, each with the values that ask for nothing."""

Text = Annotated[str, Field(max_length=2**20)]


class Body(BaseModel):
    """What chat and completions have in common."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    model: Annotated[str, Field(max_length=200)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]],
            Field(max_length=MAX_STOPS),
            BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
        ]
        | None
    ) = None
    stream: bool | None = None
    stream_options: "StreamOptions | None" = None
    store: bool | None = None
    """False: this request is not to be logged."""
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
        ]
        | None
    ) = None

    @model_validator(mode="before")
    @classmethod
    def _takes_out_what_asks_for_nothing(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name, neutral in _NEUTRAL.items():
            if name in given and not any(given[name] == value for value in neutral):
                raise ValueError(f"{name} is not supported here")
        unknown = given.keys() - cls.model_fields.keys() - _IGNORED - _NEUTRAL.keys()
        if unknown:
            raise ValueError(f"Unrecognized request argument supplied: {min(unknown)[:80]}")
        return {name: value for name, value in given.items() if name in cls.model_fields}


class StreamOptions(BaseModel):
    """How to stream."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class Part(BaseModel):
    """A piece of a message's content; only text can be read."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """A turn of the conversation; a name is accepted and not shown to the model, which knows roles only."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        str,
        Field(min_length=1, max_length=2**20),
        BeforeValidator(lambda given: _joined(given)),
    ]
    name: Annotated[str, Field(max_length=64)] | None = None
    refusal: None = None


class ChatBody(Body):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_CANDIDATES)] | None = None

    @model_validator(mode="after")
    def _alternatives_need_logprobs(self) -> "ChatBody":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self


class CompletionBody(Body):
    """POST /v1/completions."""

    prompt: Annotated[Text, BeforeValidator(lambda given: given[0] if _is_one_text(given) else given)] = ""
    logprobs: Annotated[int, Field(ge=0, le=MAX_CANDIDATES)] | None = None


class FeedbackBody(BaseModel):
    """POST /v1/feedback: what a person says of an answer."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    request: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]
    """Id of the answer, such as `chatcmpl-...`."""
    rating: Literal["up", "down"] | None = None
    correction: Annotated[str, Field(max_length=10_000)] = ""
    comment: Annotated[str, Field(max_length=2_000)] = ""

    @field_validator("correction", "comment")
    @classmethod
    def _is_text(cls, text: str) -> str:
        text.encode("utf-8")  # Half a surrogate pair is no text, and could not be written.
        return text

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackBody":
        if self.rating is None and not self.correction.strip() and not self.comment.strip():
            raise ValueError("give at least one of rating, correction, comment")
        return self


class StrictRoute(APIRoute):
    """A route whose body must be JSON to the letter: no NaN, no infinity, no number too long to be one."""

    def get_route_handler(self) -> Any:
        """FastAPI's handler, with a request that reads strictly."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Any:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        content = await self.body()
        try:
            return json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
        except json.JSONDecodeError:
            raise
        except RecursionError as error:
            raise json.JSONDecodeError("nested too deeply", "", 0) from error
        except (ValueError, UnicodeDecodeError) as error:
            raise json.JSONDecodeError(str(error)[:100], "", 0) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _joined(given: Any) -> Any:
    """Content that comes in parts, as one text."""
    return "".join(Part.model_validate(part).text for part in given) if isinstance(given, list) else given


def _is_one_text(given: Any) -> bool:
    return isinstance(given, list) and len(given) == 1 and isinstance(given[0], str)
