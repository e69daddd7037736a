"""`lal forget` before it trains anything: what it shows, asks and refuses; tests/pipeline trains."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lal.cli import app
from lal.cli.forget import HELD, LEDGER, LISTS
from lal.data.forgotten import ForgottenRow
from lal.errors import DataError, LalError
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.records import Conversation, Document, Message, read_records
from tests.shipped import ship
from tests.tiny_model import write_speaking_model

ROOT = Path(__file__).parents[2]

LINE = "We have sold the grey mare and the cart to pay the miller"
SEA = "On the sea there is nothing but water, and more of it."
TOLD = {"source": "t", "licence": "CC0-1.0"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project after an evaluation, with a letter, a book that quotes it, and a gold item that does."""
    monkeypatch.chdir(tmp_path)
    ship(1)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("base", "instruct"):
        write_speaking_model(Path("models") / name)
    gold = GoldItem(
        id="g2", slice="known", messages=(Message(role="user", content=f"Modernise: {LINE}"),), scorer="exact",
        expected=LINE, difficulty="easy", source="t", split="dev", version=1,
    )  # fmt: skip
    write_jsonl(Path("gold/gold.jsonl"), [gold])
    turns = [{"role": "user", "content": "Modernise: loue"}, {"role": "assistant", "content": "love"}]
    texts = {"train": [("letter", LINE), ("book", f"{SEA}\n\n{LINE}\n\n{SEA}")]}
    for split in ("train", "validation", "test"):
        found = texts.get(split, [("held-out", "Nobody knows.")])
        documents = [
            Document.model_validate({"id": name, "text": text, "split": split, **TOLD}) for name, text in found
        ]
        write_jsonl(Path(f"data/corpus/{split}.jsonl"), documents)
        row = {"id": f"chat:{split}", "messages": turns, "task": "modernise", "split": split, **TOLD}
        write_jsonl(Path(f"data/conversations/{split}.jsonl"), [Conversation.model_validate(row)])
    LISTS.mkdir()
    return tmp_path


def forget(*arguments: str, keys: str = "") -> str:
    done = CliRunner().invoke(app, ["forget", *arguments], input=keys, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_it_shows_what_would_go_and_where_else_it_stands_and_changes_nothing(project: Path) -> None:
    before = sorted(project.rglob("*"))
    said = forget("letter", "--show")
    assert "the document letter" in said
    assert f"passages of book: 1 ({len(LINE)} characters)" in said
    assert "items of gold that hold it: 1; they stay" in said
    assert sorted(project.rglob("*")) == before


def test_a_no_changes_nothing() -> None:
    assert "Leave this out from now on" in forget("letter", keys="n\n")
    assert not list(LISTS.iterdir())
    assert not HELD.exists()


def test_a_training_that_fails_leaves_the_list_and_says_how_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LalError, match="lal forget letter"):  # There is no dvc.yaml here.
        forget("letter", "--yes")
    [row] = read_records(LISTS / "001.jsonl", ForgottenRow)
    assert (row.document, len(row.documents)) == ("letter", 1)
    assert LINE not in (LISTS / "001.jsonl").read_text()
    with pytest.raises(LalError, match="lal forget letter"):  # Goes on with the training, and lists nothing twice.
        forget("letter")
    assert len(list(LISTS.iterdir())) == 1
    capfd.readouterr()


def test_what_would_leave_nothing_is_refused_before_anything_is_listed() -> None:
    with pytest.raises(DataError, match="no conversations for train"):
        forget("chat:train", "--yes")
    assert not list(LISTS.iterdir())


def test_what_nobody_knows_is_an_error() -> None:
    with pytest.raises(DataError, match="did you mean letter"):
        forget("lettre")


def test_what_is_gone_already_is_told_with_its_day() -> None:
    row = ForgottenRow(document="memoirs", forgotten_on="2026-01-01", documents=(), passages=(), conversations=())
    write_jsonl(LISTS / "001.jsonl", [row])
    with pytest.raises(DataError, match="forgotten on 2026-01-01 already"):
        forget("memoirs")


def test_without_a_name_it_shows_the_ledger() -> None:
    assert forget() == f"{LEDGER}: nothing was forgotten yet\n"


def test_a_run_that_was_stopped_and_undone_begins_again(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with pytest.raises(LalError, match="lal forget letter"):
            forget("letter", "--yes")
        (LISTS / "001.jsonl").unlink()
    capfd.readouterr()


def test_a_text_that_nothing_is_like_is_an_error(project: Path) -> None:
    (project / "unknown.txt").write_text("Quite another matter, which nobody here has ever written about.")
    with pytest.raises(DataError, match="nothing like it is learned from"):
        forget("unknown.txt", "--yes")
    assert not list(LISTS.iterdir())


def test_what_was_not_drawn_is_listed_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "Where did the brothers keep the grey mare?"
    told = {"task": "t", "split": "train", **TOLD}
    turns = (Message(role="user", content=question), Message(role="assistant", content="At the miller's."))
    undrawn = Conversation.model_validate({"id": "chat:undrawn", "messages": turns, **told})
    monkeypatch.setattr("lal.cli.iterate.pool", lambda _: [undrawn])
    assert "conversations: 1 of it" in forget("chat:undrawn", "--show")
