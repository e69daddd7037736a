import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lal.errors import ExportError
from lal.evaluation.verdict.gate_file import GateFile
from lal.export.bundle import generation_settings, write_bundle
from lal.export.formats import FILES
from lal.export.manifest import check_manifest
from lal.export.parity import demand_parity, flipped_answers, largest_logit_difference
from lal.model.folder import LoadedModel, load_model
from lal.model.generate import generate_batch
from lal.params import ExportParams
from lal.sections import FORMATS

GATE = GateFile(passed=True, sentence="Gate passed.", failed=(), told=(), digests={})

SCORES: dict[str, Any] = {
    "headline": {"copy": 0.25, "lal": 0.71},
    "exact": {"copy": {"known": 0.0, "keep": 1.0}, "lal": {"known": 0.9}},
}


def params(**changes: Any) -> ExportParams:
    return ExportParams.model_validate(
        {"dtype": "float32", "temperature": 0.0, "top_p": 0.9, "max_new_tokens": 32, "formats": []} | changes
    )


def bundle(folder: Path, measured: LoadedModel, **changes: Any) -> Path:
    answers = folder / "gold.jsonl"
    answers.write_text("{}\n")
    write_bundle(folder / "export", measured, params(**changes), SCORES, [], {"gold_answers": answers}, {}, GATE)
    return folder / "export"


def test_a_bundle_is_what_its_manifest_says_and_names_its_lineage(tmp_path: Path, measured: LoadedModel) -> None:
    manifest = check_manifest(bundle(tmp_path, measured))
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= manifest["files"].keys()
    assert manifest["made_from"]["model"]["parent"]["stage"] == "pretrain"
    assert len(manifest["made_from"]["inputs"]["gold_answers"]) == 64


def test_the_same_model_gives_the_same_bytes_and_an_old_bundle_leaves_nothing_behind(
    tmp_path: Path, measured: LoadedModel
) -> None:
    first = (bundle(tmp_path, measured) / "manifest.json").read_bytes()
    (tmp_path / "export" / "left-over.bin").write_bytes(b"x")
    assert (bundle(tmp_path, measured) / "manifest.json").read_bytes() == first


def test_the_card_has_the_scores_that_were_measured_and_a_dash_for_what_was_not(
    tmp_path: Path, measured: LoadedModel
) -> None:
    card = (bundle(tmp_path, measured) / "README.md").read_text()
    assert "| lal | 0.900 | - | 0.710 |" in card
    assert "sha256 `" + "ab" * 32 in card
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_default_settings_are_written_as_transformers_reads_them(tmp_path: Path, measured: LoadedModel) -> None:
    greedy = json.loads((bundle(tmp_path, measured) / "generation_config.json").read_text())
    assert greedy["do_sample"] is False
    assert greedy["max_new_tokens"] == 32
    assert greedy["eos_token_id"] == measured.tokenizer.end_id
    assert generation_settings(params(temperature=0.7))["top_p"] == 0.9


def test_float32_is_copied_and_bfloat16_rounds(tmp_path: Path, measured: LoadedModel) -> None:
    prompts = [measured.tokenizer.encode("Giue me my Horse")]
    exact = load_model(bundle(tmp_path, measured))
    assert largest_logit_difference(measured.model, exact.model, prompts) == 0.0
    rounded = load_model(bundle(tmp_path, measured, dtype="bfloat16"))
    assert 0 < largest_logit_difference(measured.model, rounded.model, prompts) < 0.5


def test_an_answer_that_changed_is_found(measured: LoadedModel) -> None:
    prompts = {"a": measured.tokenizer.encode("Giue me"), "b": measured.tokenizer.encode("my Horse")}
    answers = generate_batch(measured.model, list(prompts.values()), 8, measured.tokenizer.end_id)
    said = {item: measured.tokenizer.decode(answer.ids) for item, answer in zip(prompts, answers, strict=True)}
    assert flipped_answers(measured.model, measured.tokenizer, prompts, said, 8) == []
    said["b"] += "!"
    assert flipped_answers(measured.model, measured.tokenizer, prompts, said, 8) == ["b"]


@pytest.mark.parametrize(
    ("difference", "flipped", "problem"),
    [
        (0.2, [], "logits are off"),
        (float("nan"), [], "logits are off"),
        (0.0, ["g-1"], "1 of 9 gold items differently: g-1"),
    ],
)
def test_an_export_that_is_not_the_measured_model_is_refused(
    difference: float, flipped: list[str], problem: str
) -> None:
    with pytest.raises(ExportError, match=problem):
        demand_parity(difference, 0.1, flipped, 9)
    demand_parity(0.1, 0.1, [], 9)


def test_every_format_lies_in_the_bundle_on_the_card_and_in_the_manifest_and_names_no_place(
    tmp_path: Path, measured: LoadedModel
) -> None:
    folder = bundle(tmp_path, measured, formats=list(FORMATS))
    first = (folder / "manifest.json").read_bytes()
    listed, card = check_manifest(folder)["files"], (folder / "README.md").read_text()
    for name in FILES.values():
        assert listed[name]["bytes"] == (folder / name).stat().st_size > 1000
        assert f"| `{name}` | " in card
        assert not re.search(rb"/src/|/home/|/tmp/|\.py\b", (folder / name).read_bytes())
    assert "matrices, of a width that is no multiple of 32, stay f16" in card
    assert (bundle(tmp_path, measured, formats=list(FORMATS)) / "manifest.json").read_bytes() == first


def test_without_further_formats_their_packages_are_not_needed(
    tmp_path: Path, measured: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("gguf", "onnx", "onnxruntime", "xllamacpp"):
        monkeypatch.setitem(sys.modules, package, None)
    folder = bundle(tmp_path, measured)
    assert not [name for name in FILES.values() if name != "model.safetensors" and (folder / name).exists()]
    with pytest.raises(ExportError, match=r"without gguf Lal cannot write model-f16\.gguf"):
        bundle(tmp_path, measured, formats=["gguf-f16"])
