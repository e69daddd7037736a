"""The application: addresses, and what each of them does."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from lal import live
from lal.serve import answering, page, refusals
from lal.serve.answering import Exchange
from lal.serve.bodies import ChatBody, CompletionBody, FeedbackBody, StrictRoute
from lal.serve.guard import Guard
from lal.serve.metrics import CONTENT_TYPE, Metrics
from lal.serve.refusals import Refusal
from lal.serve.request_log import FEEDBACK_SECONDS, RequestLog, UnknownRequestError, UnwrittenError, utc
from lal.serve.served import Served, Switch

NO_LOG_HEADER = "X-Lal-No-Log"
"""A client that sends it, with whatever value but 0, has its request kept nowhere."""


@dataclass(frozen=True)
class Parts:
    """What the application is put together from."""

    switch: Switch
    metrics: Metrics
    log: RequestLog | None


def build_app(parts: Parts, key: str | None, is_loopback: bool) -> Guard:
    """The whole application.

    Args:
        parts: Model, counters and log.
        key: What clients must send; None: anybody may ask.
        is_loopback: Whether only this computer can reach it.
    """
    app = FastAPI(title="lal", docs_url=None, redoc_url=None)  # Their pages would load scripts from elsewhere.
    app.router.route_class = StrictRoute
    app.add_exception_handler(Refusal, refusals.on_refusal)
    app.add_exception_handler(RequestValidationError, refusals.on_validation)
    app.add_exception_handler(HTTPException, refusals.on_http)
    app.add_exception_handler(Exception, refusals.on_failure)
    _add_answers(app, parts)
    _add_models(app, parts)
    _add_feedback(app, parts)
    _add_state(app, parts)
    return Guard(app, parts.metrics, key, is_loopback, lambda: parts.switch.current.engine.is_full)


def _add_answers(app: FastAPI, parts: Parts) -> None:
    async def answer(request: Request, body: ChatBody | CompletionBody) -> Response:
        exchange = answering.begin(parts.switch, body)
        is_private = body.store is False or request.headers.get(NO_LOG_HEADER, "0") != "0"

        def on_end(exchange: Exchange) -> None:
            _count(parts.metrics, exchange)
            if parts.log is not None and not is_private:
                parts.log.add(_row(exchange))

        headers = {"X-Request-Id": exchange.form.id}
        if body.stream:
            events = answering.streamed(exchange, on_end)
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        return JSONResponse(await answering.whole(exchange, request, on_end), headers=headers)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request, body: ChatBody) -> Response:
        """Answers a conversation."""
        return await answer(request, body)

    @app.post("/v1/completions", response_model=None)
    async def complete(request: Request, body: CompletionBody) -> Response:
        """Continues a text."""
        return await answer(request, body)


def _add_models(app: FastAPI, parts: Parts) -> None:
    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The names that the model may be asked for by."""
        served = parts.switch.current
        return {"object": "list", "data": [_model(served, name) for name in served.names]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        served = parts.switch.current
        if name not in served.names:
            raise refusals.no_model(name, served.names)
        return _model(served, name)


def _add_feedback(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/feedback")
    async def feedback(body: FeedbackBody) -> dict[str, str]:
        """Takes what a person says of an answer; answered once it is on the disk."""
        if parts.log is None:
            raise Refusal(503, "this server keeps no request log, so it takes no feedback", "no_log")
        try:
            done = parts.log.flag(body.request, body.rating, body.correction, body.comment)
            feedback_id = await asyncio.wait_for(asyncio.wrap_future(done), FEEDBACK_SECONDS)
        except UnknownRequestError as error:
            message = "no such request among the last ones, or its client asked not to log it"
            raise Refusal(404, message, "request_not_found", "request") from error
        except (UnwrittenError, TimeoutError) as error:
            raise Refusal(503, "the feedback could not be written; try again", "not_written", None, 5) from error
        return {"object": "feedback", "id": feedback_id, "request": body.request}


def _add_state(app: FastAPI, parts: Parts) -> None:
    content, policy = page.load()

    @app.get("/", include_in_schema=False)
    async def chat_page() -> Response:
        """The chat page."""
        return Response(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether it answers, and with which model."""
        served = parts.switch.current
        return {
            "status": "ok",
            "ready": True,
            "model": served.version,
            "digest": served.digest,
            "backend": served.backend,
            "context_length": served.context_length,
            "logs": parts.log is not None,
        }

    @app.get("/metrics", response_model=None)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(parts.metrics.text(), media_type=CONTENT_TYPE)


def _model(served: Served, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": served.created, "owned_by": "lal"}


def _count(metrics: Metrics, exchange: Exchange) -> None:
    metrics.ended.labels(exchange.end).inc()
    metrics.prompt_tokens.inc(len(exchange.job.prompt))
    metrics.answer_tokens.inc(exchange.job.num_tokens)
    metrics.seconds.observe(exchange.seconds)
    if exchange.first_seconds is not None:
        metrics.first_token.observe(exchange.first_seconds)


_REASONS: dict[str, Literal["stop", "length", "cancelled", "error"]] = {
    "stop": "stop",
    "length": "length",
    "cancelled": "cancelled",
    "timeout": "error",
    "error": "error",
}


def _row(exchange: Exchange) -> live.Request:
    """What the log keeps of an answered request."""
    job = exchange.job
    mean = min(job.sum_log_probabilities / job.num_tokens, 0.0) if job.num_tokens else None
    return live.Request(
        id=exchange.form.id,
        time=utc(exchange.arrived),
        model=exchange.served.digest,
        messages=exchange.messages,
        text=exchange.text,
        answer=exchange.answer,
        finish_reason=_REASONS[exchange.end],
        prompt_tokens=len(job.prompt),
        answer_tokens=job.num_tokens,
        first_token_seconds=exchange.first_seconds,
        seconds=exchange.seconds,
        mean_log_probability=mean,
        tags={"source": "api"} | (exchange.body.metadata or {}),
        redactions=0,
        kept_because="share",
        kept_share=1.0,
    )
