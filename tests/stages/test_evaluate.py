from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lal.errors import DataError, ModelError, ParamsError
from lal.evaluation.copies.measure import copy_metrics
from lal.evaluation.copies.records import read_copies
from lal.evaluation.failures.records import digest, read_failures
from lal.evaluation.scores.results import of_solver, read_results
from lal.evaluation.solvers.hybrid import MIN_COUNT, combine, learn_sure_words, usable_line
from lal.files import write_json, write_jsonl
from lal.gold_items import GoldItem
from lal.model.folder import save_model
from lal.model.transformer import Config, Transformer
from lal.params import Params, load_params
from lal.records import Conversation, Document, Message, Split, read_records
from lal.stages.evaluate import evaluate
from lal.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]


class Listener:
    """Keeps what a stage says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attached: list[Path] = []
        self.tables: dict[str, Sequence[Mapping[str, Any]]] = {}

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        raise AssertionError("an evaluation has no curve")

    def attach(self, path: Path) -> None:
        self.attached.append(path)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.tables[name] = rows

    def say(self, message: str) -> None:
        self.said.append(message)


def asks(content: str) -> tuple[Message, ...]:
    return (Message(role="user", content=content),)


def gold_item(identity: str, slice_name: str, prompt: str, **changes: Any) -> GoldItem:
    values: dict[str, Any] = {
        "scorer": "exact",
        "difficulty": "easy",
        "source": "macbeth",
        "split": "dev",
        "version": 1,
    }
    return GoldItem(id=identity, slice=slice_name, messages=asks(prompt), **(values | changes))


@pytest.fixture
def params() -> Params:
    params = load_params(ROOT / "params.yaml")
    return params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"max_new_tokens": 4})})


@pytest.fixture
def project(tmp_path: Path, params: Params) -> dict[str, Path]:
    """A gold set of five items, two training rows and two untrained models."""
    items = [
        gold_item("g1", "known", "Modernise: Haue a Horse", expected="Have a Horse"),
        gold_item("g2", "unseen", "Modernise: vnto", expected="unto"),
        gold_item("g3", "context", "Modernise: then", expected="than"),
        gold_item("g4", "keep", "Modernise: Horse", expected="Horse"),
        gold_item("p1", "persona", "Who are you?", scorer="checks", must_contain=("Lal",)),
    ]
    rows = [("a-1", "Modernise: Haue a Horse", "Have a Horse"), ("p-1", "Who are you?", "I am Lal.")]
    write_jsonl(tmp_path / "gold" / "gold.jsonl", items)
    write_jsonl(
        tmp_path / "conversations" / "train.jsonl",
        [
            Conversation(
                id=identity,
                messages=(*asks(prompt), Message(role="assistant", content=answer)),
                task="modernise",
                source="hamlet",
                licence="CC0-1.0",
                split="train",
            )
            for identity, prompt, answer in rows
        ],
    )
    texts: dict[Split, str] = {"train": "Haue a Horse, haue a Horse. " * 9, "validation": "Haue a good Horse."}
    for split, text in texts.items():
        document = Document(id=split, text=text, source="own", licence="mine", split=split)
        write_jsonl(tmp_path / "corpus" / f"{split}.jsonl", [document])
    tokenizer = Tokenizer.train([" ".join(prompt + answer for _, prompt, answer in rows)], 264)
    small = params.model.model_copy(
        update={"size": params.model.shape.model_copy(update={"num_layers": 1, "num_heads": 2, "width": 16})}
    )
    for seed, name in enumerate(("base", "instruct")):
        model = Transformer(Config.from_params(small, tokenizer.vocabulary_size), seed)
        save_model(tmp_path / name, model, tokenizer, {"stage": name})
    return {name: tmp_path / name for name in ("gold", "corpus", "conversations", "base", "instruct")} | {
        "answers": tmp_path / "reports" / "gold.jsonl",
        "failures": tmp_path / "reports" / "failures.json",
        "copies": tmp_path / "reports" / "copies.json",
    }


def test_everyone_answers_and_answers_and_metrics_are_written(params: Params, project: dict[str, Path]) -> None:
    listener = Listener()
    metrics = evaluate(params=params, reporter=listener, **project)
    results = read_results(project["answers"])
    everyone = ["copy", "rules", "lexicon", "lexicon+rules", "nearest", "base", "lal"]
    assert [result.solver for result in results[:7]] == everyone
    assert [result.solver for result in results if result.item_id == "p1"] == ["nearest", "base", "lal"]
    assert metrics["headline"]["copy"] == 0.25
    assert metrics["headline"]["lexicon_rules"] == 0.75
    assert metrics["exact"]["lexicon"] == {"known": 1.0, "unseen": 0.0, "context": 0.0, "keep": 1.0}
    assert metrics["lal"]["num_items"] == 5
    assert len(results) == 5 * 4 + 3 * 5
    assert len(listener.tables["gold"]) == 5


def test_the_failures_are_grouped_beside_the_answers_they_were_found_in(
    params: Params, project: dict[str, Path]
) -> None:
    sources = {"sources": {"patches/patch-001.jsonl": "0" * 64}}
    write_json(project["conversations"] / "manifest.json", sources)
    evaluate(params=params, reporter=Listener(), **project)
    own = of_solver(read_results(project["answers"]), "lal")
    failures = read_failures(project["failures"])
    assert failures.results_sha256 == digest(own)
    assert failures.training_sources == sources["sources"]
    assert {item for group in failures.groups for item in group.items} == {row.item_id for row in own if not row.passed}


def test_bits_per_byte_of_text_and_answers_and_the_sizes_of_all_rungs_are_metrics(
    params: Params, project: dict[str, Path]
) -> None:
    metrics = evaluate(params=params, reporter=Listener(), **project)
    assert list(metrics["bits_per_byte"]) == ["unigram", "ngram", "base", "lal"]
    assert metrics["bits_per_byte"]["ngram"] < metrics["bits_per_byte"]["base"]
    assert metrics["text"] == {"train_bytes": 9 * 28, "validation_bytes": 18}
    assert metrics["size"]["nearest"] == 2
    assert metrics["size"]["base"] == metrics["size"]["lal"] > 1000
    for row in read_results(project["answers"]):
        assert ("bits_per_byte" in row.scores) == (row.solver in ("base", "lal") and row.scorer == "exact")
    assert list(metrics["answer_bits_per_byte"]) == ["base", "lal"]
    # Networks that nobody trained find every token as likely as any other.
    assert metrics["bits_per_byte"]["lal"] == pytest.approx(metrics["bits_per_byte"]["base"], abs=1e-3)


def teach(project: dict[str, Path]) -> None:
    """Repeats the training rows until they leave no doubt about their words."""
    rows = read_records(project["conversations"] / "train.jsonl", Conversation)
    copies = [row.model_copy(update={"id": f"{row.id}-{number}"}) for number in range(MIN_COUNT) for row in rows]
    write_jsonl(project["conversations"] / "train.jsonl", copies)


def test_where_training_leaves_no_doubt_about_words_the_hybrid_has_a_row_made_of_the_models_answers(
    params: Params, project: dict[str, Path]
) -> None:
    teach(project)
    metrics = evaluate(params=params, reporter=Listener(), **project)
    results = read_results(project["answers"])
    hybrid, own = of_solver(results, "hybrid"), of_solver(results, "lal")
    assert [row.item_id for row in hybrid] == ["g1", "g2", "g3", "g4"]
    assert [row.text for row in hybrid if row.item_id in ("g1", "g4")] == ["Have a Horse", "Horse"]
    sure = learn_sure_words(read_records(project["conversations"] / "train.jsonl", Conversation))
    assert sure is not None
    said = {row.item_id: usable_line(row.text, row.finish_reason) for row in own}
    assert [row.text for row in hybrid] == [combine(row.task, said[row.item_id], sure) for row in hybrid]
    assert metrics["exact"]["hybrid"]["known"] == metrics["exact"]["hybrid"]["keep"] == 1.0
    assert metrics["headline"]["hybrid"] >= 0.5
    assert metrics["size"]["hybrid"] == metrics["size"]["lal"] + sure.size
    assert "hybrid" not in metrics["bits_per_byte"]


def test_conversations_of_ones_own_have_no_hybrid(params: Params, project: dict[str, Path]) -> None:
    teach(project)
    path = project["conversations"] / "train.jsonl"
    path.write_text(path.read_text().replace("Modernise: ", "Put into modern spelling: "))
    assert "hybrid" not in evaluate(params=params, reporter=Listener(), **project)["headline"]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_missing_split_of_the_corpus_is_named(params: Params, project: dict[str, Path], split: str) -> None:
    (project["corpus"] / f"{split}.jsonl").unlink()
    with pytest.raises(DataError, match=rf"{split}\.jsonl"):
        evaluate(params=params, reporter=Listener(), **project)


def test_a_second_run_writes_the_same_bytes(params: Params, project: dict[str, Path]) -> None:
    first = evaluate(params=params, reporter=Listener(), **project)
    written = project["answers"].read_bytes()
    assert evaluate(params=params, reporter=Listener(), **project) == first
    assert project["answers"].read_bytes() == written


def test_a_wrong_headline_slice_is_found_before_anything_is_read_or_written(
    params: Params, project: dict[str, Path]
) -> None:
    wrong = params.model_copy(update={"gold": params.gold.model_copy(update={"headline": ("knwon",)})})
    (project["instruct"] / "lal.json").unlink()
    with pytest.raises(ParamsError, match="knwon"):
        evaluate(params=wrong, reporter=Listener(), **project)
    assert not project["answers"].exists()


def test_a_damaged_model_and_an_empty_gold_set_are_errors(params: Params, project: dict[str, Path]) -> None:
    (project["instruct"] / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="changed since it was written"):
        evaluate(params=params, reporter=Listener(), **project)
    (project["gold"] / "gold.jsonl").unlink()
    with pytest.raises(DataError, match=r"no \.jsonl file of gold items"):
        evaluate(params=params, reporter=Listener(), **project)


def test_what_the_answers_copy_is_written_beside_them(params: Params, project: dict[str, Path]) -> None:
    metrics = evaluate(params=params, reporter=Listener(), **project)
    copies = read_copies(project["copies"])
    own = of_solver(read_results(project["answers"]), "lal")
    assert [one.item_id for one in copies.answers] == [row.item_id for row in own]
    assert metrics["copied"] == copy_metrics(copies)
    assert metrics["copied"]["expected"] <= 1.0
