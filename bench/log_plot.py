"""Curves on logarithmic axes as a small SVG, drawn by hand: a panel each, points, the fitted line and its exponent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

PANEL_WIDTH, PANEL_HEIGHT = 300, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 44
COLUMNS = 3


@dataclass(frozen=True)
class Curve:
    """What something costs at several sizes.

    Attributes:
        name: What costs.
        size: What the sizes count.
        cost: What the costs count.
        points: (size, cost) of each measurement, both above 0, ascending.
    """

    name: str
    size: str
    cost: str
    points: tuple[tuple[float, float], ...]

    @property
    def exponent(self) -> float:
        """Slope of the straight line through the logarithms that fits best: 1 is twice the cost at twice the size."""
        return self._line[0]

    def fitted(self, size: float) -> float:
        """The cost at a size on that line."""
        slope, intercept = self._line
        return math.exp(intercept + slope * math.log(size))

    @property
    def _line(self) -> tuple[float, float]:
        sizes, costs = np.log(np.array(self.points)).T
        slope, intercept = np.polyfit(sizes, costs, 1)
        return float(slope), float(intercept)


def draw(curves: Sequence[Curve], caption: str) -> str:
    """The curves as the text of an SVG file.

    Args:
        curves: A panel each.
        caption: Stands below, for instance the machine.
    """
    rows = -(-len(curves) // COLUMNS)
    width, height = COLUMNS * PANEL_WIDTH, rows * PANEL_HEIGHT + 24
    panels = [
        f'<g transform="translate({place % COLUMNS * PANEL_WIDTH} {place // COLUMNS * PANEL_HEIGHT})">'
        f"{_panel(curve)}</g>"
        for place, curve in enumerate(curves)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="11" fill="#333">',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *panels,
            f'<text x="{LEFT}" y="{height - 8}" font-size="9" fill="#777">{escape(caption)}</text>',
            "</svg>\n",
        ]
    )


def short(number: float) -> str:
    """Three digits.

    Example:
        >>> [short(number) for number in (935_296, 1_040_000, 0.1337, 64)]
        ['935k', '1.04M', '0.134', '64']
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _panel(curve: Curve) -> str:
    sizes, costs = zip(*curve.points, strict=True)
    across = _Axis(min(sizes), max(sizes), LEFT, PANEL_WIDTH - RIGHT)
    up = _Axis(min(costs), max(costs), PANEL_HEIGHT - BOTTOM, TOP)
    bottom, middle = PANEL_HEIGHT - BOTTOM, (LEFT + PANEL_WIDTH - RIGHT) / 2
    parts = [
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(curve.name)}</text>',
        f'<text x="{LEFT}" y="32" fill="#b03030">exponent {curve.exponent:.2f}</text>',
        f'<path d="M{LEFT} {TOP}V{bottom}H{PANEL_WIDTH - RIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{middle:.0f}" y="{bottom + 34}" text-anchor="middle">{escape(curve.size)}</text>',
        f'<text transform="translate(12 {(TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(curve.cost)}</text>",
    ]
    for tick in across.ticks:
        x = across.place(tick)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom + 4}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{short(tick)}</text>')
    for tick in up.ticks:
        y = up.place(tick)
        parts.append(f'<path d="M{LEFT - 4} {y:.1f}H{PANEL_WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    ends = [f"{across.place(size):.1f} {up.place(curve.fitted(size)):.1f}" for size in (min(sizes), max(sizes))]
    parts.append(f'<path d="M{ends[0]}L{ends[1]}" stroke="#b03030"/>')
    parts += [f'<circle cx="{across.place(x):.1f}" cy="{up.place(y):.1f}" r="3"/>' for x, y in curve.points]
    return "".join(parts)


class _Axis:
    """A logarithmic scale from a little below the least to a little above the most.

    Args:
        least: Smallest value to show.
        most: Largest.
        start: Place of the lower end in the picture.
        end: Of the upper end.
    """

    def __init__(self, least: float, most: float, start: float, end: float) -> None:
        room = max(0.1 * math.log(most / least), 0.4)  # nearly equal costs are not spread over the whole height
        self._low, self._high = math.log(least) - room, math.log(most) + room
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Where a value stands in the picture."""
        share = (math.log(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        """Powers of ten and, unless there are many, their doubles and fivefolds."""
        decades = range(math.floor(self._low / math.log(10)), math.ceil(self._high / math.log(10)) + 1)
        steps = (1, 2, 5) if self._high - self._low < math.log(400) else (1,)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in ticks if self._low <= math.log(tick) <= self._high]
