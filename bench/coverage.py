"""How often the intervals hold the truth: the table of docs/decisions/0007. `python -m bench.coverage`, four minutes.

Passes and Wilson's shares exactly, by summing over all outcomes; means of slices and graded scores by simulation.
"""

import math
import sys
from collections.abc import Callable
from functools import cache

import numpy as np

from lal.evaluation.statistics import bootstrap, paired
from lal.evaluation.statistics.bootstrap import Array, mean_interval
from lal.evaluation.statistics.intervals import CONFIDENCE_Z, wilson
from lal.evaluation.statistics.paired import difference_in_passes, macro_difference

COUNTS = (20, 50, 100, 300, 600)
ROUNDS = 1500

GRADED: dict[str, tuple[float, list[float]]] = {
    "8 % differ, all up": (0.08, [0.1, 0.125, 0.14, 0.2]),
    "8 % differ, both ways": (0.08, [0.1, 0.2, 0.5, -0.1]),
    "30 % differ": (0.3, [0.1, 0.125, 0.2, 0.33, -0.1]),
    "all differ, skewed": (1.0, [float(-math.log(1 - (k + 0.5) / 40)) for k in range(40)]),
}
"""Name -> share of items that differ, and by how much; the first three are what two word lists do to word accuracy."""

Interval = Callable[[int, int, int], tuple[float, float]]


@cache
def tango(fixed: int, broken: int, count: int) -> tuple[float, float]:
    """The interval Lal uses."""
    found = difference_in_passes(fixed, broken, count)
    return found.low, found.high


def wald(fixed: float, broken: float, count: float) -> tuple[float, float]:
    """The textbook's."""
    value = (fixed - broken) / count
    half = CONFIDENCE_Z * math.sqrt(max(0.0, fixed + broken - (fixed - broken) ** 2 / count)) / count
    return value - half, value + half


def bonett_price(fixed: int, broken: int, count: int) -> tuple[float, float]:
    """The textbook's with a pseudo-item either way."""
    return wald(fixed + 1, broken + 1, count + 2)


def chances(count: int, up: float, down: float) -> list[tuple[int, int, float]]:
    """The outcomes (fixed, broken) that are not next to impossible, with their chances."""
    most = min(count, int(count * max(up, down) + 7 * math.sqrt(count * max(up, down)) + 5))
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    found = []
    for fixed in range(most + 1):
        for broken in range(min(most, count - fixed) + 1):
            rest = count - fixed - broken
            log = logs[count] - logs[fixed] - logs[broken] - logs[rest]
            log += fixed * math.log(up) + broken * math.log(down) + rest * math.log(1 - up - down)
            if log > math.log(1e-8):
                found.append((fixed, broken, math.exp(log)))
    return found


def passes(count: int) -> None:
    """Prints a line for each interval: mean and range over twelve truths, and over those with 10 flips or more."""
    methods: dict[str, Interval] = {"tango": tango, "wald": wald, "bonett-price": bonett_price}
    held: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for discordance in (0.05, 0.1, 0.2, 0.3):
        for share in (0.0, 0.25, 0.5):
            true = share * discordance
            outcomes = chances(count, (discordance + true) / 2, (discordance - true) / 2)
            for name, interval in methods.items():
                total = 0.0
                for fixed, broken, chance in outcomes:
                    low, high = interval(fixed, broken, count)
                    total += chance * (low - 1e-12 <= true <= high + 1e-12)
                held[name].append((count * discordance, total))
    for name, found in held.items():
        enough = [each for flips, each in found if flips >= 10]
        write(f"n {count:3}  {name:12}  all {told([each for _, each in found])}  10 flips {told(enough)}")


def write(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def told(found: list[float]) -> str:
    """Mean, least and most."""
    return f"{np.mean(found):.3f} [{min(found):.3f}, {max(found):.3f}]" if found else "-"


def shares(count: int) -> None:
    """Prints Wilson's coverage over shares with at least five of either kind."""
    intervals = [wilson(k, count) for k in range(count + 1)]
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    k = np.arange(count + 1)
    found = []
    for share in np.linspace(0.02, 0.98, 193):
        if min(share, 1 - share) * count >= 5 - 1e-9:
            chance = np.exp(
                logs[count] - logs[k] - logs[count - k] + k * np.log(share) + (count - k) * np.log(1 - share)
            )
            found.append(
                float(sum(c for c, (low, high) in zip(chance, intervals, strict=True) if low <= share <= high))
            )
    within = np.mean(np.abs(np.array(found) - 0.95) <= 0.01)
    write(f"n {count:3}  wilson        {told(found)}, within a point: {within:.2f}")


def headline() -> None:
    """Prints the coverage of the difference of two headlines over four slices."""
    generator = np.random.default_rng(0)
    for name, sizes in (("297 items", (63, 76, 101, 57)), ("610 items", (160, 160, 170, 120))):
        for true in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.05, 0.1, -0.02)):
            held = 0
            for _ in range(ROUNDS):
                parts = []
                for count, discordance, difference in zip(sizes, (0.03, 0.2, 0.2, 0.05), true, strict=True):
                    cells = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
                    fixed, broken, _ = generator.multinomial(count, cells)
                    parts.append(difference_in_passes(int(fixed), int(broken), count))
                found = macro_difference(parts)
                held += found.low <= sum(true) / 4 <= found.high
            write(f"headline, {name}, true {sum(true) / 4:+.3f}: {held / ROUNDS:.3f}")


def graded(count: int) -> None:
    """Prints the coverage of the bootstrap for differences of graded scores, beside Student's t as z."""
    generator, weights = np.random.default_rng(count), np.ones(count)
    for name, (share, sizes) in GRADED.items():
        true, held, textbook = share * float(np.mean(sizes)), 0, 0
        for _ in range(ROUNDS):
            values: Array = np.where(generator.random(count) < share, generator.choice(sizes, count), 0.0)
            low, high = mean_interval(values, weights, 0.95)
            held += low <= true <= high
            half = CONFIDENCE_Z * bootstrap.standard_error(values, weights)
            textbook += abs(float(values.mean()) - true) <= half
        write(f"n {count:3}  graded, {name:22} {held / ROUNDS:.3f}   mean and error: {textbook / ROUNDS:.3f}")


def main() -> None:
    """Prints everything."""
    bootstrap.RESAMPLES = 399
    paired.MOST_EXACT_SPLITS, paired.COIN_ROUNDS = 0, 0  # no p-values
    for count in COUNTS:
        passes(count)
        shares(count)
    headline()
    for count in COUNTS:
        graded(count)


if __name__ == "__main__":
    main()
