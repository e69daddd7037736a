from dataclasses import replace
from pathlib import Path

import pytest

from bench import held_out_lines
from lal.files import write_jsonl
from lal.model.folder import save_model
from lal.model.transformer import Transformer
from tests.tiny_training import conversation, new_model, tokenizer


def test_each_solver_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = [conversation("t-1", "Modernise: to bee", "to be")]
    held_out = [conversation(f"h-{number}", "Modernise: To bee, bee", "To be, be", "test") for number in range(3)]
    held_out.append(conversation("h-3", "Modernise: be", "be", "test"))
    write_jsonl(tmp_path / "train.jsonl", training)
    write_jsonl(tmp_path / "test.jsonl", held_out)
    model = Transformer(replace(new_model().config, context_length=48), seed=1)
    save_model(tmp_path / "model", model, tokenizer(), {"stage": "sft"})
    monkeypatch.setattr(held_out_lines, "CONVERSATIONS", tmp_path)
    monkeypatch.setattr(held_out_lines, "INSTRUCT", tmp_path / "model")
    held_out_lines.main()
    count, _, *rows = capsys.readouterr().out.splitlines()
    shares = {row.split()[0]: row.split()[1] for row in rows}
    kept = {row.split()[0]: row.split()[4] for row in rows}
    assert count == "4 lines"
    assert list(shares) == ["copy", "rules", "lexicon", "lexicon+rules", "lal", "hybrid"]
    assert (shares["copy"], shares["lexicon"], shares["lal"]) == ("0.2500", "1.0000", "0.0000")
    assert (kept["copy"], kept["lexicon"], kept["lal"]) == ("1.0000", "1.0000", "0.0000")
    assert shares["hybrid"] == "1.0000"
