"""The pretrain stage, on a text of a few hundred tokens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lal.advice.forecast import Range
from lal.advice.prediction import Prediction, write_prediction
from lal.errors import DataError, TrainingError
from lal.files import sha256, write_text
from lal.model.folder import load_model
from lal.params import Params
from lal.stages.pretrain import pretrain
from lal.text.tokenizer import Tokenizer
from tests.tiny_training import ROOT, TEXT, Listener, tiny_params, write_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_inputs(tmp_path)


def run(folder: Path, params: Params, listener: Listener | None = None, out: str = "out") -> dict[str, Any]:
    return pretrain(
        params=params,
        tokenizer=folder / "tokenizer",
        tokens=folder / "tokens",
        base=folder / out / "base",
        curve=folder / out / "curve.csv",
        scratch=folder / out / "scratch",
        reporter=listener or Listener(),
    )


def test_it_writes_a_model_a_curve_and_its_numbers(folder: Path) -> None:
    listener = Listener()
    metrics = run(folder, tiny_params(), listener)
    loaded = load_model(folder / "out" / "base")
    assert metrics["parameters"] == sum(weight.numel() for weight in loaded.model.parameters())
    assert f"{metrics['parameters']:,} parameters" in listener.lines[0]
    assert metrics["tokens_seen"] == 12 * 2 * 32
    assert metrics["validation"]["nats_per_character"] < 5
    assert loaded.provenance["stage"] == "pretrain"
    assert loaded.provenance["params"].keys() == {"seed", "model", "pretrain"}
    assert loaded.provenance["inputs"].keys() == {"tokenizer.json", "train.bin", "validation.bin"}
    curve = (folder / "out" / "curve.csv").read_text().splitlines()
    assert curve[0].startswith("step,train_loss,validation_loss")
    assert [line.split(",")[0] for line in curve[1:]] == ["4", "8", "12"]
    assert not any(path.is_dir() for path in (folder / "out" / "scratch").iterdir())


def test_the_validation_is_that_of_the_model_on_disk(folder: Path) -> None:
    from lal.text.batches import consecutive_windows
    from lal.train.validation import validate

    metrics = run(folder, tiny_params())
    loaded = load_model(folder / "out" / "base")
    ids = np.array([loaded.tokenizer.end_id, *loaded.tokenizer.encode(TEXT[:300]), loaded.tokenizer.end_id])
    again = validate(loaded.model, list(consecutive_windows(ids, 32, 2)), loaded.tokenizer)
    assert again.num_bytes == 300
    assert again.metrics() == pytest.approx(metrics["validation"], rel=1e-9)


def test_two_runs_give_the_same_bytes_and_no_timing_reaches_the_model(folder: Path) -> None:
    first, second = (run(folder, tiny_params(), out=out) for out in ("a", "b"))
    for name in ("model.safetensors", "lal.json"):
        assert sha256(folder / "a" / "base" / name) == sha256(folder / "b" / "base" / name)
    assert (folder / "a" / "curve.csv").read_text() == (folder / "b" / "curve.csv").read_text()
    differing = {key for key in first if first[key] != second[key]}
    assert differing <= {"tokens_per_second", "minutes"}
    assert "tokens_per_second" not in load_model(folder / "a" / "base").provenance["training"]


def test_preflight_changes_no_byte(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    run(folder, tiny_params(), listener, out="a")
    monkeypatch.setattr("lal.stages.pretrain.preflight", lambda *_: None)
    run(folder, tiny_params(), out="b")
    weights = [sha256(folder / out / "base" / "model.safetensors") for out in ("a", "b")]
    assert weights[0] == weights[1]
    assert sum(line.startswith("preflight: ") for line in listener.lines) == 2


def test_the_end_tells_what_the_curve_shows_and_what_became_of_the_prediction(folder: Path) -> None:
    params, told = tiny_params(), Range(0.0, 3.0, 9.0)
    write_prediction(folder / "plan.json", params, sha256(folder / "tokens" / "train.bin"), Prediction(told, told))
    listener = Listener()
    metrics = pretrain(
        params=params,
        tokenizer=folder / "tokenizer",
        tokens=folder / "tokens",
        base=folder / "out" / "base",
        curve=folder / "out" / "curve.csv",
        scratch=folder / "out" / "scratch",
        reporter=listener,
        foretold=folder / "plan.json",
    )
    assert metrics["diagnosis"]["finding"] == "cannot tell"
    assert metrics["prediction"]["bits_per_byte_inside"] == 1
    assert metrics["minutes"] > 0
    assert any(line.startswith("lal plan: ") for line in listener.lines)
    assert "prediction" not in load_model(folder / "out" / "base").provenance["training"]


def test_the_seed_decides_the_weights(folder: Path) -> None:
    run(folder, tiny_params(), out="a")
    run(folder, tiny_params().model_copy(update={"seed": 1}), out="b")
    weights = [sha256(folder / out / "base" / "model.safetensors") for out in ("a", "b")]
    assert weights[0] != weights[1]


def test_a_learning_rate_that_diverges_is_one_clear_error(folder: Path) -> None:
    params = tiny_params(pretrain={"max_grad_norm": 1e30})
    wild = params.pretrain.model_copy(update={"learning_rate": 1e30, "embedding_learning_rate": 1e38})
    with pytest.raises(TrainingError, match=r"pretrain\.learning_rate"):
        run(folder, params.model_copy(update={"pretrain": wild}))


def test_tokens_of_another_tokenizer_are_refused(folder: Path) -> None:
    # Fewer entries: the ids would point outside of them.
    Tokenizer.train([TEXT], 262).save(folder / "tokenizer")
    with pytest.raises(DataError, match=r"meta\.json: .* another tokenizer") as caught:
        run(folder, tiny_params())
    assert caught.value.remedy == "run `dvc repro tokenizer`"


def test_a_token_outside_the_vocabulary_is_refused(folder: Path) -> None:
    path = folder / "tokens" / "train.bin"
    ids = np.fromfile(path, dtype="<u2")
    ids[7] = 270
    path.write_bytes(ids.tobytes())
    with pytest.raises(DataError, match=r"train\.bin: token 270 in a vocabulary of 270"):
        run(folder, tiny_params())


def test_a_model_that_does_not_fit_into_the_memory_is_one_clear_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lal.stages.pretrain.Transformer", lambda *_, **__: torch.empty(2**58))
    with pytest.raises(TrainingError, match="pretrain: the model does not fit") as caught:
        run(folder, tiny_params())
    assert "model.size" in caught.value.remedy


def test_tokens_that_were_not_all_counted_are_refused(folder: Path) -> None:
    meta = json.loads((folder / "tokens" / "meta.json").read_text())
    meta["validation"]["bytes"] += 1
    write_text(folder / "tokens" / "meta.json", json.dumps(meta))
    with pytest.raises(DataError, match=r"validation\.bin"):
        run(folder, tiny_params())


def test_an_empty_token_file_is_refused(folder: Path) -> None:
    (folder / "tokens" / "train.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"train\.bin"):
        run(folder, tiny_params())


CHILD = """
import sys
from pathlib import Path
import torch
from lal.params import Params
from lal.reporting import NullReporter
from lal.stages.pretrain import pretrain

torch.set_num_threads(1)
folder = Path(sys.argv[1])
params = Params.model_validate_json((folder / "params.json").read_text())
print("started", flush=True)
pretrain(params=params, tokenizer=folder / "tokenizer", tokens=folder / "tokens", base=folder / "killed" / "base",
         curve=folder / "killed" / "curve.csv", scratch=folder / "killed" / "scratch", reporter=NullReporter())
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_bytes(folder: Path) -> None:
    params = tiny_params(pretrain={"steps": 400, "validate_every": 20, "patience": 100})
    (folder / "params.json").write_text(params.model_dump_json(by_alias=True))
    begun = time.monotonic()
    run(folder, params, out="straight")
    duration = time.monotonic() - begun
    chance = np.random.default_rng(7)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    codes = []
    for most_seconds in (*chance.uniform(0.05, 0.6 * duration, size=8), 120):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "started\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(most_seconds)
            child.kill()
        codes.append(child.returncode)
        if child.returncode == 0:
            break
    assert codes[-1] == 0
    assert -signal.SIGKILL in codes
    for name in ("model.safetensors", "lal.json"):
        assert sha256(folder / "killed" / "base" / name) == sha256(folder / "straight" / "base" / name), name
    assert (folder / "killed" / "curve.csv").read_bytes() == (folder / "straight" / "curve.csv").read_bytes()
