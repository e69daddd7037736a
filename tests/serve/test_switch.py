"""Another model takes over without a request being lost; a broken one does not."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.errors import ModelError
from lal.export.manifest import write_manifest
from lal.model.folder import load_model, save_model
from lal.serve import served
from lal.serve.process import Options, running
from lal.serve.served import Switch, folder_digest
from tests.serve.conftest import Client


@pytest.fixture
def bundle(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "bundle")
    write_manifest(tmp_path / "bundle", {"made": "first"})
    return tmp_path / "bundle"


@pytest.fixture
def quick(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(served, "POLL_SECONDS", 0.05)
    with running(Options(lambda: bundle)) as address:
        yield Client(address)


def change(bundle: Path) -> str:
    """Exports another model into the folder, as the stage does: the manifest last; returns its digest."""
    loaded = load_model(bundle)
    loaded.model.model.norm.weight.data.mul_(1.5)
    shutil.rmtree(bundle)
    save_model(bundle, loaded.model, loaded.tokenizer, {"stage": "sft"}, generation={"max_new_tokens": 9})
    write_manifest(bundle, {"made": "second"})
    return folder_digest(bundle)


def wait_until_served(client: Client, digest: str) -> None:
    deadline = time.monotonic() + 10
    while client.get("/health").json["digest"] != digest:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_requests_keep_being_answered_while_the_model_changes_each_by_one_of_the_two(
    quick: Client, bundle: Path
) -> None:
    first = folder_digest(bundle)
    answers: list[tuple[int, str]] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            reply = quick.chat("giue vs", max_tokens=20, temperature=1, seed=1)
            answers.append((reply.status, reply.json["model"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    second = change(bundle)
    wait_until_served(quick, second)
    quick.chat("giue vs")
    is_over.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {model for _, model in answers} <= {f"lal-{first}", f"lal-{second}"}
    assert quick.chat("giue vs").json["model"] == f"lal-{second}"
    assert quick.post("/v1/completions", {"model": f"lal-{first}", "prompt": "x"}).error["code"] == "model_not_found"
    assert f'lal_model{{backend="torch",version="lal-{second}"}} 1.0' in quick.get("/metrics").content.decode()


def test_requests_are_answered_while_the_folder_is_being_written_anew(quick: Client, bundle: Path) -> None:
    shutil.rmtree(bundle)
    assert quick.chat("giue vs").status == 200
    assert quick.post("/v1/completions", {"model": "lal", "prompt": "x"}).status == 200


def test_a_damaged_model_is_told_of_once_and_the_old_one_goes_on(
    quick: Client, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = folder_digest(bundle)
    change(bundle)
    wait_until_served(quick, folder_digest(bundle))
    caplog.clear()  # A folder that is just being written is told of as well.
    good = (bundle / "model.safetensors").read_bytes()
    second = folder_digest(bundle)
    (bundle / "model.safetensors").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    (bundle / "manifest.json").write_text((bundle / "manifest.json").read_text() + " ")
    deadline = time.monotonic() + 10
    while quick.number("lal_failed_switches") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert quick.get("/health").json["digest"] == second != first
    assert quick.chat("giue", max_tokens=2).status == 200
    assert caplog.text.count("the model is not changed") == 1


def test_no_model_to_begin_with_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        Switch(lambda: tmp_path / "nothing", "torch")


def test_without_a_manifest_the_version_is_that_of_lal_json(folder: Path, bundle: Path) -> None:
    assert folder_digest(folder) != folder_digest(bundle)
    assert len(folder_digest(folder)) == 12
