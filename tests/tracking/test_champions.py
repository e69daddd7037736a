"""Which champion a way back leads to, by the log alone."""

from lal.tracking.champions import Turn, succession


def log(*changes: tuple[str, int]) -> list[Turn]:
    return [
        Turn(number, action, version, "2026-11-26", "", "", "", number, done=True)
        for number, (action, version) in enumerate(changes, start=1)
    ]


def held(*changes: tuple[str, int]) -> list[int]:
    return [turn.version for turn in succession(log(*changes))]


def test_each_way_back_takes_one_champion_off() -> None:
    three = [("promote", 1), ("promote", 2), ("promote", 3)]
    assert held() == []
    assert held(*three) == [1, 2, 3]
    assert held(*three, ("rollback", 2)) == [1, 2]
    assert held(*three, ("rollback", 2), ("rollback", 1)) == [1]


def test_after_a_way_back_a_new_champion_stands_on_the_one_that_was_gone_back_to() -> None:
    changes = [("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)]
    assert held(*changes) == [1, 3]


def test_one_that_was_taken_off_can_be_put_on_top_again() -> None:
    assert held(("promote", 1), ("promote", 2), ("rollback", 1), ("rollback", 2)) == [1, 2]


def test_a_champion_promoted_again_is_one_champion() -> None:
    assert held(("promote", 1), ("promote", 1)) == [1]
