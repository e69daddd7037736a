import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lal.evaluation.report.page import render_report, write_report
from lal.evaluation.report.parts import proof, source_marked, strip
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.statistics.intervals import Estimate
from lal.gold_items import Answer, GoldItem

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> \" ' &"
VOID = {"meta", "input", "line", "br"}


class Outline(HTMLParser):
    """Demands that every tag is closed in order; remembers tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    assert parser.open == []
    return parser


@pytest.fixture
def results(line: Items, question: Items, said: Answers) -> list[Result]:
    """Ten lines, eight of which lal gets wrong, and a question; the texts try to break out of the page."""
    items = [line(f"g{i}", f"haue {i} {EVIL}", f"have {i} {EVIL}", source=f"play{i % 2}") for i in range(10)]
    persona = question("p<b>", f"Who are you? {EVIL}", "Lal", must_not_contain=("Chat",))
    answers = [said(item, f"haue {i} {EVIL}", "copy") for i, item in enumerate(items)]
    answers += [said(item, f"have {i} {EVIL}" if i < 2 else f"hath {EVIL}") for i, item in enumerate(items)]
    return score_answers([*items, persona], [*answers, said(persona, f"Chat {EVIL}")])


def test_the_page_is_well_formed_and_loads_nothing(results: list[Result]) -> None:
    html = render_report(results, ["known"], "lal")
    page = outline(html)
    assert not [attributes for _, attributes in page.seen if {"src", "srcset"} & attributes.keys()]
    assert {tag for tag, _ in page.seen} & {"link", "img", "iframe", "object"} == set()
    assert [a["href"] for tag, a in page.seen if tag == "a" and not (a["href"] or "").startswith("#")] == []
    assert "http://" not in html
    assert "https://" not in html


def test_nothing_that_a_model_says_becomes_markup(results: list[Result]) -> None:
    html = render_report(results, ["known"], "lal")
    assert [tag for tag, _ in outline(html).seen].count("script") == 1
    assert "alert(1)</script>" not in html
    assert "&lt;script&gt;" in html


def test_only_the_pages_own_script_may_run(results: list[Result]) -> None:
    html = render_report(results, ["known"], "lal")
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[A-Za-z0-9+/=]{44}'", html)


def test_links_within_the_page_lead_somewhere(results: list[Result]) -> None:
    for some in (results, [result for result in results if result.solver == "copy"]):
        page = outline(render_report(some, ["known"], "lal"))
        links = [(a["href"] or "")[1:] for tag, a in page.seen if tag == "a"]
        assert "shares" in links
        assert set(links) <= {attributes.get("id") for _, attributes in page.seen}


def test_the_first_sentence_says_how_it_stands(results: list[Result]) -> None:
    html = render_report(results, ["known"], "lal")
    assert "<h1>Lal gets 20 of 100 right; the best of the others, copy, gets 0.</h1>" in html
    assert "these items cannot tell the two apart" in html


def test_the_evidence_is_of_the_headline_slices_alone(line: Items, said: Answers) -> None:
    items = [line(f"k{i}", "haue", "have") for i in range(6)]
    items += [line(f"s{i}", "haue", "have", slice="side") for i in range(9)]
    answers = [said(item, "haue", "copy") for item in items] + [said(item, "have") for item in items]
    html = render_report(score_answers(items, answers), ["known"], "lal")
    assert "On them it gets 6 right that the other gets wrong, and 0 wrong" in html
    assert "Item by item it is better, by more than chance explains" in html


def test_failures_beyond_the_first_few_are_folded_away_but_there(results: list[Result]) -> None:
    html = render_report(results, ["known"], "lal")
    assert "8 of 10 wrong" in html
    assert "2 more of known" in html


def test_a_report_without_a_rival_or_a_model_can_be_made(results: list[Result]) -> None:
    alone = [result for result in results if result.solver == "lal"]
    assert "<h1>Lal gets 20 of 100 right.</h1>" in render_report(alone, ["known"], "lal")
    outline(render_report([result for result in results if result.solver == "copy"], ["known"], "lal"))
    outline(render_report(alone, ["nowhere"], "lal"))


def test_the_report_is_the_same_each_time(tmp_path: Path, results: list[Result]) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, results, ["known"], "lal")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_proof_strikes_out_what_is_wrong_and_puts_in_what_belongs_there() -> None:
    assert proof("I haue < a horse", "I have < a horse!") == (
        "I <del>haue</del><ins>have</ins> &lt; a horse<ins>!</ins>"
    )


def test_words_that_have_to_change_are_marked_in_the_source() -> None:
    assert source_marked("Haue no Horse", "Have no Horse") == "<mark>Haue</mark> no Horse"


def test_a_strip_is_drawn_within_its_line_and_read_aloud() -> None:
    html = strip(Estimate(0.5, -0.1, 1.2, 9), "known")
    assert 'x1="2.0" x2="98.0"' in html
    assert 'aria-label="known: 0.50, 95 % interval' in html
    assert strip(Estimate(None, None, None, 0), "known") == ""
