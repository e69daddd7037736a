import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lal.data.patches import PatchRow
from lal.errors import DataError
from lal.evaluation.failures.groups import find_failures
from lal.evaluation.failures.patch_ledger import Ledger, PatchEntry, measure, new_entry
from lal.evaluation.failures.records import Failures
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.nearest import Nearest
from lal.files import sha256, write_jsonl
from lal.gold_items import Answer, GoldItem
from lal.records import Message

DAY = datetime.date(2026, 11, 24)
LATER = datetime.date(2026, 11, 25)
HEADLINE = ("context", "keep")


class Evaluations:
    """Answers to twenty items of which some number is right, and the failures among them."""

    def __init__(self, line: Callable[..., GoldItem], said: Callable[..., Answer]) -> None:
        self.items = [line(f"c{n}", f"haue {n}", f"have {n}", slice="context") for n in range(20)]
        self.items.append(line("k1", "go", "go", slice="keep"))
        self.said = said

    def own(self, num_right: int) -> list[Result]:
        texts = [item.expected if n < num_right else "haue it" for n, item in enumerate(self.items[:20])] + ["go"]
        return score_answers(self.items, [self.said(item, text) for item, text in zip(self.items, texts, strict=True)])

    def failures(self, own: Sequence[Result], *patches: Path) -> Failures:
        sources = {f"patches/{path.name}": sha256(path) for path in patches}
        return find_failures(own, [], Nearest.build([]), sources)


@pytest.fixture
def evaluations(line: Callable[..., GoldItem], said: Callable[..., Answer]) -> Evaluations:
    return Evaluations(line, said)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def patch(path: Path, group: str) -> tuple[Path, list[PatchRow]]:
    messages = (Message(role="user", content="Modernise: loue"), Message(role="assistant", content="love"))
    row = PatchRow(
        id=f"{path.stem}:1", messages=messages, task="modernise", source="x", licence="y", split="train",
        group=group, kind="repeat", origin="t1",
    )  # fmt: skip
    write_jsonl(path, [row])
    return path, [row]


def apply(ledger: Ledger, path: Path, evaluations: Evaluations, own: Sequence[Result]) -> PatchEntry:
    failures = evaluations.failures(own)
    file, rows = patch(path, failures.groups[0].id)
    entry = new_entry(file, rows, failures, ["musk"], "run-1", DAY)
    ledger.add(entry, own)
    return entry


def measured(ledger: Ledger, evaluations: Evaluations, own: Sequence[Result], *patches: Path) -> list[PatchEntry]:
    failures = evaluations.failures(own, *patches)
    return measure(ledger, own, failures, HEADLINE, None, "run-2", LATER)


def test_an_entry_says_what_was_applied_to_what(ledger: Ledger, evaluations: Evaluations, tmp_path: Path) -> None:
    entry = apply(ledger, tmp_path / "patch-001.jsonl", evaluations, evaluations.own(5))
    assert ledger.entries() == [entry]
    assert (entry.id, entry.num_rows, entry.kinds, entry.slices) == ("patch-001", 1, {"repeat": 1}, ("context",))
    assert (entry.applied_on, entry.before_run, entry.new_gold_words) == ("2026-11-24", "run-1", ("musk",))
    assert entry.sha256 == sha256(tmp_path / "patch-001.jsonl")


def test_a_lift_is_the_paired_difference_on_the_headline_and_the_slices_aimed_at(
    ledger: Ledger, evaluations: Evaluations, tmp_path: Path
) -> None:
    path = tmp_path / "patch-001.jsonl"
    apply(ledger, path, evaluations, evaluations.own(5))
    [entry] = measured(ledger, evaluations, evaluations.own(15), path)
    lifts = {lift.slice: lift for lift in entry.lifts}
    assert set(lifts) == {"headline", "context"}
    assert (lifts["context"].old, lifts["context"].new) == (0.25, 0.75)
    assert lifts["context"].difference == pytest.approx(0.5)
    assert lifts["headline"].difference == pytest.approx(0.25)
    assert lifts["context"].low > 0
    assert lifts["context"].verdict == "better"
    assert lifts["context"].noise_units is None
    assert (entry.measured_on, entry.after_run) == ("2026-11-25", "run-2")


def test_a_difference_that_chance_explains_is_no_lift(ledger: Ledger, evaluations: Evaluations, tmp_path: Path) -> None:
    path = tmp_path / "patch-001.jsonl"
    apply(ledger, path, evaluations, evaluations.own(5))
    [entry] = measured(ledger, evaluations, evaluations.own(6), path)
    assert {lift.verdict for lift in entry.lifts} == {"cannot tell"}


def test_nothing_is_measured_before_the_patch_was_trained_with(
    ledger: Ledger, evaluations: Evaluations, tmp_path: Path
) -> None:
    path = tmp_path / "patch-001.jsonl"
    entry = apply(ledger, path, evaluations, evaluations.own(5))
    assert measured(ledger, evaluations, evaluations.own(15)) == [entry]
    assert measured(ledger, evaluations, evaluations.own(5), path) == [entry]
    patch(path, "context / changed since")
    assert measured(ledger, evaluations, evaluations.own(15), path) == [entry]


def test_a_lift_once_taken_stays(ledger: Ledger, evaluations: Evaluations, tmp_path: Path) -> None:
    path = tmp_path / "patch-001.jsonl"
    apply(ledger, path, evaluations, evaluations.own(5))
    first = measured(ledger, evaluations, evaluations.own(15), path)
    ledger.write(first)
    assert measured(ledger, evaluations, evaluations.own(2), path) == first


def test_patches_of_one_training_share_their_lift_and_say_so(
    ledger: Ledger, evaluations: Evaluations, tmp_path: Path
) -> None:
    one, two = tmp_path / "patch-001.jsonl", tmp_path / "patch-002.jsonl"
    for path in (one, two):
        apply(ledger, path, evaluations, evaluations.own(5))
    first, second = measured(ledger, evaluations, evaluations.own(15), one, two)
    assert (first.together_with, second.together_with) == (("patch-002",), ("patch-001",))
    assert first.lifts == second.lifts


def test_the_answers_from_before_must_be_there(ledger: Ledger, evaluations: Evaluations, tmp_path: Path) -> None:
    path = tmp_path / "patch-001.jsonl"
    entry = apply(ledger, path, evaluations, evaluations.own(5))
    ledger.before(entry.before_sha256).unlink()
    with pytest.raises(DataError, match="no such result file"):
        measured(ledger, evaluations, evaluations.own(15), path)
