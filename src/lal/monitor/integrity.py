"""Whether a server still answers the gold set with the words that were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from lal.export.opened import Question
from lal.export.served import Served


@dataclass(frozen=True)
class Other:
    """A gold item that is answered in other words."""

    item_id: str
    measured: str
    served: str


@dataclass(frozen=True)
class Integrity:
    """What came of asking.

    Attributes:
        address: Who was asked.
        num_items: How many gold items.
        others: Those with another answer.
    """

    address: str
    num_items: int
    others: tuple[Other, ...]

    @property
    def sentence(self) -> str:
        """What was found, in a sentence."""
        return (
            f"{self.address} answers {self.num_items - len(self.others)} of {self.num_items} gold items as they were "
            "measured."
        )


def ask_gold(address: str, server: Served, questions: Sequence[Question]) -> Integrity:
    """Asks a running server every gold item.

    Raises:
        ExportError: It gives no answer.
    """
    limit = max(1, *(each.measured.num_tokens for each in questions))
    said = server.answers(questions, limit)
    others = [
        Other(each.item.id, each.measured.text, text)
        for each, text in zip(questions, said, strict=True)
        if text != each.measured.text
    ]
    return Integrity(address, len(questions), tuple(others))
