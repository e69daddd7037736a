"""OpenAI's own client talks with the server, and finds what it expects: answers, streams, models, errors."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from lal.model.sampling import Sampling
from lal.records import Message
from lal.runtime import Runtime, Settings
from lal.serve.process import Options, running, running_server
from tests.serve.conftest import Client

QUESTION = "Haue"  # Answered at some length.
ASK: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def api(client: Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{client.address}/v1", api_key="any", max_retries=0) as api:
        yield api


def expected(folder: Path, limit: int, sampling: Sampling | None = None, seed: int | None = None) -> str:
    settings = Settings(sampling or Sampling(), limit)
    return "".join(Runtime.load(folder).chat([Message(role="user", content=QUESTION)], settings, seed))


def test_a_greedy_answer_is_the_one_that_lal_chat_gives(api: openai.OpenAI, folder: Path) -> None:
    answer = api.chat.completions.create(model="lal", messages=ASK, max_completion_tokens=20)
    assert answer.choices[0].message.content == expected(folder, 20)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 20
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 20


def test_a_drawn_answer_repeats_itself_with_its_seed_and_is_the_one_that_lal_chat_gives(
    api: openai.OpenAI, folder: Path
) -> None:
    answers = [
        api.chat.completions.create(model="lal", messages=ASK, temperature=1.2, top_p=0.9, seed=seed, max_tokens=20)
        for seed in (7, 7, 8)
    ]
    texts = [answer.choices[0].message.content for answer in answers]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0] == expected(folder, 20, Sampling(1.2, None, 0.9), seed=7)


def test_a_streamed_answer_is_the_whole_one_in_pieces_with_usage_at_the_end(api: openai.OpenAI, folder: Path) -> None:
    chunks = list(
        api.chat.completions.create(
            model="lal", messages=ASK, stream=True, stream_options={"include_usage": True}, max_tokens=20
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == expected(folder, 20)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20
    assert len({chunk.id for chunk in chunks}) == 1


def test_completions_continue_a_text_whole_and_streamed(api: openai.OpenAI, folder: Path) -> None:
    whole = api.completions.create(model="lal", prompt="giue vs", max_tokens=12).choices[0].text
    pieces = api.completions.create(model="lal", prompt="giue vs", max_tokens=12, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == whole
    assert whole == "".join(Runtime.load(folder).complete("giue vs", Settings(Sampling(), 12)))


def test_log_probabilities_belong_to_the_tokens_and_the_likeliest_comes_first(api: openai.OpenAI) -> None:
    answer = api.chat.completions.create(model="lal", messages=ASK, max_tokens=9, logprobs=True, top_logprobs=20)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    data = b"".join(bytes(token.bytes or []) for token in told.content)
    assert data.decode("utf-8", "replace") == answer.choices[0].message.content
    for token in told.content:
        assert len(token.top_logprobs) == 20
        assert token.logprob == token.top_logprobs[0].logprob == max(other.logprob for other in token.top_logprobs)
    older = api.completions.create(model="lal", prompt="giue vs", max_tokens=5, logprobs=3).choices[0].logprobs
    assert older is not None
    assert len(older.tokens or []) == len(older.token_logprobs or []) == len(older.top_logprobs or []) == 5


def test_a_stop_string_ends_the_answer_before_itself(api: openai.OpenAI, folder: Path) -> None:
    text = expected(folder, 20)
    stop = text[5:7]
    answer = api.chat.completions.create(model="lal", messages=ASK, max_tokens=20, stop=[stop])
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_models_are_listed_and_found_by_name(api: openai.OpenAI) -> None:
    names = [model.id for model in api.models.list()]
    assert names[0] == "lal"
    assert api.models.retrieve(names[1]).id == names[1]
    with pytest.raises(openai.NotFoundError):
        api.models.retrieve("other")


def test_each_mistake_raises_the_class_that_openai_has_for_it(api: openai.OpenAI, folder: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        api.chat.completions.create(model="lal", messages=ASK, temperature=3)
    with pytest.raises(openai.BadRequestError) as found:
        api.chat.completions.create(model="lal", messages=[{"role": "user", "content": "giue " * 500}])
    assert found.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError) as missing:
        api.chat.completions.create(model="gpt-9", messages=ASK)
    assert missing.value.code == "model_not_found"
    with (
        running(Options(lambda: folder, key="secret")) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as stranger,
        openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0) as friend,
    ):
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        assert friend.chat.completions.create(model="lal", messages=ASK, max_tokens=2).id


def test_a_server_in_this_process_begins_and_ends_with_its_block(folder: Path) -> None:
    with running_server(folder) as address, openai.OpenAI(base_url=address, api_key="any", max_retries=0) as api:
        assert address.endswith("/v1")
        assert next(iter(api.models.list())).id == "lal"
    with (
        openai.OpenAI(base_url=address, api_key="any", max_retries=0) as api,
        pytest.raises(openai.APIConnectionError),
    ):
        api.models.list()
