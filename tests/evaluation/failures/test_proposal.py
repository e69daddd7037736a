from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lal.data.patches import FILL_IN, PatchRow, read_patch
from lal.errors import DataError
from lal.evaluation.failures.draft import write_draft
from lal.evaluation.failures.groups import find_failures
from lal.evaluation.failures.proposal import Draft, find_leaks, groups_for_data, new_gold_words, propose
from lal.evaluation.failures.records import Failures
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.nearest import Nearest
from lal.gold_items import Answer, GoldItem
from lal.records import Conversation, Message, read_records


def row(identity: str, question: str, answer: str, **changes: Any) -> Conversation:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    values: dict[str, Any] = {"task": "modernise", "source": "hamlet", "licence": "CC0-1.0", "split": "train"} | changes
    return Conversation(id=identity, messages=messages, **values)


def lines(*pairs: tuple[str, str, str]) -> list[Conversation]:
    return [row(identity, f"Modernise: {old}", modern) for identity, old, modern in pairs]


TRAINING = [
    *lines(
        ("then-1", "Then went the Captaine home againe", "Then went the Captain home again"),
        ("then-2", "And then he spoke to all the people", "And then he spoke to all the people"),
        ("then-3", "Now then let vs goe", "Now then let us go"),
        ("then-4", "then welcome to my house", "then welcome to my house"),
        ("than-1", "a richer man then any of his fathers", "a richer man than any of his fathers"),
        ("than-2", "no sweeter voyce then hers I euer heard", "no sweeter voice than hers I ever heard"),
        ("nerve-1", "the nerue of all that kingdome failed him", "the nerve of all that kingdom failed him"),
        ("leak-1", "worse deedes then those the tyrant did before", "worse deeds than those the tyrant did before"),
    ),
    row("per-1", "What is your name?", "I am Lal.", task="persona"),
]
POOL = lines(
    ("than-3", "this bargaine is better then the other was", "this bargain is better than the other was"),
    ("than-1", "a richer man then any of his fathers", "a richer man than any of his fathers"),
)


@pytest.fixture
def gold(line: Callable[..., GoldItem], question: Callable[..., GoldItem]) -> list[GoldItem]:
    """Three items that are answered wrong, and a sealed one that is not asked."""
    return [
        line("c1", "Worse deeds then those the tyrant did before", "Worse deeds than those the tyrant did before",
             slice="context"),
        line("u1", "a scuruy fellow stood before the gate", "a scurvy fellow stood before the gate", slice="unseen"),
        question("p1", "Tell me your name, would you?", "Lal"),
        line("s1", "no sweeter voyce then hers I euer heard", "no sweeter voice than hers I ever heard",
             split="sealed"),
    ]  # fmt: skip


@pytest.fixture
def failures(gold: list[GoldItem], said: Callable[..., Answer]) -> Failures:
    texts = [gold[0].prompt.split(": ")[1], gold[1].prompt.split(": ")[1], "I cannot say."]
    results = score_answers(gold[:3], [said(item, text) for item, text in zip(gold, texts, strict=False)])
    return find_failures(results, TRAINING, Nearest.build(TRAINING), {})


@pytest.fixture
def draft(gold: list[GoldItem], failures: Failures) -> Draft:
    return propose(groups_for_data(failures), TRAINING, POOL, gold, Nearest.build(TRAINING), 12, "patch-001")


def of_slice(rows: Sequence[PatchRow], name: str) -> list[PatchRow]:
    return [row for row in rows if row.group.startswith(f"{name} / ")]


def test_rows_not_trained_on_come_before_repeats(draft: Draft) -> None:
    chosen = of_slice(draft.rows, "context")
    assert [(row.kind, row.origin) for row in chosen] == [
        ("unused", "than-3"),
        ("repeat", "than-1"),
        ("skeleton", None),
    ]


def test_no_row_like_a_gold_item_is_proposed_sealed_ones_included(draft: Draft) -> None:
    assert not {"leak-1", "than-2"} & {row.origin for row in draft.rows}
    assert draft.num_like_gold == 2


def test_a_word_never_seen_is_helped_by_words_that_change_alike(draft: Draft) -> None:
    first, *_ = of_slice(draft.rows, "unseen")
    assert (first.kind, first.origin) == ("repeat", "nerve-1")


def test_what_no_row_can_mend_is_left_for_a_person_and_names_no_unseen_gold_word(draft: Draft) -> None:
    skeletons = [row for row in draft.rows if row.kind == "skeleton"]
    assert skeletons
    assert all(not row.is_filled_in and FILL_IN in row.prompt for row in skeletons)
    assert "scuruy" not in "".join(row.prompt + row.answer for row in draft.rows)
    assert "u > v" in of_slice(skeletons, "unseen")[0].prompt


def test_a_question_is_helped_by_the_nearest_conversations_of_its_task(draft: Draft) -> None:
    first, *_ = of_slice(draft.rows, "persona")
    assert (first.origin, first.task, first.kind) == ("per-1", "persona", "repeat")


def test_source_licence_and_task_are_kept_and_ids_are_new(draft: Draft) -> None:
    assert [row.id for row in draft.rows] == [f"patch-001:{n:04}" for n in range(1, len(draft.rows) + 1)]
    known = {row.id: row for row in [*TRAINING, *POOL]}
    for row in draft.rows:
        if row.origin:
            origin = known[row.origin]
            assert row.conversation() == origin.model_copy(update={"id": row.id})


def test_as_many_rows_are_chosen_as_were_asked_for(gold: list[GoldItem], failures: Failures) -> None:
    few = propose(groups_for_data(failures), TRAINING, POOL, gold, Nearest.build(TRAINING), 2, "patch-001")
    assert sum(row.kind != "skeleton" for row in few.rows) == 2


def test_groups_that_training_shows_enough_of_get_no_rows(
    gold: list[GoldItem], line: Callable[..., GoldItem], said: Callable[..., Answer]
) -> None:
    item = line("k1", "the people went home", "the people went home")
    results = score_answers([item], [said(item, "the people home")])
    assert groups_for_data(find_failures(results, TRAINING, Nearest.build(TRAINING), {})) == []


def test_every_row_like_an_item_is_found_in_any_spelling(gold: list[GoldItem]) -> None:
    copies = lines(
        ("a", "WORSE DEEDES, then those the Tyrant did before!", "x"),
        ("b", "worse deeds than thofe the tyrant did", "y"),
        ("c", "a fair day to walk about the walls", "z"),
    )
    assert {leak.row for leak in find_leaks(copies, gold)} == {"a", "b"}


def test_words_that_only_the_gold_set_holds_are_noticed_when_a_row_teaches_them(gold: list[GoldItem]) -> None:
    taught = lines(("a", "thou scuruy knaue then", "thou scurvy knave then"))
    assert new_gold_words(taught, TRAINING, gold) == ["scuruy"]
    assert new_gold_words(TRAINING, TRAINING, gold) == []


def test_a_draft_is_rows_and_a_page_and_is_refused_until_it_is_filled_in(
    draft: Draft, failures: Failures, tmp_path: Path
) -> None:
    path = write_draft(tmp_path, "patch-001", draft, failures.groups, failures)
    assert tuple(read_records(path, PatchRow)) == draft.rows
    page = path.with_suffix(".md").read_text()
    assert "Do not teach these words themselves: scuruy." in page
    assert all(f"## {row.group}" in page for row in draft.rows)
    with pytest.raises(DataError, match="not filled in"):
        read_patch(path)
