"""What `lal plan` foretold, kept until the run that it was about has ended, and what became of it.

.lal/plan.json     the chosen run, what was foretold of it, and the digest of the text it was planned for
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lal.advice.forecast import Range
from lal.errors import DataError
from lal.files import read_json, write_json
from lal.params import Params


@dataclass(frozen=True)
class Prediction:
    """What was foretold of a run.

    Attributes:
        bits_per_byte: On the validation split.
        minutes: Of the stage `pretrain`.
    """

    bits_per_byte: Range
    minutes: Range

    def review(self, bits_per_byte: float, minutes: float | None) -> dict[str, Any]:
        """How good it was, as metrics/pretrain.json has it; errors are shares of what was measured, + is too high.

        Args:
            bits_per_byte: Measured.
            minutes: Measured; None for a run that was interrupted, whose minutes cannot be compared.
        """
        told = [_sentence("bits a byte", self.bits_per_byte, bits_per_byte)]
        review: dict[str, Any] = {
            "bits_per_byte": self.bits_per_byte.likely,
            "bits_per_byte_error": self.bits_per_byte.likely / bits_per_byte - 1,
            "bits_per_byte_inside": int(self.bits_per_byte.holds(bits_per_byte)),
        }
        if minutes is not None:
            told.append(_sentence("minutes", self.minutes, minutes))
            review |= {
                "minutes": self.minutes.likely,
                "minutes_error": self.minutes.likely / minutes - 1,
                "minutes_inside": int(self.minutes.holds(minutes)),
            }
        return review | {"sentence": "; ".join(told)}


def write_prediction(path: Path, params: Params, digest: str, prediction: Prediction) -> None:
    """Keeps what was foretold.

    Args:
        path: .lal/plan.json.
        params: Those it belongs to, proposals put in.
        digest: SHA-256 of the training split.
        prediction: What was foretold.
    """
    write_json(path, {**_subject(params, digest), "prediction": asdict(prediction)})


def read_prediction(path: Path, params: Params, digest: str) -> Prediction | None:
    """What was foretold of this very run: same model, same training, same text; None if nothing was."""
    try:
        kept = read_json(path)
        if {name: kept[name] for name in ("params", "tokens_sha256")} != _subject(params, digest):
            return None
        return Prediction(**{name: Range(**bounds) for name, bounds in kept["prediction"].items()})
    except (DataError, KeyError, TypeError, AttributeError):  # None was made, or it is of another version.
        return None


def _subject(params: Params, digest: str) -> Mapping[str, Any]:
    return {"params": params.model_dump(mode="json", include={"model", "pretrain"}), "tokens_sha256": digest}


def _sentence(unit: str, told: Range, measured: float) -> str:
    where = "inside" if told.holds(measured) else "outside"
    return (
        f"{measured:.3g} {unit} where {told.likely:.3g} were foretold ({where} {told.low:.3g} to {told.high:.3g}, "
        f"{told.likely / measured - 1:+.1%})"
    )
