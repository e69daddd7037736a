import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lal.errors import DataError, ParamsError
from lal.evaluation.statistics.noise import NoiseFloor
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.params import Params
from lal.records import Document, Message
from lal.stages import noise as stage
from lal.stages.sft import sft
from tests.tiny_training import ROOT, TEXT, Listener, tiny_params, write_inputs

torch.set_num_threads(1)


@pytest.fixture
def params() -> Params:
    small: dict[str, dict[str, Any]] = {
        "pretrain": {"steps": 4, "validate_every": 2},
        "sft": {"epochs": 1.0},
        "tokenizer": {"vocabulary_size": 270},
    }
    return tiny_params(**small, evaluate={"max_new_tokens": 3}, gold={"headline": ["known"]})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A corpus, conversations and two gold items."""
    write_inputs(tmp_path)
    for split in ("train", "validation"):
        document = Document(id=split, text=TEXT, source="test", licence="CC0-1.0", split=split)
        write_jsonl(tmp_path / "corpus" / f"{split}.jsonl", [document])
    write_gold(tmp_path, "to be 1", "to be 2")
    return tmp_path


def write_gold(folder: Path, *expected: str) -> None:
    items = [
        GoldItem(
            id=f"g{number}",
            slice="known",
            messages=(Message(role="user", content=f"be {number}"),),
            scorer="exact",
            expected=text,
            difficulty="easy",
            source="macbeth",
            split="dev",
            version=1,
        )
        for number, text in enumerate(expected)
    ]
    write_jsonl(folder / "gold" / "gold.jsonl", items)


def measure(params: Params, folder: Path, num_seeds: int = 2) -> tuple[NoiseFloor, list[str]]:
    listener = Listener()
    floor = stage.noise(
        params=params,
        profile=Path("profiles/small.yaml"),
        num_seeds=num_seeds,
        corpus=folder / "corpus",
        conversations=folder / "conversations",
        gold=folder / "gold",
        scratch=folder / "scratch",
        reporter=listener,
    )
    return floor, [line for line in listener.lines if line.startswith(("pretrain: ", "sft: "))]


def test_seeds_differ_and_everything_else_is_equal(params: Params, project: Path) -> None:
    floor, trained = measure(params, project)
    assert floor.seeds == (params.seed, params.seed + 1)
    assert len([line for line in trained if "parameters" in line]) == 2
    folders = sorted((project / "scratch").glob("*/seed-*"))
    made = [json.loads((folder / "instruct" / "lal.json").read_text()) for folder in folders]
    assert [origin["params"].pop("seed") for origin in made] == list(floor.seeds)
    assert made[0]["params"] == made[1]["params"]
    assert made[0]["inputs"]["train.jsonl"] == made[1]["inputs"]["train.jsonl"]
    weights = [(folder / "instruct" / "model.safetensors").read_bytes() for folder in folders]
    assert weights[0] != weights[1]
    error_rates = floor.scores["character_error_rate"]["all"]
    assert len(error_rates) == 2
    assert floor.subject.num_items == 2


def test_a_second_call_trains_nothing_and_finds_the_same(params: Params, project: Path) -> None:
    first, _ = measure(params, project)
    second, trained = measure(params, project)
    assert second == first
    assert trained == []


def test_a_kill_keeps_the_seeds_that_were_done(params: Params, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def killed(**arguments: object) -> object:
        if arguments["params"].seed > params.seed:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return sft(**arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(stage, "sft", killed)
        with pytest.raises(KeyboardInterrupt):
            measure(params, project)
    _, trained = measure(params, project)
    assert [line.split(":")[0] for line in trained] == ["sft"] * len(trained)
    assert trained


def test_another_gold_set_is_asked_without_training(params: Params, project: Path) -> None:
    first, _ = measure(params, project)
    write_gold(project, "to be 1", "to be 2", "to be 3")
    second, trained = measure(params, project)
    assert trained == []
    assert second.changes(first.subject.model_dump()) == ["3 gold items", "other gold items"]


def test_old_recipes_make_room_for_another(params: Params, project: Path) -> None:
    for number in range(stage.KEPT + 1):
        (project / "scratch" / f"old-{number}").mkdir(parents=True)
    _, trained = measure(params, project)
    assert trained
    kept = sorted(path.name for path in (project / "scratch").iterdir())
    assert len(kept) == stage.KEPT
    assert [name.startswith("old-") for name in kept].count(False) == 1


def test_missing_data_name_the_remedy(params: Params, project: Path) -> None:
    (project / "corpus" / "train.jsonl").unlink()
    with pytest.raises(DataError, match=r"corpus/train\.jsonl: not there\n  -> run `dvc repro data` first"):
        measure(params, project)


def test_the_profile_is_params_yaml_with_its_own_values_in_place() -> None:
    whole, profile = ROOT / "params.yaml", ROOT / "profiles" / "small.yaml"
    plain, small = stage.read_profile(whole, whole), stage.read_profile(whole, profile)
    assert (small.pretrain.steps, small.sft.epochs) == (60, 0.25)
    assert small.model_copy(update={"pretrain": plain.pretrain, "sft": plain.sft}) == plain
    changed = {"steps": plain.pretrain.steps, "compile": plain.pretrain.compile}
    assert small.pretrain.model_copy(update=changed) == plain.pretrain


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sft: {epoch: 1.0}", r"sft\.epoch: "),
        ("sft: 3", "sft: "),
        ("train: {steps: 1}", "train: "),
        ("- sft", "expected sections"),
        ("sft: [", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=rf"mine\.yaml: {problem}"):
        stage.read_profile(ROOT / "params.yaml", path)
