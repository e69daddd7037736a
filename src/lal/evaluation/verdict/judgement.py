"""What the gate says: each condition with its outcome, and all of them as one verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lal.evaluation.scores.scoreboard import metric_key
from lal.evaluation.statistics.paired import Difference

Outcome = Literal["met", "unmet", "cannot tell", "no champion"]

Required = Literal["shown", "not_refuted", "observed", False]


@dataclass(frozen=True)
class Judgement:
    """One condition, one slice: what came out.

    Attributes:
        metric: As in params.yaml.
        slice: The slice; `each` only where there was none to look at.
        against: `champion`, a solver, `best baseline (rules)`, or the number.
        margin: How much worse still counts as no worse.
        required: What the outcome is worth; see `lal.params.Condition`.
        outcome: met, unmet, cannot tell; `no champion` where there is none to compare with.
        sentence: The same with its numbers, or what is missing and what to do about it.
        is_floor: Whether it stands against a number.
        value: The model's score on the items that were compared.
        limit: The other's score on the same items, or the number.
        difference: Value less limit, turned so that more is better; None if nothing was compared.
        confidence: That of its interval: 0.95 for all comparisons of the gate together is more for each.
        noise_units: The difference in standard deviations between two trainings that differ in the seed alone.
    """

    metric: str
    slice: str
    against: str
    margin: float
    required: Required
    outcome: Outcome
    sentence: str
    is_floor: bool
    value: float | None = None
    limit: float | None = None
    difference: Difference | None = None
    confidence: float | None = None
    noise_units: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it lets the model through."""
        if self.required is False or self.outcome in ("met", "no champion"):
            return True
        return self.outcome == "cannot tell" and self.required == "not_refuted"

    @property
    def name(self) -> str:
        """`exact on keep against 0.95`."""
        return f"{self.metric} on {self.slice} against {self.against}"

    @property
    def key(self) -> str:
        """The name as metrics tools take it, whichever baseline is the best: `exact_headline_best_baseline`."""
        return metric_key(f"{self.metric} {self.slice} {self.against.partition(' (')[0]}")

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON; numbers to six digits, so that the file is the same on every computer."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in TEXTS} | {"passed": self.passed}
        numbers = {"value": self.value, "limit": self.limit, "confidence": self.confidence}
        if self.difference:
            numbers |= {"difference": self.difference.value, "low": self.difference.low, "high": self.difference.high}
            shown["num_pairs"] = self.difference.num_pairs
        return shown | {key: round(value, 6) for key, value in numbers.items() if value is not None}


TEXTS = ("metric", "slice", "against", "margin", "required", "outcome", "sentence")


@dataclass(frozen=True)
class GateVerdict:
    """All conditions, and whether the model may take the champion's place."""

    conditions: tuple[Judgement, ...]

    @property
    def required(self) -> tuple[Judgement, ...]:
        """Those that decide."""
        return tuple(condition for condition in self.conditions if condition.required is not False)

    @property
    def failed(self) -> tuple[Judgement, ...]:
        """Those that keep the model out."""
        return tuple(condition for condition in self.required if not condition.passed)

    @property
    def passed(self) -> bool:
        """True if every required condition lets the model through."""
        return not self.failed

    @property
    def sentence(self) -> str:
        """The verdict in plain words, doubts included."""
        if not self.required:
            return "Gate passed: params.yaml requires nothing of a model (gate.conditions)."
        if self.failed:
            names = "; ".join(condition.name for condition in self.failed)
            verb = "fails" if len(self.failed) == 1 else "fail"
            return f"Gate NOT passed: {len(self.failed)} of {len(self.required)} required conditions {verb}: {names}."
        doubts = sum(condition.outcome == "cannot tell" for condition in self.required)
        absent = sum(condition.outcome == "no champion" for condition in self.required)
        more = [f"{doubts} cannot tell, which they allow"] if doubts else []
        more += [f"{absent} wait for a first champion"] if absent else []
        told = f" ({', '.join(more)})" if more else ""
        return f"Gate passed: none of {_counted(len(self.required), 'required condition')} fails{told}."

    @property
    def lines(self) -> list[str]:
        """The verdict for a terminal: the sentence, then a line a condition."""
        return [self.sentence, *(f"  [{mark(each)}] {each.sentence}" for each in self.conditions)]

    def as_json(self) -> dict[str, Any]:
        """metrics/gate.json: numbers where metrics tools look, words in lists, which they pass over."""
        numbers: dict[str, Any] = {}
        for condition in self.conditions:
            numbers[condition.key] = {"passed": int(condition.passed)}
            if condition.difference:
                ends = {name: getattr(condition.difference, name) for name in ("value", "low", "high")}
                numbers[condition.key] |= {name: round(value, 4) for name, value in ends.items()}
        return {
            "passed": int(self.passed),
            "num_required": len(self.required),
            "num_failed": len(self.failed),
            "num_cannot_tell": sum(condition.outcome == "cannot tell" for condition in self.required),
            "condition": numbers,
            "verdict": [self.sentence],
            "conditions": [condition.as_json() for condition in self.conditions],
        }


def mark(condition: Judgement) -> str:
    """One word for a narrow column: `met`, `FAILS`, `cannot tell`, `no champion`; `told` before what never decides."""
    word = "FAILS" if not condition.passed else condition.outcome
    return f"told: {word}" if condition.required is False else word


def gate_json(verdict: GateVerdict, digests: Mapping[str, str]) -> dict[str, Any]:
    """The whole of metrics/gate.json: the verdict and what it is about."""
    return verdict.as_json() | {"marks": [mark(each) for each in verdict.conditions], "digests": [dict(digests)]}


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
