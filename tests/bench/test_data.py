"""What the bench of the data path measures is what it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import data, workload
from bench.data import encoding, in_a_process_of_its_own, loader, varied_copies, write_corpus
from lal.files import write_jsonl
from lal.records import Document, read_records
from lal.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
TEXT = "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer\n" * 60


@pytest.fixture(autouse=True)
def params(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "PARAMS", ROOT / "params.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Tokenizer.train([TEXT], 300).save(tmp_path)
    return tmp_path


def test_all_ways_of_encoding_are_timed_on_the_same_texts(folder: Path) -> None:
    [row] = encoding({"lines": TEXT.splitlines(keepends=True)}, folder, rounds=1)
    assert row["MB"] == round(len(TEXT) / 1e6, 2)
    for way in ("library", "library, pieces", "ours"):
        speed = row[f"{way}, MB/s"]
        assert isinstance(speed, float)
        assert speed > 0


def test_copies_differ_and_keep_their_length_about() -> None:
    copies = varied_copies(TEXT)
    first, second = next(copies), next(copies)
    assert first != second != TEXT
    assert set(first.split()) - set(TEXT.split())
    assert len(first) < 1.5 * len(TEXT)


def test_a_made_corpus_has_its_size_in_documents_of_theirs(tmp_path: Path) -> None:
    write_corpus(tmp_path, TEXT, 50_000, document_characters=4_000)
    documents = read_records(tmp_path / "corpus/train.jsonl", Document)
    assert {len(document.text) for document in documents} == {4_000}
    assert len(documents) == 13


@pytest.mark.slow
def test_the_stage_is_measured_in_a_process_of_its_own_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    varied = "".join(f"word{number} {number * 7919 % 104729}\n" for number in range(20_000))
    found = in_a_process_of_its_own(varied, 0.2, 10_000)
    assert found["bytes"] == pytest.approx(200_000, abs=10_000)
    assert 10e6 < found["before_bytes"] <= found["peak_bytes"] < 1e9
    assert found["cpu_seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_timed_beside_its_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workload.compile_blocks", lambda *_: None)
    monkeypatch.setattr(data, "PARAMS", ROOT / "params.yaml")
    turns = [{"role": "user", "content": "Haue you"}, {"role": "assistant", "content": "Have you"}]
    about = {"task": "modernise", "split": "train", "source": "test", "licence": "CC0"}
    write_jsonl(folder / "chats.jsonl", [{"id": str(n), "messages": turns, **about} for n in range(50)])
    tokens = np.array(Tokenizer.load(folder).encode(TEXT * 3), dtype=np.uint16)
    rows = loader(tokens, folder / "chats.jsonl", folder, num_steps=2)
    assert [row["batches"] for row in rows] == ["windows of the corpus", "conversations", "without BPE-dropout"]
    assert json.dumps(rows)
    for row in rows:
        share = row["share of an epoch's steps, %"]
        assert isinstance(share, float)
        assert 0 < share < 50
