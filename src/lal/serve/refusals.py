"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}` and a status."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):  # noqa: N818 - most are answers to a client's mistake, not failures of the server
    """A request that gets an error for an answer.

    Args:
        status: HTTP status.
        message: For a person.
        code: For a program, such as `context_length_exceeded`.
        param: Field of the request that is wrong.
        retry_after_seconds: When to come back.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.body = error_body(status, message, code, param)
        self.headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}

    def response(self) -> JSONResponse:
        """As HTTP."""
        return JSONResponse(self.body, self.status, self.headers)


def error_body(status: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The JSON of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def busy() -> Refusal:
    """All rows are taken and the line is full."""
    return Refusal(429, "the server is busy: all rows are taken and the line is full", "rate_limit_exceeded", None, 1)


def too_late() -> Refusal:
    """The time of a request is over."""
    return Refusal(503, "the answer took too long; ask for fewer tokens, or later", "timeout", None, 5)


def failed() -> Refusal:
    """The engine broke off."""
    return Refusal(500, "the model failed on this request; the server's log says why", "internal_error")


def no_model(name: str, known: list[str]) -> Refusal:
    """Somebody asks for a model that is not served."""
    message = f"The model {name[:80]!r} does not exist; this server has {', '.join(known)}"
    return Refusal(404, message, "model_not_found", "model")


def of_validation(errors: list[Any]) -> Refusal:
    """The first thing that is wrong with a body; what was given is not repeated: NaN, for one, is no JSON."""
    first: Mapping[str, Any] = errors[0] if errors else {}
    place = [str(part) for part in first.get("loc", ()) if part != "body"]
    context = first.get("ctx") or {}
    if first.get("type") == "json_invalid":
        return Refusal(400, f"We could not parse the JSON body of your request: {context.get('error')}")
    if not place and first.get("type") in ("missing", "model_attributes_type"):
        return Refusal(400, "the body must be a JSON object, sent with Content-Type: application/json")
    param = ".".join(place) or None
    message = str(first.get("msg", "not valid")).removeprefix("Value error, ")
    return Refusal(400, f"Invalid value for {param!r}: {message}" if param else message, first.get("type"), param)


async def on_refusal(_: Request, error: Exception) -> JSONResponse:
    """Answers a `Refusal`."""
    assert isinstance(error, Refusal)
    return error.response()


async def on_validation(_: Request, error: Exception) -> JSONResponse:
    """Answers a body that is not what it should be."""
    assert isinstance(error, RequestValidationError)
    return of_validation(list(error.errors())).response()


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """Answers what the framework refuses by itself: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    messages = {404: f"Unknown address {request.url.path[:80]!r}", 405: "This address has no such method"}
    message = messages.get(error.status_code, str(error.detail))
    return JSONResponse(error_body(error.status_code, message), error.status_code, dict(error.headers or {}))


async def on_failure(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the framework logs it
    """Answers what nobody foresaw."""
    return failed().response()
