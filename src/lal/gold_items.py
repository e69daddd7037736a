"""What an evaluation is made of: gold items, answers to them, scores of the answers.

Apart from `lal.records`, so that a change here trains nothing anew.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lal.records import Id, Many, Message, Record, check_turns


class SecondReading(Record):
    """What a reader found who had not seen the first one's answer."""

    reader: Annotated[str, Field(min_length=1)]
    """Who read: a person's name or initials, or the kind of program."""
    on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    outcome: Literal["agrees", "upheld", "corrected", "alternative added", "disputed"]
    """agrees: the reader wrote the expected answer or one of its alternatives. upheld: another one, by a slip or
    against a rule of gold/README.md: the first stays. disputed: no agreement; the item carries both, or should go."""


class GoldItem(Record):
    """A hand-verified question with its expected answer; see gold/README.md.

    Items scored by `exact` carry `expected` (and `alternatives`, equally right); items scored by `checks` carry what
    the answer must and must not contain. Neither carries what its scorer would not look at.
    """

    id: Id
    slice: Annotated[str, Field(min_length=1)]
    subslice: str = ""
    messages: Many[Message]
    scorer: Literal["exact", "checks"]
    expected: str = ""
    alternatives: Many[str] = ()
    must_contain: Many[str] = ()
    """Each entry is one or several wordings separated by `|`; one of them must occur, case ignored."""
    must_not_contain: Many[str] = ()
    difficulty: Literal["easy", "medium", "hard"]
    source: str
    """Where the item is from, e.g. `macbeth`; shown, and no part of any score."""
    split: Literal["dev", "sealed"]
    """dev: looked at while developing. sealed: scored by `lal release` alone, each look on record."""
    version: Annotated[int, Field(ge=1)]
    """Version of the gold set in which the item took its present form."""
    provenance: str = ""
    """How it came into the gold set, e.g. `drawn from aligned lines, 2026-11`."""
    second_reading: SecondReading | None = None
    note: str = ""

    @model_validator(mode="after")
    def _can_be_scored(self) -> "GoldItem":
        check_turns(self.messages, last="user")
        answered, checked = self.expected or self.alternatives, self.must_contain or self.must_not_contain
        if self.scorer == "exact" and not self.expected:
            raise ValueError("scorer 'exact' needs a non-empty 'expected'")
        if self.scorer == "exact" and checked:
            raise ValueError("scorer 'exact' does not look at 'must_contain' and 'must_not_contain': take them out")
        if self.scorer == "checks" and not checked:
            raise ValueError("scorer 'checks' needs 'must_contain' or 'must_not_contain'")
        if self.scorer == "checks" and answered:
            raise ValueError("scorer 'checks' does not look at 'expected' and 'alternatives': take them out")
        return self

    @property
    def prompt(self) -> str:
        """The last user message."""
        return self.messages[-1].content


class Answer(Record):
    """What a solver (a model or a baseline) said to a gold item."""

    item_id: Id
    solver: str
    text: str
    finish_reason: Literal["stop", "length", "error"]
    """stop: ended by itself. length: ran into the limit. error: no answer; `text` is empty."""
    num_tokens: int
    seconds: float


class Score(Record):
    """One scorer's verdict on one answer; `value` None means not scored, which is not zero."""

    item_id: Id
    solver: str
    scorer: str
    value: float | None
    explanation: str = ""
