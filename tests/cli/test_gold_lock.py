"""`lal gold lock` from the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lal.cli.gold import app
from lal.data.versions import read_lock
from lal.errors import DataError
from lal.files import write_jsonl


def item(identity: str, version: int = 1, expected: str = "have") -> dict[str, object]:
    message = {"role": "user", "content": f"Modernise: haue {identity}"}
    row = {"id": identity, "slice": "known", "messages": [message], "scorer": "exact", "expected": expected}
    return row | {"difficulty": "easy", "source": "s", "split": "dev", "version": version}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lock", *arguments])


@pytest.fixture
def gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "gold" / "gold.jsonl", [item("a"), item("b", 2)])
    write_jsonl(tmp_path / "gold" / "sealed.jsonl", [item("c", 2) | {"split": "sealed"}])
    return tmp_path / "gold"


def test_all_splits_are_locked_as_the_newest_version_they_carry(gold: Path) -> None:
    done = run()
    assert done.output.startswith("version 2 is locked: 3 items, 3 new or changed, 0 removed\n")
    assert set(read_lock(gold).items) == {"a", "b", "c"}


def test_a_dry_run_tells_what_differs_and_locks_nothing(gold: Path) -> None:
    run()
    write_jsonl(gold / "gold.jsonl", [item("a", expected="hath"), item("b", 3, "hath")])
    before = (gold / "versions.lock").read_bytes()
    done = run("--dry-run")
    output = done.output
    assert done.exit_code == 1
    assert "BREAKS THE LOCK: a: right answers changed, but it still says version 1" in output
    assert "changed: b: right answers changed\n" in output
    assert (gold / "versions.lock").read_bytes() == before


def test_a_change_under_an_old_version_is_refused(gold: Path) -> None:
    run()
    write_jsonl(gold / "gold.jsonl", [item("a", expected="hath"), item("b", 2)])
    error = run().exception
    assert isinstance(error, DataError)
    assert "a: right answers changed" in error.problem


def test_an_item_is_removed_by_name(gold: Path) -> None:
    run()
    write_jsonl(gold / "gold.jsonl", [item("a")])
    assert isinstance(run().exception, DataError)
    assert run("--remove", "b").output.startswith("version 3 is locked: 2 items, 0 new or changed, 1 removed")
