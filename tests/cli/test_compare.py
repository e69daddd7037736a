"""`lal compare` on files, the champion, revisions of a real DVC repository and runs of a real MLflow store."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lal.cli import app
from lal.errors import DataError, LalError
from lal.evaluation.scores.results import Result as GoldResult
from lal.evaluation.scores.results import write_results
from lal.evaluation.verdict.champion import ChampionFacts, write_champion

ROOT = Path(__file__).parents[2]


def result(item: str, slice_name: str, text: str, solver: str = "lal") -> GoldResult:
    return GoldResult(
        item_id=item,
        solver=solver,
        slice=slice_name,
        subslice="",
        source="macbeth",
        scorer="exact",
        prompt=f"Modernise: Haue {item}",
        expected=f"Have {item}",
        alternatives=(),
        text=text,
        finish_reason="stop",
        num_tokens=3,
        scores={"exact": float(text == f"Have {item}")},
        explanation="",
    )


def answers(right: int, slices: Sequence[str] = ("known", "unseen", "context", "keep")) -> list[GoldResult]:
    """Ten answers a slice, the first `right` of each right."""
    return [
        result(f"{name}-{number}", name, f"{'Have' if number < right else 'Hate'} {name}-{number}")
        for name in slices
        for number in range(10)
    ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and two result files, the current folder; `new.jsonl` is right twice as often."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    write_results(tmp_path / "old.jsonl", answers(4))
    write_results(tmp_path / "new.jsonl", answers(8))
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *[str(argument) for argument in arguments]])


def said(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def error_of(*arguments: object) -> LalError:
    error = run(*arguments).exception
    assert isinstance(error, LalError), run(*arguments).output
    return error


def test_the_answer_comes_first_and_then_the_table_and_the_items(project: Path) -> None:
    output = said("old.jsonl", "new.jsonl")
    assert output.startswith("lal in new.jsonl is better than lal in old.jsonl: the headline changes by +40.0 of 100")
    assert re.search(r" keep +10 +40.0 \[17,69\] +80.0 \[49,94\]", output)
    assert "Broken: 0\n\nFixed: 16, the first 10" in output
    assert "  base       Hate known-4\n  candidate  Have known-4\n" in output


def test_the_table_fits_a_terminal_of_100_columns(project: Path) -> None:
    long_names = ("context-majority-of-all",)
    write_results(project / "a.jsonl", answers(4) + answers(4, long_names))
    assert max(map(len, said("a.jsonl", "a.jsonl").splitlines())) <= 100


def test_a_worse_candidate_is_told_as_loudly(project: Path) -> None:
    output = said("new.jsonl", "old.jsonl")
    assert output.startswith("lal in old.jsonl is worse than lal in new.jsonl")
    assert "WORSE" in output
    assert "Broken: 16" in output


def test_what_is_open_comes_with_the_number_of_items_that_would_settle_it(project: Path) -> None:
    write_results(project / "close.jsonl", answers(5))
    output = said("old.jsonl", "close.jsonl", "--no-items")
    assert output.startswith("cannot tell whether lal in close.jsonl is better than lal in old.jsonl")
    assert "More items that would show the difference seen with 80 % power" in output
    assert "Broken" not in output
    assert "More items that would show a true difference of 30 (times 100)" in said(
        "old.jsonl", "close.jsonl", "--size", "0.3"
    )


def test_two_solvers_of_one_file_can_be_compared(project: Path) -> None:
    rows = answers(4) + [row.model_copy(update={"solver": "copy"}) for row in answers(2)]
    write_results(project / "both.jsonl", rows)
    output = said("both.jsonl", "both.jsonl", "--base-solver", "copy")
    assert output.startswith("lal in both.jsonl is better than copy in both.jsonl")


def test_the_view_can_be_narrowed_to_a_slice_without_changing_its_p_value(project: Path) -> None:
    whole, part = (json.loads(said("old.jsonl", "new.jsonl", "--json", *more)) for more in ((), ("--slice", "keep")))
    (row,) = part["rows"]
    assert row == next(each for each in whole["rows"] if each["slice"] == "keep")
    assert {item["slice"] for item in part["fixed"]} == {"keep"}
    assert "known, unseen" in error_of("old.jsonl", "new.jsonl", "--slice", "kep").remedy


def test_narrowed_to_the_headline_only_its_slices_count(project: Path) -> None:
    """An item that was fixed in a slice outside of the headline is no part of it."""
    for name, right in (("old", 4), ("new", 8)):
        write_results(project / f"{name}.jsonl", [*answers(right), *answers(right, ["french"])])
    whole, part = (
        json.loads(said("old.jsonl", "new.jsonl", "--json", *more)) for more in ((), ("--slice", "headline"))
    )
    assert (len(whole["fixed"]), len(part["fixed"])) == (20, 16)
    assert "french" not in {item["slice"] for item in part["fixed"]}


def test_json_says_the_same_as_the_text(project: Path) -> None:
    found = json.loads(said("old.jsonl", "new.jsonl", "--json"))
    assert (found["verdict"], len(found["fixed"]), found["broken"]) == ("better", 16, [])
    assert found["rows"][0]["slice"] == "headline"
    assert found["rows"][0]["difference"]["value"] == pytest.approx(0.4)


def test_items_that_cannot_be_compared_are_named_with_the_reason(project: Path) -> None:
    write_results(project / "fewer.jsonl", answers(8)[:-2])
    assert "Left out, not in the new answers: 2 (keep-8, keep-9)" in said("old.jsonl", "fewer.jsonl")


def test_the_candidate_is_the_last_evaluation_unless_named(project: Path) -> None:
    write_results(project / "reports" / "gold.jsonl", answers(8))
    assert "lal in reports/gold.jsonl is better" in said("old.jsonl")


def test_the_champion_is_called_by_its_name(project: Path) -> None:
    assert "lal promote" in error_of("champion", "new.jsonl").remedy
    facts = ChampionFacts(
        promoted_on="2026-11-24", reason="", gate="", run_id=None, commit=None, uncommitted=(), model_sha256="0" * 64,
        gold_versions={"1": 40}, results_sha256="",
    )  # fmt: skip
    write_champion(project / "champion", answers(4), facts)
    assert "lal in new.jsonl is better than lal in champion" in said("champion", "new.jsonl")


def test_nothing_in_common_is_an_error_that_says_why(project: Path) -> None:
    write_results(project / "other.jsonl", answers(8, ["french"]))
    error = error_of("old.jsonl", "other.jsonl", "--no-items")
    assert error.problem.startswith("nothing can be compared between lal in old.jsonl and lal in other.jsonl: ")
    assert "left out" in error.problem
    assert "same gold items" in error.remedy


def test_a_solver_that_is_not_there_is_answered_with_those_that_are(project: Path) -> None:
    error = error_of("old.jsonl", "new.jsonl", "--solver", "rules")
    assert isinstance(error, DataError)
    assert "answers of lal" in error.remedy


def test_a_name_for_nothing_says_what_names_there_are(project: Path) -> None:
    error = error_of("nowhere.jsonl", "new.jsonl")
    assert "no such file" in error.problem
    assert "MLflow run id" in error.remedy
    assert "no run begins with 'abcd'" in error_of("run:abcd", "new.jsonl").problem
    assert "no revision 'abcd'" in error_of("git:abcd", "new.jsonl").problem


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=Lal", "-c", "user.email=lal@example.org")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
def test_a_revision_has_the_answers_that_its_dvc_lock_names(project: Path) -> None:
    git("init", "--quiet", "--initial-branch=main")
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--quiet"], check=True, capture_output=True)
    (project / "dvc.yaml").write_text(
        "stages:\n  evaluate:\n    cmd: mkdir -p reports && cp answers.jsonl reports/gold.jsonl\n"
        "    deps: [answers.jsonl]\n    outs: [reports/gold.jsonl]\n"
    )
    git("add", "--all")
    git("commit", "--quiet", "-m", "Before evaluate ran")
    for right in (4, 8):
        write_results(project / "answers.jsonl", answers(right))
        subprocess.run([*dvc, "repro", "--quiet"], check=True, capture_output=True)
        git("add", "--all")
        git("commit", "--quiet", "-m", f"{right} of ten")
    output = said("HEAD~1", "main")
    assert output.startswith("lal in git main is better than lal in git HEAD~1")
    assert f"lal in git {git('rev-parse', 'HEAD')[:8]} is better" in said("HEAD~1", git("rev-parse", "HEAD"))
    assert "no dvc.lock" in error_of("HEAD~2", "main").problem
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    assert "dvc fetch" in error_of("HEAD~1", "main").remedy


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")  # MLflow's own
def test_a_run_is_named_by_the_beginning_of_its_id(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lal.tracking.reporter import track

    monkeypatch.setenv("LAL_TRACKING", "on")
    runs: list[str] = []
    for right in (4, 8, None):
        with track("evaluate", {"seed": 1}) as tracker:
            if right:
                write_results(project / "reports" / "gold.jsonl", answers(right))
                tracker.attach(project / "reports" / "gold.jsonl")
        assert tracker.run_id is not None
        runs.append(tracker.run_id)
    old, new, empty = runs
    output = said(old[:12], f"run:{new}")
    assert output.startswith(f"lal in run {new[:8]} is better than lal in run {old[:8]}")
    assert "keeps no reports/gold.jsonl" in error_of(empty, new).problem
    assert "no run begins with" in error_of("run:ffffffffffff", new).problem
