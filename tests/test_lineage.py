"""Tests of `lal.lineage`: what a stage was made from."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from lal import lineage
from lal.lineage import Stage

DVC_YAML = """
stages:
  data: {cmd: x, deps: [data/sft], params: [seed], outs: [data/corpus]}
  validate: {cmd: x, deps: [data/corpus, gold], metrics: [metrics/validate.json: {cache: false}]}
  pretrain: {cmd: x, deps: [data/corpus/train.jsonl, metrics/validate.json], outs: [models/base: {push: false}]}
  evaluate: {cmd: x, deps: [models/base]}
"""

DVC_LOCK = """
schema: '2.0'
stages:
  validate:
    deps:
    - {path: gold, hash: md5, md5: 1fb55b.dir, size: 1}
    outs:
    - {path: metrics/validate.json, hash: md5, md5: aa11, size: 1}
  pretrain:
    deps:
    - {path: gold, md5: an-old-one}
"""


@pytest.fixture
def stages(tmp_path: Path) -> dict[str, Stage]:
    path = tmp_path / "dvc.yaml"
    path.write_text(DVC_YAML)
    return lineage.read_stages(path)


def test_paths_of_a_stage_are_read_with_and_without_settings(stages: dict[str, Stage]) -> None:
    assert list(stages) == ["data", "validate", "pretrain", "evaluate"]
    assert stages["validate"].outs == ("metrics/validate.json",)
    assert stages["pretrain"].outs == ("models/base",)
    assert stages["data"].params == ("seed",)


def test_upstream_follows_folders_and_metrics_in_the_order_of_the_file(stages: dict[str, Stage]) -> None:
    assert lineage.upstream(stages, "evaluate") == ["data", "validate", "pretrain"]
    assert lineage.upstream(stages, "validate") == ["data"]
    assert lineage.upstream(stages, "data") == []
    assert lineage.upstream(stages, "unknown") == []


def test_digests_come_from_the_stages_asked_for_only(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(DVC_LOCK)
    assert lineage.locked_digests(path, ["data", "validate"]) == {"gold": "1fb55b.dir", "metrics/validate.json": "aa11"}


def test_a_project_without_dvc_files_has_no_lineage(tmp_path: Path) -> None:
    assert lineage.read_stages(tmp_path / "dvc.yaml") == {}
    assert lineage.locked_digests(tmp_path / "dvc.lock", ["data"]) == {}


def test_a_fingerprint_changes_with_own_params_code_and_data_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/train.txt").write_text("to be")
    Path("code.py").write_text("pass")
    stage = Stage("pretrain", deps=("data", "code.py", "absent"), outs=(), params=("seed", "pretrain"))
    params = {"seed": "1", "pretrain.steps": "9", "pretraining": "x", "sft.epochs": "2"}
    first = lineage.fingerprint(stage, params)
    assert lineage.fingerprint(stage, params | {"sft.epochs": "3", "pretraining": "y"}) == first
    assert lineage.fingerprint(stage, params | {"pretrain.steps": "8"}) != first
    Path("data/train.txt").write_text("or not")
    second = lineage.fingerprint(stage, params)
    Path("code.py").write_text("...")
    assert len({first, second, lineage.fingerprint(stage, params)}) == 3


def test_the_project_is_where_dvc_says_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert lineage.project_root() == tmp_path.resolve()
    monkeypatch.setenv("DVC_ROOT", "/main/checkout")
    assert lineage.project_root() == Path("/main/checkout")


def test_by_hand_every_process_is_an_execution_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAL_EXECUTION", raising=False)
    alone = lineage.current_execution()
    assert alone.key == alone.process == lineage.own_identity()
    assert not alone.by_dvc
    monkeypatch.setenv("LAL_EXECUTION", "tonight")
    assert lineage.current_execution().key == "tonight"


def test_a_process_is_known_again_and_its_death_noticed() -> None:
    own = lineage.own_identity()
    host, pid, born = own.split(":")
    assert int(pid) == os.getpid()
    assert not lineage.is_dead(own)
    assert lineage.is_dead(f"{host}:{pid}:{int(born) + 1}")
    assert not lineage.is_dead(f"another-computer:{pid}:1")
    assert not lineage.is_dead("")


def test_a_process_that_nobody_waited_for_is_dead() -> None:
    process = subprocess.Popen(["true"])
    identity = lineage.process_identity(psutil.Process(process.pid))
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert lineage.is_dead(identity)
    process.wait()
    assert lineage.is_dead(identity)


def test_git_tells_commit_and_edits_but_not_what_stages_write(tmp_path: Path) -> None:
    assert lineage.git_state(tmp_path) is None
    (tmp_path / "metrics").mkdir()
    for name in ("params.yaml", "dvc.lock", "metrics/data.json"):
        (tmp_path / name).write_text("1")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = lineage.git_state(tmp_path)
    assert clean is not None
    assert len(clean.commit) == 40
    assert clean.changed == ()
    for name in ("params.yaml", "dvc.lock", "metrics/data.json"):
        (tmp_path / name).write_text("2")
    edited = lineage.git_state(tmp_path)
    assert edited is not None
    assert edited.changed == ("params.yaml",)
