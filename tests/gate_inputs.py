"""What the stage `gate` reads beside the answers, as small as it can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lal.data.overlap_list import write_overlaps
from lal.evaluation.copies.records import Copies, write_copies
from lal.evaluation.failures.groups import find_failures
from lal.evaluation.failures.records import write_failures
from lal.evaluation.scores.results import Result
from lal.evaluation.statistics.noise import write_noise
from lal.files import write_json, write_text
from lal.records import Conversation


class NoRows:
    """A search over no training rows."""

    def best(self, query: str, k: int) -> list[tuple[Conversation, float]]:
        return []


def write_gate_inputs(folder: Path, own: Sequence[Result]) -> dict[str, Any]:
    """Writes scores, failures, copies, overlaps and an unmeasured noise floor; argument of the stage -> file."""
    names = ("scores", "failures", "copies", "overlaps", "noise")
    paths = {name: folder / f"{name}.json" for name in names}
    write_json(paths["scores"], {"size": {"lal": 935296}, "bits_per_byte": {"lal": 2.1}})
    write_failures(paths["failures"], find_failures(own, [], NoRows(), {}))
    write_copies(paths["copies"], Copies(bodies={}, groups=(), answers=(), likelihood=None))
    write_overlaps(paths["overlaps"], [])
    write_noise(paths["noise"], None)
    trainings = {}
    for name in ("pretrain", "sft"):
        diagnosis = {"finding": "plateau", "evidence": "moved by 0.1%", "next": f"<{name}.learning_rate>"}
        trainings[name] = (folder / f"{name}.json", folder / f"{name}.csv")
        write_json(trainings[name][0], {"diagnosis": diagnosis})
        write_text(trainings[name][1], "step,train_loss,validation_loss\n100,3.0,3.1\n200,2.0,2.5\n")
    return paths | {"trainings": trainings}
