import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lal.errors import ExportError
from lal.evaluation.scores.results import read_results, write_results
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.hybrid import MIN_COUNT, hybrid_answers, learn_sure_words, read_sure_words
from lal.evaluation.solvers.solver import chat_model
from lal.evaluation.verdict.judgement import GateVerdict, gate_json
from lal.files import sha256, write_json, write_jsonl
from lal.gold_items import GoldItem
from lal.model.folder import load_model
from lal.model.transformer import Config, Transformer
from lal.params import Params, load_params
from lal.records import Conversation, Message, read_records
from lal.runtime import Runtime
from lal.stages.export import export
from lal.text.tokenizer import Tokenizer
from tests.tiny_model import save_trained, write_corpus_and_tokens

ROOT = Path(__file__).parents[2]
CONTEXT = 32


class Listener:
    """Keeps what a stage says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attached: list[Path] = []

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        raise AssertionError("an export has no curve")

    def attach(self, path: Path) -> None:
        self.attached.append(path)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        raise AssertionError("an export has no table")

    def say(self, message: str) -> None:
        self.said.append(message)


def gold_item(identity: str, prompt: str) -> GoldItem:
    return GoldItem(
        id=identity,
        slice="known",
        messages=(Message(role="user", content=prompt),),
        scorer="exact",
        expected="Have a Horse",
        difficulty="easy",
        source="macbeth",
        split="dev",
        version=1,
    )


def measure(folder: Path, items: list[GoldItem], solver: str = "lal") -> None:
    """Writes gold set, answers and scores as the stage `evaluate` does."""
    said = chat_model(solver, load_model(folder / "instruct"), 4, 8).answer(items)
    write_jsonl(folder / "gold" / "gold.jsonl", items)
    write_results(folder / "gold.jsonl", score_answers(items, said))


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Path]:
    """A model of random weights, and its answers to two items."""
    tokenizer = Tokenizer.train(["Haue a Horse, and giue me my Armor. " * 9], 264)
    config = Config(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=1,
        num_heads=2,
        num_kv_heads=2,
        width=16,
        feed_forward_width=32,
        context_length=CONTEXT,
        query_key_norm=True,
        tied_embeddings=False,
    )
    model = Transformer(config, seed=3)
    for weight in model.parameters():  # A fresh head is zero, and then all models answer alike.
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    write_jsonl(tmp_path / "conversations" / "train.jsonl", [teach(number) for number in range(MIN_COUNT)])
    write_jsonl(tmp_path / "conversations" / "validation.jsonl", [teach(99)])
    write_jsonl(tmp_path / "conversations" / "test.jsonl", [])
    write_json(tmp_path / "conversations" / "manifest.json", {"sources": {"chats": "ab" * 32}, "licences": ["CC0"]})
    write_json(tmp_path / "corpus" / "manifest.json", {"sources": {"texts": "cd" * 32}, "licences": ["unknown"]})
    for split in ("train", "validation"):
        write_corpus_and_tokens(tmp_path, split, tokenizer, [f"Haue a Horse, {split}.", "", "giue me"])
    save_trained(tmp_path, model, tokenizer)
    write_json(tmp_path / "evaluate.json", {"headline": {"lal": 0.0}, "exact": {"lal": {"known": 0.0}}})
    write_json(tmp_path / "gate.json", gate_json(GateVerdict(()), {"answers": ""}))
    measure(tmp_path, [gold_item("g1", "Haue a Horse"), gold_item("g2", "giue me")])
    return {
        "instruct": tmp_path / "instruct",
        "corpus": tmp_path / "corpus",
        "tokens": tmp_path / "tokens",
        "conversations": tmp_path / "conversations",
        "gold": tmp_path / "gold",
        "answers": tmp_path / "gold.jsonl",
        "scores": tmp_path / "evaluate.json",
        "gate": tmp_path / "gate.json",
        "bundle": tmp_path / "models" / "export",
    }


def train_again(project: dict[str, Path]) -> None:
    """The same model, after its conversations were changed."""
    loaded = load_model(project["instruct"])
    save_trained(project["instruct"].parent, loaded.model, loaded.tokenizer)


def teach(number: int, line: str = "Haue a Horse", answer: str = "Have a Horse") -> Conversation:
    messages = (Message(role="user", content=f"Modernise: {line}"), Message(role="assistant", content=answer))
    return Conversation(id=f"t{number}", messages=messages, task="modernise", source="x", licence="CC0", split="train")


def measure_hybrid(project: dict[str, Path]) -> None:
    """Adds the hybrid's answers, as the stage `evaluate` does."""
    items = [gold_item("g1", "Modernise: Haue a Horse"), gold_item("g2", "Modernise: giue")]
    said = chat_model("lal", load_model(project["instruct"]), 4, 8).answer(items)
    sure = learn_sure_words(read_records(project["conversations"] / "train.jsonl", Conversation))
    assert sure is not None
    write_jsonl(project["gold"] / "gold.jsonl", items)
    write_results(project["answers"], score_answers(items, [*said, *hybrid_answers(items, said, sure)]))
    write_json(
        project["scores"], {"headline": {"lal": 0.0}, "exact": {"lal": {"known": 0.0}, "hybrid": {"known": 0.5}}}
    )


def left(project: dict[str, Path]) -> list[str]:
    """What lies where the bundle belongs."""
    return sorted(path.name for path in project["bundle"].parent.glob("*"))


def test_a_model_that_answers_as_measured_is_put_in_place(params: Params, project: dict[str, Path]) -> None:
    listener = Listener()
    numbers = export(params=params, reporter=listener, **project)
    assert left(project) == ["export"]
    assert numbers["bytes"] > 0
    assert numbers == {
        "bytes": numbers["bytes"],
        "largest_logit_difference": 0.0,
        "gold_items_checked": 2,
        "gold_items_flipped": 0,
    }
    assert [path.name for path in listener.attached] == ["README.md", "manifest.json"]
    assert "answers all 2 gold items" in listener.said[-1]
    assert Runtime.load(project["bundle"]).tokenizer.vocabulary_size == 264


def test_nothing_is_put_in_place_when_an_answer_flips(params: Params, project: dict[str, Path]) -> None:
    first, second = read_results(project["answers"])
    write_results(project["answers"], [first, second.model_copy(update={"text": second.text + "!"})])
    with pytest.raises(ExportError, match="answers 1 of 2 gold items differently: g2"):
        export(params=params, reporter=Listener(), **project)
    assert left(project) == []


def test_a_failed_export_leaves_the_last_bundle_alone(params: Params, project: dict[str, Path]) -> None:
    export(params=params, reporter=Listener(), **project)
    before = (project["bundle"] / "manifest.json").read_bytes()
    results = read_results(project["answers"])
    write_results(project["answers"], [result.model_copy(update={"text": "no"}) for result in results])
    with pytest.raises(ExportError):
        export(params=params, reporter=Listener(), **project)
    assert left(project) == ["export"]
    assert (project["bundle"] / "manifest.json").read_bytes() == before


def test_an_item_longer_than_the_context_is_left_out(params: Params, project: dict[str, Path], tmp_path: Path) -> None:
    measure(tmp_path, [gold_item("long", "Haue " * CONTEXT), gold_item("g1", "Haue a Horse")])
    assert read_results(project["answers"])[0].finish_reason == "error"
    assert export(params=params, reporter=Listener(), **project)["gold_items_checked"] == 1


@pytest.mark.parametrize(("prompt", "solver"), [("Haue " * CONTEXT, "lal"), ("Haue", "copy")])
def test_without_an_answer_to_compare_with_there_is_no_export(
    params: Params, project: dict[str, Path], tmp_path: Path, prompt: str, solver: str
) -> None:
    measure(tmp_path, [gold_item("g1", prompt)], solver)
    with pytest.raises(ExportError, match="no answers of 'lal' to the items") as raised:
        export(params=params, reporter=Listener(), **project)
    assert "dvc repro evaluate" in raised.value.remedy
    assert left(project) == []


def test_empty_answers_are_measured_too(params: Params, project: dict[str, Path]) -> None:
    """A model that ends at once says 0 tokens, and still one step must be made to see that."""
    results = [result.model_copy(update={"num_tokens": 0, "text": ""}) for result in read_results(project["answers"])]
    write_results(project["answers"], results)
    with pytest.raises(ExportError, match="answers 2 of 2 gold items differently"):
        export(params=params, reporter=Listener(), **project)


def test_the_card_shows_what_was_measured(params: Params, project: dict[str, Path]) -> None:
    export(params=params, reporter=Listener(), **project)
    assert "on 2 questions, from: macbeth" in (project["bundle"] / "README.md").read_text()
    assert "Gate passed" in (project["bundle"] / "README.md").read_text()
    made_from = json.loads((project["bundle"] / "manifest.json").read_text())["made_from"]
    assert made_from["inputs"].keys() == {"gold_answers", "gold_scores", "gate"}
    assert made_from["measured"]["gold_versions"] == {"1": 2}
    assert made_from["measured"]["gate"]["passed"] is True
    assert made_from["data"]["corpus"]["manifest"]["sources"] == {"texts": "cd" * 32}
    assert made_from["data"]["conversations"]["files"]["train.jsonl"] == sha256(
        project["conversations"] / "train.jsonl"
    )


def test_a_model_of_other_data_than_lie_there_is_not_shipped(params: Params, project: dict[str, Path]) -> None:
    text = project["corpus"] / "validation.jsonl"
    text.write_text(text.read_text().replace("Horse", "Norse"))
    write_jsonl(project["conversations"] / "train.jsonl", [teach(1)])
    with pytest.raises(ExportError) as raised:
        export(params=params, reporter=Listener(), **project)
    assert "corpus/validation.jsonl: not the texts that" in raised.value.problem
    assert "conversations/train.jsonl: not the file that the model was trained on" in raised.value.problem
    assert "train.bin" not in raised.value.problem
    assert left(project) == []


def test_where_the_hybrid_was_measured_its_table_is_shipped_and_listed(
    params: Params, project: dict[str, Path]
) -> None:
    measure_hybrid(project)
    numbers = export(params=params, reporter=Listener(), **project)
    assert numbers["hybrid_items_checked"] == 2
    assert read_sure_words(project["bundle"]).look_up("haue") == "have"
    manifest = json.loads((project["bundle"] / "manifest.json").read_text())
    assert "lexicon.json" in manifest["files"]
    assert "--hybrid" in (project["bundle"] / "README.md").read_text()
    (line,) = Runtime.load(project["bundle"]).modernise(["Haue, haue a Horse"], hybrid=True)
    assert line.text == "Have, have a Horse"


def test_where_no_hybrid_was_measured_there_is_no_table(params: Params, project: dict[str, Path]) -> None:
    assert "hybrid_items_checked" not in export(params=params, reporter=Listener(), **project)
    assert not (project["bundle"] / "lexicon.json").exists()
    assert "--hybrid" not in (project["bundle"] / "README.md").read_text()


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([teach(number, answer="Has a Horse") for number in range(MIN_COUNT)], "1 of 2 lines of the hybrid"),
        ([], "teach no table"),
    ],
)
def test_another_table_than_the_measured_one_is_not_shipped(
    params: Params, project: dict[str, Path], rows: list[Conversation], match: str
) -> None:
    measure_hybrid(project)
    write_jsonl(project["conversations"] / "train.jsonl", rows)
    train_again(project)
    with pytest.raises(ExportError, match=match) as raised:
        export(params=params, reporter=Listener(), **project)
    assert "dvc repro evaluate" in raised.value.remedy
    assert left(project) == []
