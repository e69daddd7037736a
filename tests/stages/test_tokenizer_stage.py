"""The tokenizer stage writes what pretraining reads, and loses nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lal.errors import DataError, TokenizerError
from lal.files import sha256, write_jsonl
from lal.params import Params, load_params
from lal.reporting import NullReporter
from lal.stages.tokenizer import tokenizer
from lal.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]


def with_vocabulary(size: int) -> Params:
    params = load_params(ROOT / "params.yaml")
    return params.model_copy(update={"tokenizer": params.tokenizer.model_copy(update={"vocabulary_size": size})})


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    about = {"source": "test", "licence": "CC0"}
    texts = {"train": ["Who's there?\n", "", "Nay, answer me: é😀"], "validation": ["Stand, and unfold yourself."]}
    for split, rows in texts.items():
        documents = [{"id": str(n), "text": text, "split": split, **about} for n, text in enumerate(rows)]
        write_jsonl(tmp_path / f"corpus/{split}.jsonl", documents)
    turns = [{"role": "user", "content": "Long liue the King"}, {"role": "assistant", "content": "Long live the King"}]
    chat = {"id": "c", "messages": turns, "task": "modernise", "split": "train", **about}
    write_jsonl(tmp_path / "conversations/train.jsonl", [chat])
    return tmp_path


def run(sources: Path, size: int = 270) -> dict[str, dict[str, float]]:
    return tokenizer(
        params=with_vocabulary(size),
        corpus=sources / "corpus",
        conversations=sources / "conversations",
        tokenizer=sources / "tokenizer",
        tokens=sources / "tokens",
        reporter=NullReporter(),
    )


def test_the_tokens_are_the_documents_with_an_end_after_each(sources: Path) -> None:
    metrics = run(sources)
    learned = Tokenizer.load(sources / "tokenizer")
    ids = np.memmap(sources / "tokens/train.bin", dtype="<u2", mode="r").tolist()
    ends = [place for place, token_id in enumerate(ids) if token_id == learned.end_id]
    assert len(ends) == 3
    assert ends[-1] == len(ids) - 1
    assert learned.decode(ids) == "Who's there?\nNay, answer me: é😀"
    meta = json.loads((sources / "tokens/meta.json").read_text())
    assert meta["train"] == {"tokens": len(ids), "bytes": 35, "documents": 3}
    assert meta["tokenizer_sha256"] == sha256(sources / "tokenizer/tokenizer.json")
    assert metrics["train"]["bytes"] == 35
    assert metrics["validation"]["bytes"] == 27
    assert metrics["conversations"]["texts"] == 2
    assert "vocabulary" not in (sources / "tokenizer/report.md").read_text().split("\n")[0]


def test_running_again_writes_the_same_bytes(sources: Path) -> None:
    def digests() -> list[str]:
        return [sha256(path) for folder in ("tokenizer", "tokens") for path in sorted((sources / folder).iterdir())]

    run(sources)
    before = digests()
    run(sources)
    assert digests() == before
    assert len(before) == 6


def test_validation_texts_teach_the_tokenizer_nothing(sources: Path) -> None:
    run(sources)
    before = sha256(sources / "tokenizer/tokenizer.json")
    row = {"id": "0", "text": "unfold " * 100, "split": "validation", "source": "test", "licence": "CC0"}
    write_jsonl(sources / "corpus/validation.jsonl", [row])
    run(sources)
    assert sha256(sources / "tokenizer/tokenizer.json") == before


def test_too_large_a_vocabulary_writes_nothing(sources: Path) -> None:
    with pytest.raises(TokenizerError, match="vocabulary_size is 5000"):
        run(sources, size=5000)
    assert not (sources / "tokenizer").exists()


def test_a_large_corpus_teaches_the_vocabulary_by_a_part(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "learned_from" not in run(sources)
    size = sum((sources / place / "train.jsonl").stat().st_size for place in ("corpus", "conversations"))
    monkeypatch.setattr("lal.stages.tokenizer.SAMPLE_BYTES", size // 2)
    metrics = run(sources, size=265)
    assert metrics["learned_from"] == pytest.approx(0.5, abs=0.01)
    assert metrics["train"]["bytes"] == 35
    assert "Learned from 5" in (sources / "tokenizer/report.md").read_text()


def test_a_damaged_row_stops_the_stage_and_is_named(sources: Path) -> None:
    path = sources / "corpus/train.jsonl"
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(DataError, match=r"train\.jsonl:4: id: Field required"):
        run(sources)
    assert not (sources / "tokenizer").exists()


def test_a_missing_file_is_named(sources: Path) -> None:
    (sources / "corpus/train.jsonl").unlink()
    with pytest.raises(DataError, match=r"train\.jsonl: cannot be read"):
        run(sources)


@pytest.mark.slow
def test_the_stage_does_not_load_torch() -> None:
    code = "import sys, lal.stages.tokenizer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", check=False).returncode == 0
