"""The stage opens every format in its own runtime; one that is another model, or reads texts otherwise, stops it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import onnx
import pytest

from lal.errors import ExportError, ModelError
from lal.evaluation.scores.results import write_results
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.solver import chat_model
from lal.evaluation.verdict.judgement import GateVerdict, gate_json
from lal.export.formats import FILES
from lal.export.manifest import write_manifest
from lal.files import read_json, write_json, write_jsonl
from lal.model.folder import load_model
from lal.params import Params, parse_params
from lal.stages import parity as stage
from lal.stages.export import export
from lal.stages.parity import parity
from tests.export.questions import gold_item
from tests.export.small_server import answering, running
from tests.tiny_model import save_trained, write_corpus_and_tokens, write_grouped_model

ROOT = Path(__file__).parents[2]
TEXTS = ["Giue me loue", "1623", "haue no horsse", "Modernise: vs", "and haue", "'tis vs"]


class Listener:
    """Keeps what a stage says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attached: list[Path] = []

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        raise AssertionError("parity has no curve")

    def attach(self, path: Path) -> None:
        self.attached.append(path)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        raise AssertionError("parity has no table")

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def params() -> Params:
    """The shipped limits, but weights at random have no clear favourites, and 8 bits may choose others."""
    return parse_params((ROOT / "params.yaml").read_text().replace("0.04", "1.0"))


@pytest.fixture(params=[True, False], ids=["qwen3", "llama"])
def project(tmp_path: Path, params: Params, request: pytest.FixtureRequest) -> dict[str, Path]:
    """A model with weights that all matter, its answers, and its bundle in all formats."""
    write_grouped_model(tmp_path / "instruct", query_key_norm=request.param)
    items = [gold_item(text, number=number) for number, text in enumerate(TEXTS)]
    write_jsonl(tmp_path / "gold" / "gold.jsonl", items)
    answers = chat_model("lal", load_model(tmp_path / "instruct"), 8, 8).answer(items)
    write_results(tmp_path / "gold.jsonl", score_answers(items, answers))
    write_json(tmp_path / "evaluate.json", {"headline": {"lal": 0.0}, "exact": {"lal": {"known": 0.0}}})
    write_json(tmp_path / "gate.json", gate_json(GateVerdict(()), {"answers": ""}))
    model = load_model(tmp_path / "instruct")
    for folder in ("corpus", "conversations"):
        write_json(tmp_path / folder / "manifest.json", {"sources": {}, "licences": []})
    for split in ("train", "validation"):
        write_jsonl(tmp_path / "conversations" / f"{split}.jsonl", [])
        write_corpus_and_tokens(tmp_path, split, model.tokenizer, ["Haue a Horse."])
    save_trained(tmp_path, model.model, model.tokenizer)
    export(
        params=params,
        instruct=tmp_path / "instruct",
        corpus=tmp_path / "corpus",
        tokens=tmp_path / "tokens",
        conversations=tmp_path / "conversations",
        gold=tmp_path / "gold",
        answers=tmp_path / "gold.jsonl",
        scores=tmp_path / "evaluate.json",
        gate=tmp_path / "gate.json",
        bundle=tmp_path / "bundle",
        reporter=Listener(),
    )
    return {
        "instruct": tmp_path / "instruct",
        "bundle": tmp_path / "bundle",
        "gold": tmp_path / "gold",
        "answers": tmp_path / "gold.jsonl",
        "report": tmp_path / "parity.html",
    }


def sealed(project: dict[str, Path]) -> None:
    """Lists what lies in the bundle now: whoever damages a file may do that, too."""
    write_manifest(project["bundle"], read_json(project["bundle"] / "manifest.json")["made_from"])


def refused(params: Params, project: dict[str, Path]) -> str:
    """The error of a stage that must fail, after it wrote its page."""
    sealed(project)
    with pytest.raises(ExportError) as raised:
        parity(params=params, reporter=Listener(), **project)
    assert "Some formats are beyond their limits" in project["report"].read_text()
    assert "parity.html" in raised.value.remedy
    return raised.value.problem


def test_a_bundle_as_it_was_exported_passes_in_every_format(params: Params, project: dict[str, Path]) -> None:
    listener = Listener()
    metrics = parity(params=params, reporter=listener, **project)
    assert list(metrics["formats"]) == [*FILES, "http"]
    assert metrics["gold_items"] == len(TEXTS)
    assert metrics["formats"]["safetensors"]["largest_difference"] == 0.0
    assert metrics["formats"]["gguf-f32"]["largest_difference"] < 1e-4
    assert metrics["formats"]["onnx"]["agreement"] == 1.0
    assert listener.attached == [project["report"]]
    assert listener.said[0] == "safetensors: log-probabilities within 0, 0 of 6 gold items in other words"
    assert "Every format is within its limits" in project["report"].read_text()


def test_a_format_that_is_not_there_is_not_asked(params: Params, project: dict[str, Path]) -> None:
    (project["bundle"] / FILES["onnx"]).unlink()
    sealed(project)
    assert "onnx" not in parity(params=params, reporter=Listener(), **project)["formats"]


def test_two_rows_swapped_in_a_gguf_file_stop_the_stage_by_its_name(params: Params, project: dict[str, Path]) -> None:
    reader = gguf.GGUFReader(project["bundle"] / FILES["gguf-f32"], "r+")
    (weight,) = (each.data for each in reader.tensors if each.name == "blk.1.attn_q.weight")
    weight[[3, 40]] = weight[[40, 3]]
    reader.data.flush()
    problem = refused(params, project)
    assert problem.startswith("gguf-f32: log-probabilities of the next token are off by up to ")
    assert "parity.tolerances allows 0.001" in problem
    assert not any(f"{name}:" in problem for name in FILES if name != "gguf-f32")


def test_a_number_changed_in_an_onnx_file_stops_the_stage_by_its_name(params: Params, project: dict[str, Path]) -> None:
    path = project["bundle"] / FILES["onnx"]
    graph = onnx.load(path)
    (weight,) = (each for each in graph.graph.initializer if each.name == "model.layers.0.mlp.down_proj.weight")
    numbers = onnx.numpy_helper.to_array(weight).copy()
    weight.raw_data = np.ascontiguousarray(numbers[:, ::-1]).tobytes()
    path.write_bytes(graph.SerializeToString())
    assert refused(params, project).startswith("onnx: log-probabilities of the next token are off by up to ")


def test_another_template_and_another_vocabulary_in_a_gguf_file_stop_the_stage(
    params: Params, project: dict[str, Path]
) -> None:
    path = project["bundle"] / FILES["gguf-f16"]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"<|' + message['role']", b"<|' + message['RoLe']", 1))
    assert "gguf-f16: the chat template is not Lal's" in refused(params, project)
    path.write_bytes(content.replace(b"\2\0\0\0\0\0\0\0is", b"\2\0\0\0\0\0\0\0zs"))
    assert re.search(r"^gguf-f16: \".*\" becomes other ids$", refused(params, project), re.MULTILINE)


def test_answers_of_another_model_are_told_with_the_first_items(
    params: Params, project: dict[str, Path], tmp_path: Path
) -> None:
    items = [gold_item(text, number=number) for number, text in enumerate(TEXTS)]
    answers = [
        answer.model_copy(update={"text": f"{answer.text}!"})
        for answer in chat_model("lal", load_model(project["instruct"]), 8, 8).answer(items)
    ]
    write_results(project["answers"], score_answers(items, answers))
    problem = refused(params, project)
    for name in ("safetensors", "gguf-f32", "gguf-f16", "onnx"):
        assert f"{name}: 6 of 6 gold items are answered in other words (1, parity.flipped allows 0.0" in problem
    assert 'g0 ("' in problem


def test_a_bundle_that_was_touched_is_not_even_opened(params: Params, project: dict[str, Path]) -> None:
    with (project["bundle"] / FILES["onnx-int8"]).open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(ModelError, match=r"model-int8\.onnx: sha256 is"):
        parity(params=params, reporter=Listener(), **project)


def test_the_server_is_asked_as_a_format_of_its_own(
    params: Params, project: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        if name != "safetensors":
            (project["bundle"] / FILES[name]).unlink()
    sealed(project)
    metrics = parity(params=params, reporter=Listener(), **project)
    assert metrics["formats"]["http"]["agreement"] == 1.0
    assert metrics["formats"]["http"]["largest_difference"] < 1e-4
    good = answering(load_model(project["bundle"]))

    def shouting(body: dict[str, Any]) -> dict[str, Any]:
        reply = good(body)
        reply["choices"][0]["message"]["content"] += "!"
        return reply

    monkeypatch.setattr(stage, "running_server", lambda bundle: running(shouting))
    assert refused(params, project).startswith("http: 6 of 6 gold items are answered in other words")
