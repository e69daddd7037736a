"""metrics/gate.json, read: for those who do not judge themselves, such as the model card and `lal promote`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lal.errors import DataError
from lal.files import read_json

REMEDY = "run `dvc repro` to judge the model"


@dataclass(frozen=True)
class GateFile:
    """What metrics/gate.json says to those who do not judge themselves: the card, `lal promote`, `lal summary`.

    Attributes:
        passed: The verdict.
        sentence: The same in words.
        failed: What each failed condition says.
        told: What each condition says, with its mark.
        digests: SHA-256 by name of what was judged: `answers`, and `champion` where there was one.
    """

    passed: bool
    sentence: str
    failed: tuple[str, ...]
    told: tuple[str, ...]
    digests: Mapping[str, str]


def read_gate(path: Path) -> GateFile:
    """Reads metrics/gate.json.

    Raises:
        DataError: It is missing or is no verdict.
    """
    if not path.is_file():
        raise DataError(f"{path}: no verdict of the gate", REMEDY)
    tree = read_json(path)
    try:
        conditions: Sequence[Mapping[str, Any]] = tree["conditions"]
        told = [f"[{word}] {each['sentence']}" for word, each in zip(tree["marks"], conditions, strict=True)]
        failed = [str(each["sentence"]) for each in conditions if not each["passed"]]
        digests = {str(name): str(digest) for name, digest in tree["digests"][0].items()}
        return GateFile(tree["passed"] == 1, str(tree["verdict"][0]), tuple(failed), tuple(told), digests)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a verdict of the gate", REMEDY) from error
