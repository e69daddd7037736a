"""Exponents are those of the curves, and the picture shows every point."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import workload
from bench.log_plot import PANEL_HEIGHT, PANEL_WIDTH, Curve, draw
from bench.scaling import (
    epoch,
    generation_by_context,
    generation_by_size,
    rows_of,
    training_by_context,
    training_by_size,
)

SVG = "{http://www.w3.org/2000/svg}"
SQUARE = Curve("squares", "side", "area", tuple((size, 3 * size**2) for size in (1.0, 4.0, 10.0, 50.0)))


@pytest.fixture(autouse=True)
def params(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "PARAMS", Path(__file__).parents[2] / "params.yaml")


def test_the_exponent_is_the_power_and_the_line_goes_through_the_points() -> None:
    assert SQUARE.exponent == pytest.approx(2)
    assert SQUARE.fitted(7) == pytest.approx(147)


def test_the_picture_has_a_panel_a_curve_and_a_dot_a_point_inside_it() -> None:
    flat = Curve("flat <&>", "size", "cost", ((1e3, 5.0), (1e6, 5.0)))
    root = ET.fromstring(draw([SQUARE, flat], "some machine"))  # noqa: S314  # our own
    panels = root.findall(f"{SVG}g")
    assert [len(panel.findall(f"{SVG}circle")) for panel in panels] == [4, 2]
    for dot in root.iter(f"{SVG}circle"):
        assert 0 < float(dot.attrib["cx"]) < PANEL_WIDTH
        assert 0 < float(dot.attrib["cy"]) < PANEL_HEIGHT
    heights = [float(dot.attrib["cy"]) for dot in panels[0].findall(f"{SVG}circle")]
    assert heights == sorted(heights, reverse=True)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"squares", "exponent 2.00", "flat <&>", "exponent 0.00", "some machine"} <= set(texts)


def test_each_curve_has_a_point_a_size_and_a_cost_above_nothing() -> None:
    curves = [
        training_by_size([32, 64], num_steps=1),
        training_by_context([16, 32], num_steps=1),
        generation_by_size([32, 64], num_tokens=4),
        generation_by_context([16, 32], num_tokens=4),
    ]
    for curve in curves:
        assert len(curve.points) == 2
        assert curve.points[0][0] < curve.points[1][0]
        assert all(cost > 0 for _, cost in curve.points)
    rows = rows_of(curves)
    assert str(rows[1]["from"]).startswith("16 positions: ")


def test_an_epoch_costs_its_tokens() -> None:
    corpus = Curve("stage", "MB", "s", ((1.0, 2.0), (2.0, 4.0)))
    found = epoch(corpus, [500_000, 1_000_000], microseconds_a_token=40)
    assert [cost for _, cost in found.points] == [20, 40]
    assert found.exponent == pytest.approx(1)
