import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import data_curve, hybrid
from bench.data_curve import draw_pairs
from lal.errors import LalError
from lal.files import write_json, write_jsonl
from lal.gold_items import GoldItem
from lal.model.folder import save_model
from lal.model.transformer import Transformer
from lal.records import Conversation, read_records
from tests.tiny_training import conversation, new_model, tiny_params, tokenizer

LINES = [("To bee", "To be"), ("or not", "or not"), ("the minde", "the mind"), ("to suffre", "to suffer")]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixteen pairs, eight development lines, one gold item, a base model that knows nothing."""
    training = [conversation(f"t-{number}", f"Modernise: {old}", new) for number, (old, new) in enumerate(LINES * 4)]
    training.append(conversation("p-1", "Who are you?", "Lal.", task="persona"))
    held_out = [conversation(f"v-{number}", f"Modernise: {old}", new) for number, (old, new) in enumerate(LINES * 2)]
    write_jsonl(tmp_path / "conversations" / "train.jsonl", training)
    write_jsonl(tmp_path / "conversations" / "validation.jsonl", held_out)
    item = {
        "id": "g1", "slice": "known", "messages": [{"role": "user", "content": "Modernise: To bee"}], "scorer": "exact",
        "expected": "To be", "difficulty": "easy", "source": "x", "split": "dev", "version": 1,
    }  # fmt: skip
    write_jsonl(tmp_path / "gold" / "gold.jsonl", [item])
    params = tiny_params(gold={"headline": ["known"]}, evaluate={"max_new_tokens": 4})
    write_json(tmp_path / "params.yaml", params.model_dump(mode="json", by_alias=True))
    base = Transformer(replace(new_model().config, context_length=64), seed=1)
    save_model(tmp_path / "base", base, tokenizer(), {"stage": "pretrain"})
    (tmp_path / "page.md").write_text("# Page\n")
    monkeypatch.setattr(data_curve, "NUM_VALIDATION", 3)
    monkeypatch.setattr("lal.stages.sft.preflight", lambda *_: None)  # Which refuses such a base.
    return tmp_path


def options(project: Path, **changes: Any) -> Namespace:
    parsed = data_curve.parse(["--sizes", "4", "1000", "--steps", "3", "--lines", "5"])
    places = {"base": "base", "conversations": "conversations", "gold": "gold", "kept": "kept", "page": "page.md"}
    paths = {name: project / place for name, place in (places | {"params": "params.yaml"}).items()}
    return Namespace(**(vars(parsed) | paths | changes))


def test_each_size_is_trained_once_for_equal_steps_and_scored_beside_the_table_of_the_same_pairs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = data_curve.run(options(project))
    assert [(row["pairs"], row["solver"]) for row in rows] == [
        (4, "lexicon+rules"),
        (4, "lal"),
        (4, "hybrid"),
        (16, "lexicon+rules"),
        (16, "lal"),
        (16, "hybrid"),
    ]
    by_name = {(row["pairs"], row["solver"]): row for row in rows}
    assert by_name[16, "lexicon+rules"]["exact line"] == by_name[16, "hybrid"]["exact line"] == "1.000"
    assert by_name[16, "hybrid"]["known"] == by_name[16, "hybrid"]["headline"] == "1.000"
    for folder in (project / "kept").iterdir():
        told = json.loads((folder / "model" / "lal.json").read_text())
        assert told["training"]["steps"] == 3
    assert "The data curve of the narrow task" in (project / "page.md").read_text()
    monkeypatch.setattr(data_curve, "sft", None)  # What is kept is not trained again.
    assert data_curve.run(options(project)) == rows


def test_the_draws_are_nested_and_no_line_that_scores_has_chosen_a_step(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = read_records(project / "conversations" / "train.jsonl", Conversation)
    draws = draw_pairs(training, [2, 9, 10**9])
    assert list(draws) == [2, 9, 16]
    assert draws[2] == draws[9][:2]
    assert {row.task for row in draws[16]} == {"modernise"}
    scored: list[str] = []

    def listen(model: Path, pairs: object, lines: list[GoldItem], *others: object) -> list[dict[str, object]]:
        scored.extend(item.id for item in lines)
        return [{"pairs": 4}]

    monkeypatch.setattr(data_curve, "score", listen)
    data_curve.run(options(project, sizes=[4]))
    (folder,) = (project / "kept").iterdir()
    chosen = {row.id for row in read_records(folder / "conversations" / "validation.jsonl", Conversation)}
    assert (len(chosen), len(scored)) == (3, 5)
    assert not chosen & set(scored)


def test_without_a_base_model_it_says_what_to_run(project: Path) -> None:
    with pytest.raises(LalError, match=r"model\.safetensors"):
        data_curve.run(options(project, base=project / "nothing"))


def test_the_sweep_gives_the_hybrid_what_the_table_is_sure_of(project: Path) -> None:
    given = Namespace(
        model=project / "base", conversations=project / "conversations", lines=None, page=project / "page.md"
    )
    rows = {str(row[""]): row for row in hybrid.run(given)}
    assert rows["lal"]["exact line"] == 0.0
    assert rows["lexicon + rules"]["exact line"] == 1.0
    sure = [row for name, row in rows.items() if name.startswith("hybrid: seen 3 times")]
    assert {row["exact line"] for row in sure} == {1.0}
    never = [row for name, row in rows.items() if name.startswith("hybrid: seen 10 times")]
    assert {row["exact line"] for row in never} != {1.0}
    assert sum("(chosen)" in name for name in rows) == 1
