"""From a request to its answer: prompt, job, and what is made of its news, whole or streamed."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from lal.errors import ModelError, TokenizerError
from lal.model.sampling import Sampling
from lal.records import Message
from lal.runtime import Settings
from lal.serve.bodies import Body, ChatBody, CompletionBody
from lal.serve.jobs import BusyError, ClosedError, End, Job, Update
from lal.serve.limits import REQUEST_SECONDS
from lal.serve.refusals import Refusal, busy, failed, no_model, too_late
from lal.serve.replies import DONE, Form, answer_id, event
from lal.serve.served import Served, Switch
from lal.serve.writing import Passage
from lal.text.chat import render_prompt

_SMALLEST_TOP_P = 1e-9
"""OpenAI allows a top_p of 0, which leaves the likeliest token, as this does."""


@dataclass
class Exchange:
    """A request and what has become of it so far.

    Attributes:
        form: How the answer is written.
        served: The model that answers.
        body: The request.
        messages: The conversation; empty for a completion.
        text: The text to continue; empty for a conversation.
        job: What the engine does.
        started: When the request arrived, by `time.monotonic`.
        arrived: The same in seconds since 1970.
        first_seconds: From arrival to the first text.
        seconds: From arrival to the end.
        answer: The text so far.
    """

    form: Form
    served: Served
    body: Body
    messages: tuple[Message, ...]
    text: str
    started: float
    arrived: float
    job: Job = field(init=False)
    news: "asyncio.Queue[Update]" = field(default_factory=asyncio.Queue)
    first_seconds: float | None = None
    seconds: float = 0.0
    answer: str = ""

    @property
    def end(self) -> End:
        """How it ended; `cancelled` if it has not."""
        return self.job.end or "cancelled"

    def take(self, update: Update) -> None:
        """Notes what came."""
        if update.passage.text and self.first_seconds is None:
            self.first_seconds = time.monotonic() - self.started
        self.answer += update.passage.text
        self.seconds = time.monotonic() - self.started


OnEnd = Callable[[Exchange], None]
"""Told of each answer when it has ended, however it did."""


def begin(switch: Switch, body: ChatBody | CompletionBody) -> Exchange:
    """Puts a request in line.

    Raises:
        Refusal: It cannot be answered, or not now.
    """
    started, arrived = time.monotonic(), time.time()
    while True:
        served = switch.current
        exchange = _prepare(served, body, started, arrived)
        try:
            served.engine.submit(exchange.job)
        except BusyError as error:
            raise busy() from error
        except ClosedError:
            if switch.current is served:
                raise Refusal(503, "the server is about to end", "shutting_down", None, 1) from None
            continue  # Another model has just taken its place.
        return exchange


async def whole(exchange: Exchange, request: Request, on_end: OnEnd) -> dict[str, Any]:
    """Waits for the end of an answer, unless its client goes first.

    Raises:
        Refusal: It took too long, or failed.
    """
    passages: list[Passage] = []
    watch = asyncio.ensure_future(_gone(request))
    try:
        while True:
            update = await _next(exchange, watch)
            if update is None:
                raise Refusal(499, "the client has gone")
            exchange.take(update)
            passages.append(update.passage)
            if update.end is not None:
                break
    finally:
        watch.cancel()
        _leave(exchange, on_end)
    if update.end == "timeout":
        raise too_late()
    if update.end not in ("stop", "length"):
        raise failed()
    tokens = [token for passage in passages for token in passage.tokens]
    job = exchange.job
    return exchange.form.whole(exchange.answer, tokens, update.end, len(job.prompt), job.num_tokens)


async def streamed(exchange: Exchange, on_end: OnEnd) -> AsyncIterator[bytes]:
    """Yields an answer as server-sent events; when the client goes, the framework ends this where it stands."""
    form, job = exchange.form, exchange.job
    try:
        if (first := form.first()) is not None:
            yield event(first)
        while True:
            update = await exchange.news.get()
            offset = len(exchange.answer)
            exchange.take(update)
            if update.passage.text or (update.passage.tokens and form.has_logprobs):
                yield event(form.piece(update.passage, offset))
            if update.end is not None:
                break
        if update.end not in ("stop", "length"):
            yield event((too_late() if update.end == "timeout" else failed()).body)
            return
        yield event(form.last(update.end))
        if exchange.body.stream_options and exchange.body.stream_options.include_usage:
            yield event(form.usage(len(job.prompt), job.num_tokens))
        yield DONE
    finally:
        _leave(exchange, on_end)


def _prepare(served: Served, body: ChatBody | CompletionBody, started: float, arrived: float) -> Exchange:
    if body.model not in served.names:
        raise no_model(body.model, served.names)
    is_chat = isinstance(body, ChatBody)
    messages = _messages(body) if isinstance(body, ChatBody) else ()
    text = body.prompt if isinstance(body, CompletionBody) else ""
    form = Form(
        kind="chat" if is_chat else "completion",
        id=answer_id("chat" if is_chat else "completion", secrets.token_hex(12)),
        created=int(arrived),
        model=served.version,
        tokenizer=served.runtime.tokenizer,
        has_logprobs=bool(body.logprobs) if is_chat else body.logprobs is not None,
    )
    exchange = Exchange(form, served, body, messages, text, started, arrived)
    prompt = prompt_of(served, messages, text)
    settings = _settings(served, body)
    room = served.context_length - len(prompt) + 1
    loop = asyncio.get_running_loop()

    def deliver(update: Update) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended: nobody listens.
            loop.call_soon_threadsafe(exchange.news.put_nowait, update)

    exchange.job = Job(
        prompt=prompt,
        sampling=settings.sampling,
        max_new_tokens=min(settings.max_new_tokens, room),
        seed=secrets.randbits(32) if body.seed is None else body.seed,
        stops=body.stop or (),
        num_candidates=(body.top_logprobs if isinstance(body, ChatBody) else body.logprobs) or 0,
        deadline=started + REQUEST_SECONDS,
        deliver=deliver,
    )
    return exchange


def _messages(body: ChatBody) -> tuple[Message, ...]:
    return tuple(
        Message(role="system" if message.role == "developer" else message.role, content=message.content)
        for message in body.messages
    )


def _settings(served: Served, body: Body) -> Settings:
    limit = body.max_tokens
    if isinstance(body, ChatBody) and body.max_completion_tokens is not None:
        limit = body.max_completion_tokens
    settings = served.runtime.settings(max_new_tokens=limit)
    own = settings.sampling
    temperature = own.temperature if body.temperature is None else body.temperature
    top_p = own.top_p if body.top_p is None else max(body.top_p, _SMALLEST_TOP_P)
    return Settings(Sampling(temperature, own.top_k, top_p), settings.max_new_tokens)


def prompt_of(served: Served, messages: tuple[Message, ...], text: str) -> list[int]:
    """The ids to continue.

    Raises:
        Refusal: They are more than the model reads, or the text cannot be one.
    """
    tokenizer, most = served.runtime.tokenizer, served.context_length
    is_chat = bool(messages)
    param = "messages" if is_chat else "prompt"
    contents = [message.content for message in messages] if is_chat else [text]
    # A text of n characters has at least n / longest tokens; so a long one need not be tokenised to be refused.
    least = sum(len(content) for content in contents) // served.longest_token
    if least > most:
        raise _too_long(most, f"at least {least}", param)
    try:
        ids = render_prompt(messages, tokenizer) if is_chat else tokenizer.encode(text) or [tokenizer.end_id]
    except (TokenizerError, ModelError) as error:
        raise Refusal(400, error.problem, "invalid_value", param) from error
    if len(ids) > most:
        raise _too_long(most, str(len(ids)), param)
    return ids


def _too_long(most: int, got: str, param: str) -> Refusal:
    message = f"This model's maximum context length is {most} tokens. However, your {param} resulted in {got} tokens."
    return Refusal(400, message, "context_length_exceeded", param)


async def _gone(request: Request) -> None:
    """Returns when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _next(exchange: Exchange, watch: "asyncio.Future[None]") -> Update | None:
    """The next news of a job; None if its client goes first."""
    news: asyncio.Future[Update] = asyncio.ensure_future(exchange.news.get())
    try:
        waited: set[asyncio.Future[Any]] = {news, watch}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return news.result() if news.done() else None
    finally:
        news.cancel()


def _leave(exchange: Exchange, on_end: OnEnd) -> None:
    if exchange.job.end is None:
        exchange.job.cancel()
        exchange.seconds = time.monotonic() - exchange.started
    on_end(exchange)
