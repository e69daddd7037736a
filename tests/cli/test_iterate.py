import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lal.cli.iterate import app
from lal.data.patches import FILL_IN
from lal.errors import DataError, LalError
from lal.evaluation.failures.groups import find_failures
from lal.evaluation.failures.records import write_failures
from lal.evaluation.scores.results import write_results
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.nearest import Nearest
from lal.files import sha256, write_jsonl
from lal.gold_items import Answer, GoldItem
from lal.records import MODERNISE_PREFIX, Conversation, Message, read_records

ROOT = Path(__file__).parents[2]

TRAINING = [
    ("better far than any of the others was he", "better far then any of the others was he"),
    ("richer were they than all the kings before", "richer were they then all the kings before"),
    ("and then he went out of the house", "and then he went out of the house"),
    ("then came the father of the child", "then came the father of the child"),
    ("if it be so then let him go", "if it be so then let him go"),
]


def training_row(number: int, modern: str, old: str) -> Conversation:
    messages = (Message(role="user", content=MODERNISE_PREFIX + old), Message(role="assistant", content=modern))
    return Conversation(
        id=f"hamlet-{number}", messages=messages, task="modernise", source="hamlet", licence="CC0-1.0", split="train"
    )


class Project:
    """A project folder after an evaluation, with items on then and than and one that no training row helps."""

    def __init__(self, folder: Path, line: Callable[..., GoldItem], said: Callable[..., Answer]) -> None:
        self.folder, self.said = folder, said
        self.items = [
            line("c1", "these are worse then those", "these are worse than those", slice="context"),
            line("u1", "a scuruy fellow at the gate", "a scurvy fellow at the gate", slice="unseen"),
            *(line(f"n{n}", "go", "go", slice=name) for n, name in enumerate(("known", "keep"))),
        ]
        sealed = line("s1", "no crueller lord then Caesar liued", "no crueller lord than Caesar lived", split="sealed")
        self.training = [training_row(number, *pair) for number, pair in enumerate(TRAINING)]
        write_jsonl(folder / "gold" / "gold.jsonl", self.items)
        write_jsonl(folder / "gold" / "sealed.jsonl", [sealed])
        write_jsonl(folder / "data" / "conversations" / "train.jsonl", self.training)
        (folder / "data" / "patches").mkdir()
        shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
        self.evaluate("these are worse then those", "a scuruy fellow at the gate")

    def evaluate(self, *texts: str) -> None:
        """What `dvc repro` would leave behind, with the patches that are there trained on."""
        answers = [self.said(item, text) for item, text in zip(self.items, [*texts, "go", "go"], strict=True)]
        own = score_answers(self.items, answers)
        sources = {f"patches/{path.name}": sha256(path) for path in (self.folder / "data" / "patches").glob("*.jsonl")}
        failures = find_failures(own, self.training, Nearest.build(self.training), sources)
        write_results(self.folder / "reports" / "gold.jsonl", own)
        write_failures(self.folder / "reports" / "failures.json", failures)

    def draft(self) -> Path:
        return self.folder / "data" / "drafts" / "patch-001.jsonl"

    def entries(self) -> list[dict[str, object]]:
        return [json.loads(text) for text in (self.folder / "ledger" / "patches.jsonl").read_text().splitlines()]


@pytest.fixture
def line() -> Callable[..., GoldItem]:
    def make(identity: str, old: str, expected: str, **changes: Any) -> GoldItem:
        values: dict[str, Any] = {"slice": "known", "split": "dev"} | changes
        messages = (Message(role="user", content=MODERNISE_PREFIX + old),)
        return GoldItem(
            id=identity, messages=messages, scorer="exact", expected=expected, difficulty="easy", source="macbeth",
            version=1, **values,
        )  # fmt: skip

    return make


@pytest.fixture
def project(tmp_path: Path, line: Callable[..., GoldItem], monkeypatch: pytest.MonkeyPatch) -> Project:
    def said(item: GoldItem, text: str) -> Answer:
        return Answer(item_id=item.id, solver="lal", text=text, finish_reason="stop", num_tokens=1, seconds=0.1)

    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, line, said)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines_of(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def error_of(*arguments: object) -> LalError:
    error = run(*arguments).exception
    assert isinstance(error, LalError)
    return error


def test_without_a_word_more_it_proposes_a_draft_outside_of_what_is_trained_on(project: Project) -> None:
    output = lines_of()
    assert "data/drafts/patch-001.jsonl" in output
    assert project.draft().is_file()
    assert project.draft().with_suffix(".md").is_file()
    assert list((project.folder / "data" / "patches").iterdir()) == []
    assert lines_of("propose", "--rows", 1).startswith("data/drafts/patch-002.jsonl")


def test_a_group_can_be_asked_for_and_an_unknown_one_names_those_there_are(project: Project) -> None:
    lines_of("propose", "--group", "THEN: than")
    assert {json.loads(text)["group"].split(" / ")[0] for text in project.draft().read_text().splitlines()} == {
        "context"
    }
    assert "context / took one word" in str(error_of("propose", "--group", "no such group"))


def test_an_unfilled_draft_is_refused_or_applied_without_its_unfilled_rows(project: Project) -> None:
    lines_of()
    assert "not filled in" in str(error_of("apply", project.draft()))
    assert not (project.folder / "ledger").exists()
    lines_of("apply", project.draft(), "--drop-unfilled")
    patch = project.folder / "data" / "patches" / "patch-001.jsonl"
    assert FILL_IN not in patch.read_text()
    [entry] = project.entries()
    assert (entry["id"], entry["sha256"]) == ("patch-001", sha256(patch))
    assert "exists already" in str(error_of("apply", project.draft(), "--drop-unfilled"))


def test_the_lift_is_taken_after_the_next_evaluation(project: Project) -> None:
    assert "no patches yet" in lines_of("ledger")
    lines_of()
    lines_of("apply", project.draft(), "--drop-unfilled")
    assert "not measured yet" in lines_of("ledger")
    project.evaluate("these are worse than those", "a scuruy fellow at the gate")
    output = lines_of("ledger")
    assert "exact headline" in output
    assert "cannot tell" in output
    assert "noise between two trainings is not known" in output
    assert "A lift compares two trainings" in output
    [entry] = project.entries()
    assert entry["measured_on"]
    assert lines_of("ledger") == output


def patch_of(project: Project, question: str, answer: str, **changes: str) -> Path:
    """A draft of one row that a person wrote."""
    lines_of()
    row = json.loads(project.draft().read_text().splitlines()[0])
    row |= {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]} | changes
    path = project.folder / "mine.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


def test_a_row_like_a_gold_item_is_refused_and_a_sealed_one_is_not_told(project: Project) -> None:
    path = patch_of(project, "Modernise: These are WORSE, then thofe!", "These are WORSE, than those!")
    assert "is like the gold item 'c1'" in str(error_of("apply", path))
    path = patch_of(project, "Modernise: no crueller lord then Caesar lyued", "no crueller lord than Caesar lived")
    said = str(error_of("apply", path))
    assert "like a sealed gold item" in said
    assert "Caesar" not in said
    assert not (project.folder / "ledger").exists()


def test_a_row_that_teaches_a_word_only_the_gold_set_holds_is_mentioned_and_kept_on_record(project: Project) -> None:
    path = patch_of(project, "Modernise: thou scuruy lad", "thou scurvy lad")
    assert "hold these words, which training lacked: scuruy" in lines_of("apply", path)
    assert project.entries()[0]["new_gold_words"] == ["scuruy"]


def test_an_id_that_is_trained_on_already_is_refused(project: Project) -> None:
    path = patch_of(project, "Modernise: thou lad", "thou lad", id="hamlet-0")
    assert "has the id 'hamlet-0' already" in str(error_of("apply", path))


def test_failures_of_other_answers_are_refused(project: Project) -> None:
    lines_of()
    answers = project.folder / "reports" / "gold.jsonl"
    answers.write_text(answers.read_text().replace("worse then those", "worse the those"))
    assert "made from other answers" in str(error_of("apply", project.draft(), "--drop-unfilled"))


def test_a_draft_that_is_not_there_is_an_error(project: Project) -> None:
    assert isinstance(error_of("apply", project.folder / "none.jsonl"), DataError)


def test_failures_that_data_cannot_mend_are_said_to_be_so(project: Project) -> None:
    project.evaluate("these are worse those", "a fellow at the gate")
    assert "for want of data" in str(error_of())


def test_the_rows_of_an_applied_patch_are_conversations_of_the_data_stage(project: Project) -> None:
    from lal.data.patches import read_patches

    lines_of()
    lines_of("apply", project.draft(), "--drop-unfilled")
    rows = read_patches(project.folder / "data" / "patches").rows
    known = {row.messages for row in read_records(project.folder / "data/conversations/train.jsonl", Conversation)}
    assert rows
    assert all(row.messages in known for row in rows)
