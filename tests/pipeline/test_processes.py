"""Real processes under torchrun: the same losses as one process, one MLflow run, killed and continued."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ruamel.yaml import YAML

from lal.model.folder import load_model
from lal.params import Params
from lal.stages.pretrain import pretrain
from lal.stages.sft import sft
from lal.tracking.store import open_store
from tests.tiny_training import ROOT, Listener, tiny_params, write_inputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

PATHS = {
    "pretrain": ["--tokenizer", "tokenizer", "--tokens", "tokens", "--base", "many/base"],
    "sft": ["--conversations", "conversations", "--base", "one/base", "--instruct", "many/instruct"],
}


class Project:
    """A folder with the inputs of both stages, which one process or many can run in."""

    def __init__(self, folder: Path, environment: dict[str, str], params: Params) -> None:
        self.folder, self.params = write_inputs(folder), params
        YAML(typ="safe").dump(json.loads(params.model_dump_json(by_alias=True)), folder / "params.yaml")
        self.environment = environment | {"PYTHONPATH": str(ROOT)}

    def start(self, stage: str, *options: str) -> "subprocess.Popen[str]":
        """Two processes of a stage."""
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["-m", f"pipeline.{stage}", *PATHS[stage], "--curve", f"many/{stage}.csv", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def wait_for_checkpoint(self, stage: str) -> None:
        deadline = time.monotonic() + 120
        while not list(self.folder.glob(f".lal/checkpoints/{stage}/*/*.checkpoint")):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def pretrain_alone(self, scratch: str = "scratch") -> None:
        where: dict[str, Any] = {"base": self.folder / "one" / "base", "curve": self.folder / "one" / "pretrain.csv"}
        inputs: dict[str, Any] = {"tokenizer": self.folder / "tokenizer", "tokens": self.folder / "tokens"}
        pretrain(params=self.params, reporter=Listener(), scratch=self.folder / scratch, **inputs, **where)

    def sft_alone(self, out: str, scratch: Path, listener: Listener) -> None:
        where: dict[str, Any] = {"instruct": self.folder / out / "instruct", "curve": self.folder / out / "sft.csv"}
        inputs: dict[str, Any] = {"base": self.folder / "one" / "base", "conversations": self.folder / "conversations"}
        sft(params=self.params, reporter=listener, scratch=scratch, **inputs, **where)

    def assert_same(self, stage: str, model: str) -> None:
        """What many processes have made is what one has made, but for the last digits."""
        curves = [(self.folder / way / f"{stage}.csv").read_text().splitlines() for way in ("one", "many")]
        rows = [list(csv.DictReader(curve)) for curve in curves]
        assert len(rows[0]) == len(rows[1]) > 1
        for one, many in zip(*rows, strict=True):
            assert {key: float(value) for key, value in many.items()} == pytest.approx(
                {key: float(value) for key, value in one.items()}, rel=1e-4
            )
        weights = [load_model(self.folder / way / model).model.state_dict() for way in ("one", "many")]
        for name, weight in weights[0].items():
            assert torch.allclose(weight, weights[1][name], atol=5e-3), name


def workers(run: "subprocess.Popen[str]") -> Sequence[psutil.Process]:
    return psutil.Process(run.pid).children()


def test_two_processes_learn_what_one_does_through_a_kill_and_are_one_run(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # An odd number of rows: one process has three of them, the other two.
    settings = {"steps": 60, "validate_every": 10, "batch_size": 5, "patience": 100}
    project = Project(tmp_path, environment | {"LAL_TRACKING": "on"}, tiny_params(pretrain=settings))
    project.pretrain_alone()

    first = project.start("pretrain")
    project.wait_for_checkpoint("pretrain")
    workers(first)[-1].kill()  # The other one cannot go on, and must not wait for ever.
    said, _ = first.communicate(timeout=60)
    assert first.returncode != 0
    assert "another process has ended" in said

    second = project.start("pretrain")
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert said.count("continuing after step") == said.count("step 60 of 60") == 1
    project.assert_same("pretrain", "base")

    store = open_store(tmp_path)
    (run,) = store.client.search_runs([store.experiment], "tags.`lal.kind` = 'stage'")
    assert run.info.status == "FINISHED"
    history = store.client.get_metric_history(run.info.run_id, "pretrain/validation_loss")
    assert sorted(point.step for point in history) == [10, 20, 30, 40, 50, 60]
    assert json.loads((tmp_path / "runs" / "pretrain.json").read_text()) == {"run_id": run.info.run_id}
    assert not any(path.is_dir() for path in (tmp_path / ".lal" / "checkpoints" / "pretrain").iterdir())


def test_a_sharded_run_that_is_terminated_is_saved_once_and_ended_by_one_process(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    settings = {"epochs": 40.0, "validate_every": 5, "batch_size": 5, "patience": 100}
    project = Project(tmp_path, environment | {"LAL_TRACKING": "off"}, tiny_params(sft=settings))
    project.pretrain_alone()
    project.sft_alone("one", tmp_path / "scratch", Listener())

    run = project.start("sft", "--shard")
    project.wait_for_checkpoint("sft")
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert said.count("saved; the same command continues it") == 1

    listener = Listener()
    project.sft_alone("many", tmp_path / ".lal" / "checkpoints" / "sft", listener)
    assert any(line.startswith("sft: continuing after step") for line in listener.lines)
    assert any("made with 2 processes, now there are 1" in line for line in listener.lines)
    project.assert_same("sft", "instruct")


def test_of_many_processes_only_the_first_leaves_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    import pipeline

    Project(tmp_path, environment, tiny_params())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANK", "1")
    with pipeline.stage("sft") as running:
        running.reporter.say("nobody hears this")
        running.metrics = {"loss": 1.0}
    assert not {"metrics", "runs"} & {path.name for path in tmp_path.iterdir()}
