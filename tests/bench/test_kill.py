"""The bench that kills `dvc repro`, on a stand-in for it that takes a second."""

import shutil
import sys
from pathlib import Path

import pytest

from bench import kill
from bench.kill import Kill, Project, differing, kill_at, measure, rows_of

DVC = """
import subprocess, sys
sys.exit(subprocess.call([sys.executable, "stage.py", "pipeline.pretrain"]))
"""

STAGE = """
import os, pathlib, time
parent, done = os.getppid(), pathlib.Path(".lal/checkpoints/pretrain/run/0.checkpoint")
done.parent.mkdir(parents=True, exist_ok=True)
for step in range(int(done.read_text()) if done.exists() else 0, 10):
    time.sleep(0.1)
    done.with_suffix(".part").write_text(str(step + 1))
    done.with_suffix(".part").rename(done)
    if os.getppid() != parent and not WAITS:
        sys.exit(1)
done.unlink()
numbers = '{"loss": 1, "tokens_per_second": %s}' % time.time()
for name, text in {"models/a": "same", "metrics/pretrain.json": numbers}.items():
    pathlib.Path(name).parent.mkdir(exist_ok=True)
    pathlib.Path(name).write_text(text)
"""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The source of the stand-in's stage, which every project of the test is made with."""
    source = tmp_path / "stage.py"
    source.write_text("import sys\n" + STAGE.replace("WAITS", "False"))

    def make(project: Project) -> None:
        shutil.rmtree(project.folder, ignore_errors=True)
        (project.folder / ".lal").mkdir(parents=True)
        (project.folder / "dvc.py").write_text(DVC)
        (project.folder / "stage.py").write_text(source.read_text())

    monkeypatch.setattr(Project, "make", make)
    monkeypatch.setattr(Project, "command", (sys.executable, "dvc.py"))
    return source


@pytest.mark.slow
@pytest.mark.usefixtures("stage")
def test_kills_add_up_over_calls_and_every_run_is_compared(tmp_path: Path) -> None:
    first = measure(tmp_path / "kill", "", 3, seed=1)
    assert (len(first.kills), first.num_files, first.num_torn_locks) == (3, 2, 0)
    assert first.runs >= 1
    second = measure(tmp_path / "kill", "", 2, seed=1)
    both = second.kills
    assert both[:3] == first.kills
    assert len(both) == 5
    assert second.runs > first.runs
    assert [one.whole_group for one in both] == [True, False, True, False, True]
    assert {one.stage for one in both} <= {"pretrain", "dvc"}
    assert all(0 < one.checkpoint_files <= 2 for one in both if one.checkpoint_bytes)


@pytest.mark.slow
def test_what_is_not_the_same_is_named(tmp_path: Path, stage: Path) -> None:
    measure(tmp_path / "kill", "", 1, seed=1)
    stage.write_text(stage.read_text().replace('"same"', '"other"'))
    with pytest.raises(SystemExit, match=r"not the same bytes: models/a$"):
        measure(tmp_path / "kill", "", 1, seed=1)


def test_a_stage_that_outlives_its_dvc_is_found(tmp_path: Path, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.write_text("import sys\n" + STAGE.replace("WAITS", "True"))
    monkeypatch.setattr(kill, "ORPHAN_SECONDS", 0.1)
    project = Project(tmp_path / "project", "")
    project.make()
    with pytest.raises(SystemExit, match="lives on"):
        kill_at(project, 0.5, whole_group=False)


def test_a_run_that_fails_says_what_it_said(tmp_path: Path, stage: Path) -> None:
    stage.write_text("raise SystemExit('the disk is full')")
    project = Project(tmp_path / "project", "")
    project.make()
    with pytest.raises(SystemExit, match=r"(?s)ended with 1:.*the disk is full"):
        kill_at(project, None, whole_group=True)


@pytest.mark.parametrize("what", ["is invalid", "validation failed"])
def test_a_lock_that_a_kill_cut_short_is_removed_and_counted(tmp_path: Path, stage: Path, what: str) -> None:
    stage.write_text(f"""
import pathlib
if pathlib.Path("dvc.lock").exists():
    raise SystemExit("'./dvc.lock' {what}.")
""")
    project = Project(tmp_path / "project", "")
    project.make()
    (project.folder / "dvc.lock").touch()
    assert kill_at(project, None, whole_group=True) is None
    assert project.num_torn_locks == 1


def test_files_missing_on_either_side_differ() -> None:
    assert differing({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) == ["a", "c"]


def test_the_table_counts_kills_by_stage_and_keeps_the_slowest_end() -> None:
    kills = [Kill("sft", False, 1.0, ending, 0, 0) for ending in (0.4, 1.25)] + [Kill("sft", True, 1.0, 9.0, 0, 0)]
    row = next(row for row in rows_of(kills) if row["killed in"] == "sft")
    assert list(row.values()) == ["sft", 1, 2, "1.2 s"]
