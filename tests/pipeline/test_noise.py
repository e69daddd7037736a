"""The noise floor under a real DVC: kept, compared with, and never trained by `dvc repro`."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pipeline.conftest import CHECKOUT, commit

pytestmark = pytest.mark.slow

TRAINED = "trained.txt"

PIPELINE = """
stages:
  evaluate:
    cmd: cp params.yaml score.txt
    deps: [params.yaml]
    outs: [score.txt]
  gate:
    cmd: cp metrics/noise.json metrics/gate.json
    deps: [metrics/noise.json, score.txt]
    metrics: [metrics/gate.json: {cache: false}]
"""


class Project:
    """A repository with the stage `noise` as the checkout has it, around a stand-in that only notes that it ran."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def floor(self) -> object:
        return json.loads((self.folder / "metrics" / "noise.json").read_text())

    def trainings(self) -> int:
        path = self.folder / TRAINED
        return len(path.read_text()) if path.exists() else 0


@pytest.fixture
def project(tmp_path: Path, environment: dict[str, str]) -> Project:
    folder = tmp_path / "project"
    for name in (".gitignore", ".dvcignore", "params.yaml", "profiles/small.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)
    stages = YAML(typ="safe").load(PIPELINE)
    stages["stages"]["noise"] = YAML(typ="safe").load((CHECKOUT / "dvc.yaml").read_text())["stages"]["noise"]
    YAML(typ="safe").dump(stages, folder / "dvc.yaml")
    (folder / "pipeline").mkdir()
    (folder / "pipeline" / "__init__.py").touch()
    (folder / "pipeline" / "noise.py").write_text(
        f"open({TRAINED!r}, 'a').write('x')\nopen('metrics/noise.json', 'w').write('{{\"measured\": true}}')\n"
    )
    (folder / "metrics").mkdir()
    (folder / "metrics" / "noise.json").write_text('{"measured": false}')
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write(f"{TRAINED}\n")
    project = Project(folder, environment)
    project.run("git", "init", "-q", "-b", "main")
    project.run("dvc", "init", "-q")
    project.run("dvc", "config", "core.autostage", "true")
    project.run("dvc", "repro")
    commit(folder, environment)
    return project


def test_repro_never_trains_the_noise_floor_and_a_second_one_does_nothing(project: Project) -> None:
    assert "up to date" in project.run("dvc", "repro")
    project.run("dvc", "status", "--quiet")
    (project.folder / "params.yaml").write_text("seed: 3\n")
    (project.folder / "profiles" / "small.yaml").write_text("sft: {epochs: 9.0}\n")
    for command in (
        ["repro"],
        ["repro", "--force"],
        ["repro", "--force", "noise"],
        ["repro", "--single-item", "noise"],
    ):
        project.run("dvc", *command)
    assert project.trainings() == 0
    assert project.floor() == {"measured": False}
    project.run("dvc", "status", "--quiet")


def test_a_fresh_clone_needs_no_training_and_is_up_to_date_after_one_repro(project: Project, tmp_path: Path) -> None:
    project.run("git", "clone", "-q", str(project.folder), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone", project.environment)
    clone.run("dvc", "repro")
    clone.run("dvc", "status", "--quiet")
    assert clone.trainings() == 0
    assert clone.run("git", "status", "--short") == ""


def test_lal_noise_trains_and_leaves_a_floor_that_dvc_has_taken(project: Project) -> None:
    project.run("lal", "noise", "--show")
    shown = subprocess.run(
        ["lal", "noise"], cwd=project.folder, env=project.environment, check=False, capture_output=True, text=True
    )
    # The stand-in's floor is no real one, so showing it fails; by then DVC has it.
    assert "not a noise floor" in shown.stderr
    assert project.trainings() == 1
    assert "noise:" not in project.run("dvc", "status").splitlines()
    project.run("dvc", "repro")
    assert json.loads((project.folder / "metrics" / "gate.json").read_text()) == {"measured": True}
    project.run("dvc", "status", "--quiet")
    assert project.trainings() == 1
