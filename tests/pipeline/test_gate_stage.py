"""The gate under a real DVC and a real MLflow: what it writes, what it stops, and what a promotion makes run again."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lal.evaluation.scores.results import Result, write_results
from lal.evaluation.verdict.champion import ChampionFacts, write_champion
from lal.tracking.store import open_store
from tests.gate_inputs import write_gate_inputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:The ``noload`` loader strategy:DeprecationWarning"
    ),  # MLflow's use of SQLAlchemy
]

CHECKOUT = Path(__file__).parents[2]

DVC_YAML = """
stages:
  gate:
    cmd: >-
      python -m pipeline.gate --answers gold.jsonl --scores scores.json --failures failures.json --copies copies.json
      --overlaps overlaps.json --champion champion --noise noise.json --pretrain pretrain.json
      --pretrain-curve pretrain.csv --sft sft.json --sft-curve sft.csv --report gold.html
    deps: [gold.jsonl, scores.json, failures.json, copies.json, overlaps.json, champion, noise.json]
    params: [gold, gate]
    outs: [gold.html, runs/gate.json]
    metrics: [metrics/gate.json: {cache: false}]
  export:
    cmd: cp metrics/gate.json exported.json
    deps: [metrics/gate.json]
    outs: [exported.json]
"""

GATE = """
gate:
  stop: {stop}
  conditions:
    - {{metric: exact, slice: known, against: champion, margin: 0.0, required: not_refuted}}

"""


def answers(right: int) -> list[Result]:
    """20 answers, the first of them right."""
    return [
        Result(
            item_id=f"g{number}",
            solver="lal",
            slice="known",
            subslice="",
            source="macbeth",
            scorer="exact",
            prompt=f"Modernise: haue {number}",
            expected="have",
            alternatives=(),
            text="have" if number < right else "hath",
            finish_reason="stop",
            num_tokens=1,
            scores={"exact": float(number < right)},
            explanation="",
        )
        for number in range(20)
    ]


class Project:
    """A model that gets 8 of 20 right where the champion got all."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(CHECKOUT / "src", folder / "src", ignore=ignored)
        (folder / "pipeline").mkdir()
        for name in ("pipeline/__init__.py", "pipeline/gate.py", "params.yaml", ".gitignore", ".dvcignore"):
            shutil.copy(CHECKOUT / name, folder / name)
        (folder / "dvc.yaml").write_text(DVC_YAML)
        write_results(folder / "gold.jsonl", answers(8))
        write_gate_inputs(folder, answers(8))
        self.promote(20)
        self.stop(False)
        for command in ("git init -q -b main", "dvc init -q", "dvc config core.analytics false"):
            subprocess.run(command.split(), cwd=folder, env=environment, check=True)

    def promote(self, right: int) -> None:
        """Makes another model the champion."""
        facts: dict[str, Any] = {"promoted_on": "2026-11-24", "reason": "", "gate": "", "run_id": None, "commit": None}
        facts |= {"uncommitted": (), "model_sha256": "ab" * 32, "gold_versions": {}, "results_sha256": ""}
        write_champion(self.folder / "champion", answers(right), ChampionFacts(**facts))

    def stop(self, wanted: bool) -> None:
        """Sets gate.stop, with one condition."""
        text = (self.folder / "params.yaml").read_text()
        start, end = text.index("\ngate:\n"), text.index("\nexport:\n")
        gate = GATE.format(stop=str(wanted).lower())
        (self.folder / "params.yaml").write_text(text[:start] + gate + text[end:].lstrip("\n"))

    def dvc(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a `dvc` command to its end."""
        command = ["dvc", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True, timeout=300
        )

    def metrics(self) -> dict[str, Any]:
        """metrics/gate.json."""
        tree: dict[str, Any] = json.loads((self.folder / "metrics" / "gate.json").read_text())
        return tree


@pytest.fixture
def project(tmp_path: Path, environment: dict[str, str]) -> Project:
    """The project before its first `dvc repro`."""
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", environment)


def test_a_worse_model_goes_through_the_pipeline_and_its_verdict_with_it(project: Project) -> None:
    done = project.dvc("repro")
    assert done.returncode == 0, done.stderr
    assert "Gate NOT passed: 1 of 1 required conditions fails: exact on known against champion." in done.stdout
    assert project.metrics()["passed"] == 0
    assert (project.folder / "exported.json").exists()
    shown = project.dvc("metrics", "show", "--json").stdout
    assert (
        json.loads(shown)[""]["data"]["metrics/gate.json"]["data"]["condition"]["exact_known_champion"]["passed"] == 0
    )
    store = open_store(project.folder)
    (run,) = store.client.search_runs([store.experiment], "tags.`lal.kind` = 'pipeline'")
    assert run.data.metrics["gate/passed"] == 0
    assert run.data.metrics["gate/condition.exact_known_champion.value"] == -0.6
    assert [entry.path for entry in store.client.list_artifacts(run.info.run_id, "reports")] == ["reports/gold.html"]


def test_asked_to_stop_it_fails_after_everything_was_written_and_nothing_is_exported(project: Project) -> None:
    project.stop(True)
    done = project.dvc("repro", "--keep-going")
    assert done.returncode == 255
    assert "error: Gate NOT passed" in done.stderr
    assert "0.400 (8 of 20) against 1.000" in done.stderr
    assert "dvc checkout" not in done.stderr
    assert project.metrics()["passed"] == 0
    assert '<section id="verdict">' in (project.folder / "gold.html").read_text()
    assert not (project.folder / "exported.json").exists()


def test_a_promotion_makes_the_gate_run_again_and_then_nothing(project: Project) -> None:
    project.dvc("repro")
    assert "up to date" in project.dvc("repro").stdout
    project.promote(8)
    plan = project.dvc("repro", "--dry").stdout
    assert "Running stage 'gate'" in plan
    done = project.dvc("repro")
    assert "Gate passed" in done.stdout
    assert project.metrics()["num_cannot_tell"] == 1
    assert "up to date" in project.dvc("repro").stdout
