"""How often the training lines spell an old word in which modern way: whether a failure is for want of data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lal.evaluation.scores.alignment import words
from lal.records import Conversation, Record, line_to_modernise

Evidence = Literal["never seen", "other readings only", "minority", "majority"]
"""never seen: the old word stands in no training line. other readings only: it does, never with this modern form.
minority: with this form less often than with others. majority: with this form at least half the time."""


class WordPair(Record):
    """An old word, the modern form that was needed, and how often training shows them; all in small letters."""

    old: str
    modern: str
    num_seen: int
    """Times that training has the old word with this modern form."""
    num_old: int
    """Times that training has the old word at all."""

    @property
    def evidence(self) -> Evidence:
        """What training says about the pair."""
        if not self.num_old:
            return "never seen"
        if not self.num_seen:
            return "other readings only"
        return "minority" if 2 * self.num_seen < self.num_old else "majority"


@dataclass(frozen=True)
class WordPairs:
    """The modern forms of each old word in the training lines, with counts, all in small letters."""

    forms: Mapping[str, Counter[str]]

    @classmethod
    def count(cls, rows: Iterable[Conversation]) -> "WordPairs":
        """Counts over the lines to modernise; rows of other tasks count nothing."""
        forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            for old, modern in pairs_of(row):
                forms[old][modern] += 1
        return cls(dict(forms))

    def of(self, old: str, modern: str) -> WordPair:
        """A pair with its counts."""
        seen = self.forms.get(old, Counter())
        return WordPair(old=old, modern=modern, num_seen=seen[modern], num_old=seen.total())


def pairs_of(row: Conversation) -> list[tuple[str, str]]:
    """(old, modern) of each word of a line in small letters; none if it is no line, or its words do not pair off."""
    line = line_to_modernise(row.prompt)
    if line is None:
        return []
    old, modern = words(line.lower()), words(row.answer.lower())
    return list(zip(old, modern, strict=True)) if len(old) == len(modern) else []
