"""Gold items and answers to build tests from."""

from collections.abc import Callable
from typing import Any

import pytest

from lal.gold_items import Answer, GoldItem
from lal.records import MODERNISE_PREFIX, Message


@pytest.fixture
def line() -> Callable[..., GoldItem]:
    """Makes an item that asks to modernise a line."""

    def make(identity: str, old: str, expected: str, **changes: Any) -> GoldItem:
        values: dict[str, Any] = {
            "id": identity,
            "slice": "known",
            "messages": (Message(role="user", content=MODERNISE_PREFIX + old),),
            "scorer": "exact",
            "expected": expected,
            "difficulty": "easy",
            "source": "macbeth",
            "split": "dev",
            "version": 1,
        }
        return GoldItem(**(values | changes))

    return make


@pytest.fixture
def question() -> Callable[..., GoldItem]:
    """Makes an item that is checked for what the answer contains."""

    def make(identity: str, content: str, *must_contain: str, **changes: Any) -> GoldItem:
        values: dict[str, Any] = {
            "id": identity,
            "slice": "persona",
            "messages": (Message(role="user", content=content),),
            "scorer": "checks",
            "must_contain": must_contain,
            "difficulty": "easy",
            "source": "persona",
            "split": "dev",
            "version": 1,
        }
        return GoldItem(**(values | changes))

    return make


@pytest.fixture
def said() -> Callable[..., Answer]:
    """Makes an answer."""

    def make(item: GoldItem, text: str, solver: str = "lal", **changes: Any) -> Answer:
        values: dict[str, Any] = {
            "item_id": item.id,
            "solver": solver,
            "text": text,
            "finish_reason": "stop",
            "num_tokens": 1,
            "seconds": 0.1,
        }
        return Answer(**(values | changes))

    return make
