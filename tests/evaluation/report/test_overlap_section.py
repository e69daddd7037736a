"""The section on overlaps: the scores with and without them, recomputed here by hand."""

import re
from collections.abc import Callable
from html import unescape

import pytest

from lal.data.overlap_list import ListedOverlap
from lal.evaluation.report.overlap import overlap_section
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


@pytest.fixture
def results(line: Items, said: Answers) -> list[Result]:
    """8 lines of `known`, of which lal has the first 6 and copy the last 4, and 4 of `keep`, all right."""
    known = [line(f"k{n}", f"haue {n}", f"have {n}") for n in range(8)]
    keep = [line(f"p{n}", f"good {n}", f"good {n}", slice="keep") for n in range(4)]
    answers = [said(item, item.expected if n < 6 else "no") for n, item in enumerate(known)]
    answers += [said(item, item.expected if n >= 4 else "no", "copy") for n, item in enumerate(known)]
    answers += [said(item, item.expected, solver) for item in keep for solver in ("lal", "copy")]
    return score_answers([*known, *keep], answers)


def listed(identity: str, text: str = "haue it", split: str = "dev") -> ListedOverlap:
    return ListedOverlap.model_validate(
        {
            "item_id": identity, "split": split, "share": 0.55, "method": "letter sequences",
            "gold_place": f"gold/gold.jsonl:{identity}", "gold_text": text, "place": "data/train.jsonl:7",
            "training_text": f"{text} <b>so</b>", "num_places": 3,
        }
    )  # fmt: skip


def cells(html: str, row: str) -> list[str]:
    """The shares of a row, in the order of the columns."""
    (found,) = re.findall(rf'<tr[^>]*><th scope="row">{row}<.*?</tr>', html)
    return re.findall(r"<b>([\d.]+)</b>", found)


def test_scores_stand_side_by_side_with_and_without_the_overlaps(results: list[Result]) -> None:
    html = overlap_section(results, [listed("k0"), listed("k1"), listed("k7")], ["known", "keep"], "lal")
    assert cells(html, "known") == ["0.75", "0.80", "0.50", "0.60"]  # lal 6/8, 4/5; copy 4/8, 3/5
    assert cells(html, "headline") == ["0.88", "0.90", "0.75", "0.80"]
    assert "3 left out" in html
    assert '"row">keep' not in html
    assert "3 of 12 items" in html


def test_each_overlap_is_listed_with_both_places_and_escaped(results: list[Result]) -> None:
    html = overlap_section(results, [listed("k7")], ["known"], "lal")
    for words in (
        "gold/gold.jsonl:k7",
        "data/train.jsonl:7, and 2 more",
        "haue it &lt;b&gt;so&lt;/b&gt;",
        "k7: 55 % of its",
    ):
        assert words in html
    assert "<b>so" not in html
    assert "wrong" in html


def test_a_slice_of_overlaps_alone_has_no_score_without_them(results: list[Result]) -> None:
    html = overlap_section(results, [listed(f"p{n}") for n in range(4)], ["known", "keep"], "lal")
    assert cells(html, "keep") == ["1.00", "1.00"]
    assert cells(html, "headline") == ["0.88", "0.75"]
    assert html.count("\N{EN DASH}") >= 4


def test_sealed_items_are_counted_and_not_shown(results: list[Result]) -> None:
    html = unescape(overlap_section(results, [listed("s1", "a sealed text", "sealed")], ["known"], "lal"))
    assert "So does 1 of the sealed items" in html
    assert "a sealed text" not in html
    assert "<table" not in html


def test_without_overlaps_the_section_says_so(results: list[Result]) -> None:
    html = overlap_section(results, [], ["known"], "lal")
    assert html.startswith('<section id="overlap">')
    assert "None of 12 items" in html
