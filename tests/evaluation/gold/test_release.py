"""The ledger of looks: nothing is shown that is not written, nothing that is written goes away."""

import itertools
import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scipy import integrate, stats

from lal.errors import DataError
from lal.evaluation.gold.release import (
    BEST_OF,
    MANY_LOOKS,
    Look,
    begin_look,
    describe_look,
    finish_look,
    item_digests,
    items_digest,
    read_looks,
    warnings,
)
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


@pytest.fixture
def items(line: Items) -> list[GoldItem]:
    return [
        line(f"s{n}", f"haue {n}", f"have {n}", slice="known" if n < 6 else "keep", split="sealed") for n in range(8)
    ]


def look(items: list[GoldItem], model: str = "a", **changes: Any) -> Look:
    digests = item_digests(items)
    values: dict[str, Any] = {
        "look": 1, "when": "2026-11-24T12:00:00+00:00", "note": "0.3.0", "model": "models/export",
        "model_sha256": model * 64, "gold_version": 2, "items_sha256": items_digest(digests),
        "items": {key: digest[:8] for key, digest in digests.items()}, "run_id": None, "commit": "c0ffee",
        "uncommitted": False, "finished": False,
    }  # fmt: skip
    return Look(**(values | changes))


def test_a_look_is_on_record_before_it_is_scored_and_complete_after(
    tmp_path: Path, items: list[GoldItem], said: Answers
) -> None:
    ledger = tmp_path / "ledger" / "releases.jsonl"
    assert read_looks(ledger) == []
    begun = begin_look(ledger, look(items))
    assert read_looks(ledger) == [begun]
    assert (begun.look, begun.finished, begun.headline) == (1, False, None)
    results = score_answers(items, [said(item, item.expected if n < 3 else "no") for n, item in enumerate(items)])
    done = finish_look(ledger, begun, results, ["known", "keep"])
    assert read_looks(ledger) == [done]
    assert done.headline is not None
    assert (done.headline.value, done.headline.num_scored) == (0.25, 8)
    assert (done.slices["known"].value, done.slices["keep"].value) == (0.5, 0.0)
    assert "have" not in ledger.read_text(), "no text of an item or an answer"


def test_a_look_that_was_cut_short_counts(tmp_path: Path, items: list[GoldItem]) -> None:
    ledger = tmp_path / "releases.jsonl"
    begin_look(ledger, look(items))
    assert begin_look(ledger, look(items, "b")).look == 2
    assert [each.finished for each in read_looks(ledger)] == [False, False]


def test_looks_at_the_same_time_are_all_counted(tmp_path: Path, items: list[GoldItem]) -> None:
    ledger = tmp_path / "releases.jsonl"
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: begin_look(ledger, look(items)).look, range(12)))
    assert sorted(numbers) == list(range(1, 13)) == [each.look for each in read_looks(ledger)]


def test_a_ledger_with_a_look_taken_out_is_refused(tmp_path: Path, items: list[GoldItem]) -> None:
    ledger = tmp_path / "releases.jsonl"
    for _ in range(3):
        begin_look(ledger, look(items))
    rows = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(rows[0] + rows[2])
    with pytest.raises(DataError, match=r"releases\.jsonl:2: look 3 where look 2 belongs") as caught:
        begin_look(ledger, look(items))
    assert "git checkout" in caught.value.remedy


def test_the_warning_grows_with_the_looks(items: list[GoldItem]) -> None:
    looks = [look(items, digit, look=n) for n, digit in enumerate("abcdef", start=1)]
    told = [warnings(looks[n], looks[: n + 1]) for n in range(len(looks))]
    assert "nothing has been chosen" in " ".join(told[0]).lower()
    assert "best of 2 models" in " ".join(told[1])
    assert [any(line.startswith("WARNING") for line in lines) for lines in told] == [
        n + 1 >= MANY_LOOKS for n in range(len(looks))
    ]


def test_the_same_model_again_teaches_nothing_new(items: list[GoldItem]) -> None:
    looks = [look(items), look(items, look=2)]
    assert any("looked at before" in line for line in warnings(looks[1], looks))


def test_new_items_start_a_new_count_and_one_new_item_does_not(items: list[GoldItem], line: Items) -> None:
    old = [look(items, digit, look=n) for n, digit in enumerate("abc", start=1)]
    grown = look([*items, line("s9", "giue", "give", split="sealed")], "d", look=4)
    assert "4 of them at these items, by 4 models" in warnings(grown, [*old, grown])[0]
    fresh = look([line("t1", "giue", "give", split="sealed")], "d", look=4)
    assert "1 of them at these items, by one model" in warnings(fresh, [*old, fresh])[0]


def test_the_digest_of_the_items_knows_content_and_not_order(items: list[GoldItem]) -> None:
    digest = items_digest(item_digests(items))
    assert items_digest(item_digests(items[::-1])) == digest
    changed = [items[0].model_copy(update={"expected": "other"}), *items[1:]]
    assert items_digest(item_digests(changed)) != digest
    assert items_digest(item_digests(items[1:])) != digest


@pytest.mark.parametrize("count", range(1, len(BEST_OF)))
def test_the_largest_of_several_draws_is_as_integrated(count: int) -> None:
    def density(x: float) -> float:
        return float(x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1))

    mean, _ = integrate.quad(density, -10, 10)
    assert BEST_OF[count] == pytest.approx(mean, abs=6e-4)


def test_what_is_overstated_is_told_in_points(tmp_path: Path, items: list[GoldItem], said: Answers) -> None:
    ledger = tmp_path / "releases.jsonl"
    results = score_answers(items, [said(item, item.expected) for item in items])
    looks = [finish_look(ledger, begin_look(ledger, look(items, digit)), results, ["known"]) for digit in "ab"]
    text = describe_look(looks[1], looks)
    headline = looks[1].headline
    assert headline is not None
    assert headline.low is not None
    assert headline.high is not None
    points = math.floor(100 * BEST_OF[2] * (headline.high - headline.low) / (2 * 1.96) + 0.5)
    assert f"up to {points} points" in text
    assert "headline     6   1.00" in text


def test_rows_are_one_json_object_a_line(tmp_path: Path, items: list[GoldItem]) -> None:
    ledger = tmp_path / "releases.jsonl"
    for _ in range(2):
        begin_look(ledger, look(items))
    rows = [json.loads(row) for row in ledger.read_text().splitlines()]
    assert all(one["look"] + 1 == other["look"] for one, other in itertools.pairwise(rows))
