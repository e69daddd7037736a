"""The same model through llama.cpp: the same answers, the same odds, and its engine leaves our signals alone."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.errors import ModelError
from lal.export.gguf_file import write_gguf
from lal.model.folder import load_model
from lal.serve.llama import gguf_file
from lal.serve.process import running_server
from tests.serve.conftest import Client
from tests.tiny_model import write_speaking_model

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = tmp_path_factory.mktemp("bundle")
    write_speaking_model(bundle)
    write_gguf(bundle / "model-f32.gguf", load_model(bundle).model, bundle / "tokenizer.json", "f32")
    return bundle


@pytest.fixture(scope="module")
def llama(bundle: Path) -> Iterator[Client]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with running_server(bundle, "llama.cpp") as address:
        yield Client(address.removesuffix("/v1"))
    for number, handler in handlers.items():
        signal.signal(number, handler)  # llama.cpp takes them; here nobody takes them back before the tests' end.


@pytest.mark.slow
def test_both_engines_give_the_same_answers_and_nearly_the_same_odds(client: Client, llama: Client) -> None:
    for text in ("Modernise: giue", "vs vs vs", "loue", "haue no horsse", "no"):
        ours, theirs = (
            each.chat(text, max_tokens=8, logprobs=True, top_logprobs=4).json["choices"][0] for each in (client, llama)
        )
        assert theirs["finish_reason"] == ours["finish_reason"]
        texts = [each["message"]["content"].rstrip("\ufffd") for each in (ours, theirs)]  # Half a character at the end.
        assert texts[0] == texts[1]
        for one, other in zip(ours["logprobs"]["content"], theirs["logprobs"]["content"], strict=False):
            if not one["token"].isascii():
                break  # Of a character of several tokens llama.cpp tells the last one only.
            assert one["bytes"] == other["bytes"]
            for mine, yours in zip(one["top_logprobs"], other["top_logprobs"], strict=True):
                assert mine["logprob"] == pytest.approx(yours["logprob"], abs=1e-3)


@pytest.mark.slow
def test_it_streams_stops_and_counts_as_ours_does(client: Client, llama: Client) -> None:
    whole = client.complete("vs", max_tokens=30).json
    text = llama.complete("vs", max_tokens=30).json
    assert text["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert text["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]
    streamed = llama.complete("vs", max_tokens=30, stream=True).events
    assert streamed[-1] == "[DONE]"
    assert "".join(each["choices"][0]["text"] for each in streamed[:-1]) == text["choices"][0]["text"]
    stop = text["choices"][0]["text"][1:2]
    assert stop not in llama.complete("vs", max_tokens=30, stop=stop).json["choices"][0]["text"]


@pytest.mark.slow
def test_a_seed_repeats_and_many_at_once_are_all_answered(llama: Client) -> None:
    texts = [llama.chat("giue", temperature=1.5, seed=seed, max_tokens=12).content for seed in (3, 3, 4)]
    said = [json.loads(text)["choices"][0]["message"]["content"] for text in texts]
    assert said[0] == said[1] != said[2]
    replies: list[int] = []
    threads = [
        threading.Thread(target=lambda: replies.append(llama.chat("vs vs", max_tokens=20).status)) for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [200] * 40


def test_a_bundle_without_gguf_files_is_told_what_it_lacks(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"no model-f16\.gguf or .*which --backend llama\.cpp needs"):
        gguf_file(folder)
