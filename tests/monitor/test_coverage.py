"""The gold set's blind spots, and which prompt says most of them."""

import numpy as np

from lal.monitor.coverage import MOST_TO_LABEL, find_coverage

GOLD = [f"Modernise: {line}" for line in (
    "Giue me my Armour", "Giue me your hand", "Haue you had quiet Guard", "Haue you my Armour", "Loue is a smoake",
    "Loue me and haue me", "Your hand and your guard", "A smoake of my loue",
)]  # fmt: skip


def test_prompts_like_the_gold_set_are_covered() -> None:
    found = find_coverage(GOLD, GOLD[:4], np.ones(4))
    assert found.uncovered == 0.0
    assert found.to_label == []


def test_foreign_prompts_are_not_and_the_one_that_stands_for_most_comes_first() -> None:
    foreign = [
        "quid pro quo",
        "bitte schreibe mir einen Brief",
        "bitte schreibe einen Brief",
        "bitte schreibe mir Briefe",
    ]
    found = find_coverage(GOLD, [GOLD[0], *foreign], np.array([1.0, 1.0, 2.0, 2.0, 2.0]))
    assert found.uncovered == 7 / 8
    assert found.to_label[0] in (2, 3, 4)
    assert found.stands_for[0] == 3
    assert set(found.to_label) <= {1, 2, 3, 4}
    assert sum(found.stands_for) == 4


def test_ten_at_most() -> None:
    strange = [chr(0x3B1 + number) * 9 for number in range(20)]
    assert len(find_coverage(GOLD, strange, np.ones(20)).to_label) == MOST_TO_LABEL
