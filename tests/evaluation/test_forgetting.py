"""What was learned is likelier, and the record says by how much that changed."""

import datetime
import math
from pathlib import Path

import pytest
import torch

from lal.data.forgetting import find_gone, find_wanted
from lal.evaluation.forgetting import (
    FEW_PIECES,
    MOST_PIECES,
    PIECE_CHARACTERS,
    Held,
    add_entry,
    hold,
    measure_forgetting,
    read_entries,
)
from lal.evaluation.scores.results import Result
from lal.model.folder import LoadedModel, load_model
from lal.records import Conversation, Document, Message
from tests.shipped import answer
from tests.tiny_model import write_grouped_model

LETTER = "Giue me the horsse and haue no feare, " * 120


def document(identity: str, text: str, split: str = "train") -> Document:
    return Document.model_validate({"id": identity, "text": text, "source": "s", "licence": "CC0-1.0", "split": split})


def chat(identity: str, asked: str, said: str, split: str = "train") -> Conversation:
    messages = (Message(role="user", content=asked), Message(role="assistant", content=said))
    fields = {"id": identity, "messages": messages, "task": "t", "source": "s", "licence": "CC0-1.0", "split": split}
    return Conversation.model_validate(fields)


CORPUS = [document("letter", LETTER), document("other", "loue " * 300), document("held", "and vs " * 200, "validation")]
CHATS = [
    chat("letter:1", "Modernise: haue", "have"),
    chat("letter:2", "Modernise: giue", "x" * 400),
    chat("other:1", "Modernise: loue", "love"),
    chat("other:2", "Modernise: vs", "us", "validation"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, LoadedModel]:
    """One model, and another that finds everything likelier or less likely."""
    folder = tmp_path_factory.mktemp("models")
    write_grouped_model(folder / "one")
    one, other = load_model(folder / "one"), load_model(folder / "one")
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(0.5)
    return one, other


def held(model: LoadedModel) -> Held:
    gone = find_gone(find_wanted("letter", CORPUS, CHATS), CORPUS, CHATS, "2026-01-01")
    kept = [row for row in CORPUS if row.id != "letter"]
    chats = [row for row in CHATS if not row.id.startswith("letter")]
    return hold(gone, kept, chats, model, model, "run1")


def test_each_kind_of_text_is_held_in_pieces_of_about_one_context(models: tuple[LoadedModel, LoadedModel]) -> None:
    found = held(models[0])
    assert "".join(found.pieces["forgotten"]) == LETTER.strip()
    assert max(map(len, found.pieces["forgotten"])) <= 2 * PIECE_CHARACTERS
    assert set(found.pieces["kept"][0].split()) == {"loue"}
    assert set(found.pieces["never seen"][0].split()) == {"and", "vs"}
    assert [row.id for row in found.rows["forgotten"]] == ["letter:1", "letter:2"]
    assert [row.id for row in found.rows["never seen"]] == ["other:2"]
    assert (found.documents, found.passages, found.conversations) == (1, 0, 2)
    assert Held.model_validate_json(found.model_dump_json()) == found


def test_of_a_large_kind_pieces_are_taken_from_all_of_it(models: tuple[LoadedModel, LoadedModel]) -> None:
    long = document("letter", "".join(f"{number:08}\n" for number in range(60_000)))
    corpus = [long, *CORPUS[1:]]
    gone = find_gone(find_wanted("letter", corpus, []), corpus, [], "2026-01-01")
    pieces = hold(gone, CORPUS[1:], [], *models[:1] * 2, None).pieces["forgotten"]
    assert len(pieces) == MOST_PIECES
    assert int(pieces[-1].split()[0]) > 59_000


def test_the_same_model_finds_no_change(models: tuple[LoadedModel, LoadedModel]) -> None:
    right = [answer("have")]
    entry = measure_forgetting(held(models[0]), *models[:1] * 2, (right, right), ("known",), "run2", DAY)
    assert [(row.of, row.which) for row in entry.likelihoods] == [
        (of, which) for of in ("text", "answers") for which in ("forgotten", "never seen", "kept")
    ]
    for row in entry.likelihoods:
        assert row.before == row.after
        assert (row.low is None) == (row.num < FEW_PIECES)
        assert row.low is None or row.high is None or row.low <= 0 <= row.high
    assert (entry.before_run, entry.after_run, entry.measured_on) == ("run1", "run2", "2026-01-02")


DAY = datetime.date(2026, 1, 2)


def test_a_change_is_that_of_the_same_texts_in_bits_for_each_byte(models: tuple[LoadedModel, LoadedModel]) -> None:
    one, other = models
    found = held(one)
    entry = measure_forgetting(found, other, other, ([], []), ("known",), None, DAY)
    text = entry.likelihoods[0]
    before = math.fsum(nats for nats in found.piece_nats["forgotten"] if nats) / math.log(2) / len(LETTER.strip())
    assert text.before == pytest.approx(before, abs=1e-4)
    assert text.num_bytes == len(LETTER.strip())
    assert text.low is not None
    assert text.high is not None
    assert text.low < text.after - text.before < text.high


def test_an_answer_longer_than_the_context_is_left_out(models: tuple[LoadedModel, LoadedModel]) -> None:
    found = held(models[0])
    assert found.row_nats["forgotten"][1] is None
    entry = measure_forgetting(found, *models[:1] * 2, ([], []), ("known",), None, DAY)
    assert {(row.which, row.num) for row in entry.likelihoods if row.of == "answers"} == {
        ("forgotten", 1), ("never seen", 1), ("kept", 1),
    }  # fmt: skip


def test_the_ledger_keeps_numbers_and_no_text(models: tuple[LoadedModel, LoadedModel], tmp_path: Path) -> None:
    path = tmp_path / "forgotten.jsonl"
    assert read_entries(path) == []
    old: list[Result] = [answer("haue")]
    entry = measure_forgetting(held(models[0]), *models[:1] * 2, (old, [answer("have")]), ("known",), None, DAY)
    add_entry(path, entry)
    add_entry(path, entry)
    assert read_entries(path) == [entry, entry]
    assert "horsse" not in path.read_text()
