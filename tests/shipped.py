"""A project after `dvc repro`, with a model that really loads: for the registry and the commands about champions."""

from pathlib import Path
from typing import Any

from lal.evaluation.scores.results import Result, write_results
from lal.evaluation.verdict.judgement import GateVerdict, Judgement, gate_json
from lal.export.manifest import write_manifest
from lal.files import sha256, write_json, write_jsonl, write_text
from tests.tiny_model import write_speaking_model

ITEM: dict[str, Any] = {
    "id": "g1",
    "slice": "known",
    "messages": [{"role": "user", "content": "Modernise: haue"}],
    "scorer": "exact",
    "expected": "have",
    "difficulty": "easy",
    "source": "macbeth",
    "split": "dev",
    "version": 2,
}


def answer(text: str) -> Result:
    scores: dict[str, float | None] = {"exact": float(text == "have")}
    return Result(
        item_id="g1", solver="lal", slice="known", subslice="", source="macbeth", scorer="exact",
        prompt="Modernise: haue", expected="have", alternatives=(), text=text, finish_reason="stop", num_tokens=1,
        scores=scores, explanation="",
    )  # fmt: skip


def ship(seed: int, text: str = "have") -> str:
    """Writes into the current folder what `evaluate`, `gate` and `export` leave; the digest of the weights."""
    bundle = Path("models/export")
    write_speaking_model(bundle, seed)
    write_results(Path("reports/gold.jsonl"), [answer(text)])
    write_jsonl(Path("gold/gold.jsonl"), [ITEM])
    write_json(Path("metrics/evaluate.json"), {"headline": {"lal": 0.5}})
    judge()
    return sha256(bundle / "model.safetensors")


def judge() -> None:
    """What `gate` and `export` do again when the champion has changed."""
    judgement = Judgement(
        metric="exact", slice="keep", against="champion", margin=0.0, required="not_refuted", outcome="met",
        sentence="exact on keep against champion: better", is_floor=False,
    )  # fmt: skip
    digests = {"answers": sha256(Path("reports/gold.jsonl"))}
    champion = Path("champion/champion.json")
    if champion.is_file():
        digests["champion"] = sha256(champion)
    write_json(Path("metrics/gate.json"), gate_json(GateVerdict((judgement,)), digests))
    bundle = Path("models/export")
    write_text(bundle / "README.md", f"# Lal\n\n{digests.get('champion', 'no champion')}\n")
    gate = {"passed": True, "sentence": "Gate passed."}
    manifest = {"sources": {"microgpt": "48" * 32}, "licences": ["public domain"], "corpus": "tinyshakespeare"}
    files = {"train.jsonl": "ab" * 32, "validation.jsonl": "cd" * 32, "manifest.json": "ef" * 32}
    made_from = {
        "inputs": {
            "gold_answers": sha256(Path("reports/gold.jsonl")),
            "gate": sha256(Path("metrics/gate.json")),
        },
        "measured": {"headline": 0.5, "gold_versions": {"2": 1}, "gate": gate},
        "data": {"corpus": {"manifest": manifest, "files": files}},
        "model": {"stage": "sft", "params": {"sft": {"epochs": 4.0}}, "inputs": {}, "parent": None},
    }
    write_manifest(bundle, made_from)
