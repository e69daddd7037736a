"""What a finished run's curve says, in a word, with its evidence and the next thing to try.

A pure function of the curve and a few facts. What a curve can show is limited: the rate falls to 0 over the end of
every run, which bends each curve flat, so "still improving" is judged over its last quarter, not at its end. Divergence
to what is no number ends a run before it gets here, with an error that names the same remedy (`lal.train.loop`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Finding = Literal[
    "diverged", "too small a corpus", "overfitting", "still improving", "plateau", "healthy", "cannot tell"
]

Rows = Sequence[Mapping[str, float]]

FEWEST_ROWS = 4
"""Validations below which a curve has no shape."""

DIVERGED_RISE = 1.05
"""Both losses end this much above their lowest: the rate has thrown the weights back. Noise of single validations was
below 1.02 on TinyShakespeare."""

OVERFITTED_RISE = 1.02
"""The validation loss ends this much above its lowest while the training loss went on falling."""

SINCE_BEST = 2
"""And at least so many validations lie behind the lowest: one alone may be chance."""

MANY_EPOCHS = 16
"""Beyond, a further pass over the same text brings less than half of what new text would.

Source: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", https://arxiv.org/abs/2305.16264: repeats
    are worth as much as new text up to 4 epochs, and lose their worth with a constant of about 15.
"""

WIDE_GAP = 1.15
"""Validation over training loss from which many epochs are told apart from a text that is merely easy. A run of 5
epochs over TinyShakespeare ends at 1.23."""

IMPROVING = 0.01
"""Share of the validation loss that the last quarter of the steps must bring to call a run unfinished: a run of 1,200
steps brought 0.025, and one of four times its length did end lower."""


@dataclass(frozen=True)
class Facts:
    """What the curve does not show.

    Attributes:
        section: Of params.yaml, `pretrain` or `sft`.
        parameters: Of the model.
        epochs: Passes over the training data.
        num_targets: Tokens learned from in one pass.
    """

    section: str
    parameters: int
    epochs: float
    num_targets: int


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        finding: In a word.
        evidence: The numbers that say so, as a sentence.
        next: The next thing to try, by the name of its knob, as a sentence.
    """

    finding: Finding
    evidence: str
    next: str

    def metrics(self) -> dict[str, str]:
        """As metrics/<stage>.json has it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.finding}: {self.evidence}. Next: {self.next}"


def diagnose(rows: Rows, facts: Facts) -> Diagnosis:
    """The first finding that holds, the worst first.

    Args:
        rows: The curve, see `lal.train.fit.Row`.
        facts: What it does not show.
    """
    for finding in (_too_few, _diverged, _memorised, _improving):
        if found := finding(rows, facts):
            return found
    return _settled(rows, facts)


def _too_few(rows: Rows, facts: Facts) -> Diagnosis | None:
    if len(rows) >= FEWEST_ROWS:
        return None
    evidence = f"{_count(len(rows), 'validation')}, where a curve needs {FEWEST_ROWS}"
    return Diagnosis("cannot tell", evidence, f"lower {facts.section}.validate_every")


def _diverged(rows: Rows, facts: Facts) -> Diagnosis | None:
    lowest = {name: min(row[name] for row in rows) for name in ("train_loss", "validation_loss")}
    last = rows[-1]
    if not all(last[name] > DIVERGED_RISE * low for name, low in lowest.items()):
        return None
    evidence = (
        f"both losses ended above their lowest: training {last['train_loss']:.3f} after {lowest['train_loss']:.3f}, "
        f"validation {last['validation_loss']:.3f} after {lowest['validation_loss']:.3f}"
    )
    what = f"lower {facts.section}.learning_rate, or raise {facts.section}.warmup_fraction"
    return Diagnosis("diverged", evidence, what)


def _memorised(rows: Rows, facts: Facts) -> Diagnosis | None:
    """Overfitting, and its cause where that is plain: so many passes that the text can only be learned by heart."""
    place = min(range(len(rows)), key=lambda number: rows[number]["validation_loss"])
    best, last = rows[place], rows[-1]
    rose = (
        last["validation_loss"] > OVERFITTED_RISE * best["validation_loss"]
        and len(rows) - 1 - place >= SINCE_BEST
        and last["train_loss"] < best["train_loss"]
    )
    gap = last["validation_loss"] / last["train_loss"]
    is_small = facts.epochs > MANY_EPOCHS and gap > WIDE_GAP
    if not (rose or is_small):
        return None
    told = [f"validation was lowest at step {best['step']:,.0f} ({best['validation_loss']:.3f})"]
    told.append(f"ended at {last['validation_loss']:.3f} while training fell to {last['train_loss']:.3f}")
    size = f"{facts.num_targets / facts.parameters:.2g} different tokens a parameter"
    evidence = f"{', '.join(told)}; {facts.epochs:.1f} passes over the data, {size}"
    if is_small:
        return Diagnosis(
            "too small a corpus", evidence, f"{_more_data(facts)}; {_shorter(facts, best['step'])} meanwhile"
        )
    return Diagnosis(
        "overfitting",
        evidence,
        f"{_shorter(facts, best['step'])}, more {facts.section}.weight_decay, a smaller model.size, "
        f"or {_more_data(facts)}",
    )


def _improving(rows: Rows, facts: Facts) -> Diagnosis | None:
    gain, since = _last_gain(rows)
    lowest = min(row["validation_loss"] for row in rows)
    if gain < IMPROVING or rows[-1]["validation_loss"] > OVERFITTED_RISE * lowest:
        return None
    evidence = (
        f"validation fell by {gain:.1%} since step {since:,.0f}, to {rows[-1]['validation_loss']:.4g}; "
        f"{facts.epochs:.1f} passes over the data"
    )
    return Diagnosis("still improving", evidence, f"raise {_duration(facts)}")


def _settled(rows: Rows, facts: Facts) -> Diagnosis:
    """Nothing moves any more: fine if the model knows its training data better than others, else it is too small."""
    gain, since = _last_gain(rows)
    gap = rows[-1]["validation_loss"] / rows[-1]["train_loss"]
    evidence = f"validation moved by {abs(gain):.1%} since step {since:,.0f}, and stands at {gap:.2f} times training"
    if gap > WIDE_GAP:
        return Diagnosis("healthy", evidence, f"more would need more text: {_more_data(facts)}")
    what = "a larger model.size" if facts.section == "pretrain" else "a better base: pretrain.steps or model.size"
    return Diagnosis("plateau", evidence, f"{what}, or another {facts.section}.learning_rate")


def _last_gain(rows: Rows) -> tuple[float, float]:
    """Share of the validation loss that the last quarter of the steps brought, and the step where that begins."""
    end = rows[-1]["step"]
    before = max((row for row in rows[:-1] if row["step"] <= 0.75 * end), key=lambda row: row["step"], default=rows[0])
    return 1 - rows[-1]["validation_loss"] / before["validation_loss"], before["step"]


def _duration(facts: Facts) -> str:
    return "pretrain.steps" if facts.section == "pretrain" else "sft.epochs"


def _shorter(facts: Facts, best_step: float) -> str:
    place = f" to about {best_step:,.0f}" if facts.section == "pretrain" else ""
    return f"lower {_duration(facts)}{place}"


def _more_data(facts: Facts) -> str:
    return "more text in data.corpus" if facts.section == "pretrain" else "more data.conversations"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
