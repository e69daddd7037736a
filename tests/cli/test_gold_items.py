import json
import os
import pty
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lal.cli.gold import app
from lal.errors import DataError, LalError
from lal.evaluation.gold.folder import load_gold
from lal.gold_items import GoldItem

ROOT = Path(__file__).parents[2]
ITEM = {
    "id": "fol-041",
    "slice": "known",
    "messages": [{"role": "user", "content": "Modernise: Sleepe shall neyther Night nor Day"}],
    "scorer": "exact",
    "expected": "Sleep shall neither Night nor Day",
    "difficulty": "easy",
    "source": "macbeth",
    "split": "dev",
    "version": 1,
}
LINES = [
    ("I haue giuen him more then thee", "I have given him more than thee"),
    ("The Kings of France haue more then thee", "The Kings of France have more than thee"),
    ("What then haue I giuen?", "What then have I given?"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one gold item and three lines to learn from."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests/minute.params.yaml", "params.yaml")
    write(Path("gold/gold.jsonl"), [ITEM])
    rows = [
        {
            "id": f"line-{number}",
            "messages": [
                {"role": "user", "content": f"Modernise: {old}"},
                {"role": "assistant", "content": modern},
            ],
            "task": "modernise",
            "source": "hamlet",
            "licence": "CC0-1.0",
            "split": "train",
        }
        for number, (old, modern) in enumerate(LINES)
    ]
    write(Path("data/conversations/train.jsonl"), rows)
    return tmp_path


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def added(*arguments: str, split: str = "dev") -> GoldItem:
    done = run("add", *arguments)
    assert done.exit_code == 0, done.output or done.exception
    return [item for item in load_gold(Path("gold")) + sealed() if item.split == split][-1]


def sealed() -> list[GoldItem]:
    return load_gold(Path("gold"), split="sealed") if Path("gold/sealed.jsonl").exists() else []


def problem_of(*arguments: str) -> str:
    error = run("add", *arguments).exception
    assert isinstance(error, LalError)
    return str(error)


WITH = ("--source", "macbeth", "--expected")


@pytest.mark.usefixtures("home")
def test_a_line_gets_the_next_id_its_slice_and_its_difficulty() -> None:
    item = added("Giue me a Tygre", *WITH, "Give me a Tiger", "--alternative", "Give me a Tyger", "--note", "The cat.")
    assert item.id == "unseen-001"
    assert item.prompt == "Modernise: Giue me a Tygre"
    assert (item.expected, item.alternatives) == ("Give me a Tiger", ("Give me a Tyger",))
    assert (item.slice, item.difficulty, item.version, item.note) == ("unseen", "medium", 1, "The cat.")
    assert item.provenance.startswith("added by hand, 20")
    assert added("Then haue I giuen thee", *WITH, "Then have I given thee").subslice == "context-minority"
    known = added("HIM I HAUE GIUEN", *WITH, "HIM I HAVE GIVEN")
    assert (known.id, known.slice, known.difficulty) == ("fol-042", "known", "easy")


@pytest.mark.usefixtures("home")
def test_the_command_says_where_the_item_is_and_why_in_that_slice() -> None:
    done = run("add", "Giue me a Tygre", *WITH, "Give me a Tiger")
    assert done.output == "gold/gold.jsonl:2: unseen-001 in unseen: not in training: giue, me, a, tygre\n"


@pytest.mark.usefixtures("home")
def test_lines_that_were_there_keep_every_byte() -> None:
    path = Path("gold/gold.jsonl")
    before = path.read_bytes().replace(b", ", b",  ").removesuffix(b"\n")
    path.write_bytes(before)
    added("Giue me a Tygre", *WITH, "Give me a Tiger")
    assert path.read_bytes().startswith(before + b"\n{")
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.usefixtures("home")
def test_a_sealed_item_goes_into_its_own_file() -> None:
    item = added("Giue me a Tygre", *WITH, "Give me a Tiger", "--split", "sealed", split="sealed")
    assert item.split == "sealed"
    assert Path("gold/sealed.jsonl").read_text().count("\n") == 1
    assert len(load_gold(Path("gold"))) == 1


@pytest.mark.usefixtures("home")
def test_a_question_with_checks_needs_a_slice_and_no_training_lines() -> None:
    shutil.rmtree("data")
    checks = ("--must-contain", "oxen", "--must-not-contain", "oxes|I cannot help")
    item = added("Plural of ox?", "--slice", "grammar", "--source", "own", *checks)
    assert (item.id, item.prompt, item.scorer) == ("grammar-001", "Plural of ox?", "checks")
    assert item.must_not_contain == ("oxes|I cannot help",)
    assert "no training lines" in problem_of("Plural of ox?", *WITH, "oxen")


@pytest.mark.usefixtures("home")
def test_an_item_that_is_wrong_is_refused_and_nothing_is_written() -> None:
    before = Path("gold/gold.jsonl").read_bytes()
    line = "Giue me a Tygre"
    assert "copying the line passes" in problem_of(line, *WITH, "Give me a Tiger", "--alternative", line)
    leak = problem_of(LINES[1][0], *WITH, LINES[1][1])
    assert "data/conversations/train.jsonl:2" in leak
    assert "nothing was added" in leak
    twin = problem_of("sleepe shall neyther night, nor day!", *WITH, "sleep shall neither night, nor day!")
    assert "100 % of it is in gold/gold.jsonl:1" in twin
    assert "difficulty" in problem_of(line, *WITH, "Give me a Tiger", "--difficulty", "awful")
    assert Path("gold/gold.jsonl").read_bytes() == before


@pytest.mark.usefixtures("home")
def test_what_is_missing_is_asked_of_a_terminal_and_of_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--expected is missing" in problem_of("Giue me a Tygre")
    master, slave = pty.openpty()
    os.write(master, b"Give me a Tiger\nGive me a Tyger\n\nmacbeth\n")
    with os.fdopen(slave) as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", terminal)
        app(["add", "Giue me a Tygre"], standalone_mode=False)
    os.close(master)
    item = load_gold(Path("gold"))[-1]
    assert (item.expected, item.alternatives, item.source) == ("Give me a Tiger", ("Give me a Tyger",), "macbeth")


@pytest.mark.usefixtures("home")
def test_after_a_version_is_locked_new_items_say_the_next() -> None:
    assert run("lock").exit_code == 0
    assert added("Giue me a Tygre", *WITH, "Give me a Tiger").version == 2


@pytest.mark.usefixtures("home")
def test_check_tells_warnings_from_errors() -> None:
    done = run("check")
    assert "gold/gold.jsonl:1: warning: 1 of 1 items have no second reading" in done.output
    assert "gold/gold.jsonl:1: warning: fol-041: slice 'known', by program 'unseen'" in done.output
    assert "not looked at: slices that are all right or all wrong, as reports/gold.jsonl is not there" in done.output
    errors = [line for line in done.output.splitlines() if ": error: " in line]
    assert [line.split(",")[0] for line in errors] == [
        f"gold: error: slice {name!r} has 0 dev items" for name in ("unseen", "context", "keep")
    ]
    assert done.exit_code == 1


def test_check_ends_well_where_there_are_only_warnings(home: Path) -> None:
    params = (home / "params.yaml").read_text()
    (home / "params.yaml").write_text(params.replace("headline: [known, unseen, context, keep]", "headline: [known]"))
    done = run("check")
    assert ": warning: " in done.output
    assert ": error: " not in done.output
    assert done.exit_code == 0


@pytest.mark.usefixtures("home")
def test_check_names_file_and_line_of_an_error_and_ends_with_1() -> None:
    write(Path("gold/more.jsonl"), [ITEM | {"id": "b", "alternatives": ["Sleep shall neither Night nor Day"]}])
    done = run("check")
    assert done.exit_code == 1
    assert "gold/more.jsonl:1: error: b: needless alternative: 'Sleep shall neither Night nor Day'" in done.output
    assert "gold/more.jsonl:1: error: b: its question stands in gold/gold.jsonl:1, fol-041, too" in done.output


@pytest.mark.usefixtures("home")
def test_check_names_every_line_that_is_no_item() -> None:
    write(Path("gold/more.jsonl"), [{"id": "b"}, ITEM | {"id": "c", "expected": ""}])
    error = run("check").exception
    assert isinstance(error, DataError)
    assert "gold/more.jsonl:1: slice" in str(error)
    assert "gold/more.jsonl:2: scorer 'exact' needs a non-empty 'expected'" in str(error)


@pytest.mark.usefixtures("home")
def test_check_finds_a_locked_item_that_was_changed() -> None:
    assert run("lock").exit_code == 0
    write(Path("gold/gold.jsonl"), [ITEM | {"expected": "Sleep shall neither night nor day"}])
    assert "gold/gold.jsonl:1: error: fol-041: right answers changed" in run("check").output
