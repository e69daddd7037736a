"""The law of loss: it finds constants that made the data, says its error honestly, and holds for known runs."""

import numpy as np
import pytest

from lal.advice.forecast import Law, Size, block_parameters, calibrated, fit_law, measure_anchor
from lal.params import Shape

TRUE = Law(0.5, 0.55, 8192.0, (0.8, 60.0, 500.0), 0.0)
SIZES = [
    Size(anchor, parameters, 1_000_000, seen, batch)
    for anchor in (2.0, 2.5)
    for parameters in (100_000, 300_000, 1_000_000)
    for seen, batch in ((300_000.0, 2048.0), (2_000_000.0, 2048.0), (4_000_000.0, 8192.0))
]


def test_the_constants_that_made_the_data_are_found() -> None:
    law = fit_law([(size, TRUE.bits_per_byte(size).likely) for size in SIZES])
    assert (law.alpha, law.beta, law.critical_batch) == (TRUE.alpha, TRUE.beta, TRUE.critical_batch)
    assert law.constants == pytest.approx(TRUE.constants, rel=1e-6)
    assert law.error < 1e-6


def test_a_noisy_past_makes_a_wide_range() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, len(SIZES))
    runs = [(size, TRUE.bits_per_byte(size).likely * (1 + off)) for size, off in zip(SIZES, noise, strict=True)]
    law = fit_law(runs)
    assert law.error > 0.03
    inside = [law.bits_per_byte(size).holds(bits) for size, bits in runs]
    assert sum(inside) >= 14


def test_repeated_text_and_large_batches_are_worth_less() -> None:
    once = Size(2.0, 800_000, 1_000_000, 1e6, 2048.0)
    twice = Size(2.0, 800_000, 1_000_000, 2e6, 2048.0)
    new = Size(2.0, 800_000, 2_000_000, 2e6, 2048.0)
    large = Size(2.0, 800_000, 1_000_000, 1e6, 65536.0)
    assert once.effective_bytes(8192) < twice.effective_bytes(8192) < new.effective_bytes(8192)
    assert large.effective_bytes(8192) < once.effective_bytes(8192)
    forever = Size(2.0, 800_000, 1_000_000, 1e9, 2048.0)
    assert forever.effective_bytes(1e9) == pytest.approx(16.4e6, rel=1e-3)


def test_it_knows_that_a_size_must_fit_the_minutes() -> None:
    # A 192 wide model takes 2.2 times as long: in 30 s it was behind a 128 wide one, in 200 s ahead.
    def bits(parameters: int, steps: int) -> float:
        return calibrated().bits_per_byte(Size(2.2231, parameters, 1_003_854, 2048.0 * steps, 2048.0)).likely

    wide, narrow = (block_parameters(Shape(num_layers=4, num_heads=4, width=w, context_length=256)) for w in (192, 128))
    assert bits(narrow, 800) < bits(wide, 360)
    assert bits(wide, 2400) < bits(narrow, 5000)
    assert calibrated().error < 0.1


def test_a_harder_text_has_a_higher_anchor() -> None:
    easy = b"to be or not to be " * 500
    hard = bytes(np.random.default_rng(0).integers(97, 123, 9000, dtype=np.uint8))
    assert measure_anchor(easy, easy) < 0.5
    assert measure_anchor(hard, hard[::-1]) > 4
