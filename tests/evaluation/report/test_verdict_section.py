"""The section `verdict` of the report: well-formed, told by signs as well as colour, losses as loud as wins."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from lal.evaluation.report.verdict import difference_strip, verdict_section
from lal.evaluation.statistics.paired import Difference
from lal.evaluation.verdict.judgement import GateVerdict, Judgement

EVIL = '<script>alert(1)</script> & "'
VOID = {"line", "br"}


class Outline(HTMLParser):
    """Demands that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def judged() -> Callable[..., Judgement]:
    """Makes a condition with its outcome."""

    def make(outcome: Any, **changes: Any) -> Judgement:
        values: dict[str, Any] = {
            "metric": "exact",
            "slice": f"known {EVIL}",
            "against": "champion",
            "margin": 0.02,
            "required": "not_refuted",
            "outcome": outcome,
            "sentence": f"exact on known: told {EVIL}",
            "is_floor": False,
            "value": 0.8,
            "limit": 0.7,
            "difference": Difference(0.1, -0.02, 0.22, 0.1, 60),
            "confidence": 0.99,
        }
        return Judgement(**(values | changes))

    return make


def test_it_is_well_formed_and_nothing_in_it_becomes_markup(judged: Callable[..., Judgement]) -> None:
    verdict = GateVerdict((judged("met"), judged("unmet"), judged("unmet", difference=None, value=None)))
    html = verdict_section(verdict, None, None)
    page = Outline()
    page.feed(html)
    assert page.open == []
    assert "script" not in page.tags
    assert "&lt;script&gt;" in html


def test_every_outcome_has_a_word_and_a_sign(judged: Callable[..., Judgement]) -> None:
    outcomes = [judged("met"), judged("unmet"), judged("cannot tell"), judged("no champion", difference=None)]
    html = verdict_section(GateVerdict((*outcomes, judged("cannot tell", required="shown"))), None, None)
    for words in (
        "\N{CHECK MARK} met",
        "\N{MULTIPLICATION X} not met",
        "? cannot tell: allowed",
        "\N{EN DASH} no champion yet",
        "\N{MULTIPLICATION X} not shown: cannot tell",
    ):
        assert f"{words}</span>" in html


def test_required_informative_margin_and_noise_are_told(judged: Callable[..., Judgement]) -> None:
    told = judged("unmet", required=False, noise_units=1.23)
    floor = judged("met", is_floor=True, against="0.95", margin=0.0)
    ceiling = judged("met", is_floor=True, against="0.1", metric="character_error_rate")
    html = verdict_section(GateVerdict((told, floor, ceiling)), None, None)
    assert "told, never decides" in html
    assert "against champion, margin 0.02" in html
    assert "at least 0.95;" in html
    assert "at most 0.1, margin 0.02" in html
    assert "1.2 units of seed noise" in html
    assert "Gate passed" in html


def test_a_gate_without_conditions_has_no_empty_table() -> None:
    assert "<table" not in verdict_section(GateVerdict(()), None, None)


def test_a_strip_is_drawn_around_its_middle_and_read_aloud() -> None:
    html = difference_strip(Difference(0.1, -0.3, 0.2, 0.5, 9), 0.2, "known")
    assert 'class="range" x1="2.0" x2="98.0"' in html
    assert 'class="dot" x1="74.0"' in html
    assert 'aria-label="known: \N{MINUS SIGN}0.300 to +0.200"' in html
