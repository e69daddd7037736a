"""The sampling bench counts tokens and seconds rightly, and notices an engine that writes something else."""

import itertools
from pathlib import Path

import pytest
import torch
import transformers

from bench.sampling import Contestant, gguf_files, measure, race
from lal.errors import LalError
from lal.export.formats import write_formats
from lal.model.folder import load_model
from tests.tiny_model import write_grouped_model, write_speaking_model


@pytest.fixture(autouse=True)
def _quiet() -> None:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()


def test_ours_and_transformers_write_the_same_ids_from_the_same_folder(tmp_path: Path) -> None:
    write_speaking_model(tmp_path / "model")
    rows, note = measure(tmp_path / "model", num_new=6, rounds=2, is_compiled=False)
    assert [(row["engine"], row["rows"]) for row in rows] == [
        ("transformers", 1),
        ("lal", 1),
        ("transformers", 32),
        ("lal", 32),
    ]
    assert rows[0]["times transformers"] == 1.0
    assert [row["rows written alike"] for row in rows] == [1.0] * 4
    assert "1 layers, 16 wide" in note
    assert "6 written, best of 2 rounds" in note


def test_llama_cpp_takes_part_with_the_files_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_grouped_model(tmp_path / "model")
    write_formats(tmp_path / "model", load_model(tmp_path / "model").model, ["gguf-f32", "onnx"])
    rows, _ = measure(tmp_path / "model", num_new=6, rounds=1, is_compiled=False)
    assert [row["rows"] for row in rows if row["engine"] == "llama.cpp, model-f32.gguf"] == [1, 32]
    assert all(float(str(row["tokens a second"])) > 0 for row in rows)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert gguf_files(tmp_path / "model") == []
    assert "xllamacpp is not installed: llama.cpp does not take part" in capsys.readouterr().out


def test_without_gguf_files_llama_cpp_does_not_take_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gguf_files(tmp_path) == []
    assert "no GGUF files" in capsys.readouterr().out


def fixed(name: str, num_rows: int, token: int, compile_seconds: float = 0.0) -> Contestant:
    return Contestant(name, lambda prompts: [[token] * 10 for _ in prompts], num_rows, compile_seconds)


def test_tokens_a_second_are_rows_times_tokens_over_the_best_rounds_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([4.0, 1.0, 2.0, 0.5])  # two engines in turns, two rounds
    ticks = itertools.chain.from_iterable((10 * n, 10 * n + seconds) for n, seconds in enumerate(durations))
    monkeypatch.setattr("bench.sampling.time.perf_counter", lambda: next(ticks))
    rows = race([fixed("transformers", 32, 5), fixed("lal, compiled", 32, 5, 12.34)], 20, num_new=10, rounds=2)
    assert [row["tokens a second"] for row in rows] == [160, 640]
    assert [row["times transformers"] for row in rows] == [1.0, 4.0]
    assert [row["seconds to compile"] for row in rows] == [0.0, 12.3]


def test_an_engine_that_writes_other_ids_is_found_out() -> None:
    with pytest.raises(LalError, match="lal continues 100% of the prompts otherwise than transformers"):
        race([fixed("transformers", 1, 5), fixed("lal", 1, 6)], 20, num_new=10, rounds=1)
