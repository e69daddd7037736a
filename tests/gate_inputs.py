"""What the stage `gate` reads beside the answers, as small as it can be."""

from collections.abc import Sequence
from pathlib import Path

from lal.data.overlap_list import write_overlaps
from lal.evaluation.copies.records import Copies, write_copies
from lal.evaluation.failures.groups import find_failures
from lal.evaluation.failures.records import write_failures
from lal.evaluation.scores.results import Result
from lal.evaluation.statistics.noise import write_noise
from lal.files import write_json
from lal.records import Conversation


class NoRows:
    """A search over no training rows."""

    def best(self, query: str, k: int) -> list[tuple[Conversation, float]]:
        return []


def write_gate_inputs(folder: Path, own: Sequence[Result]) -> dict[str, Path]:
    """Writes scores, failures, copies, overlaps and an unmeasured noise floor; argument of the stage -> file."""
    names = ("scores", "failures", "copies", "overlaps", "noise")
    paths = {name: folder / f"{name}.json" for name in names}
    write_json(paths["scores"], {"size": {"lal": 935296}, "bits_per_byte": {"lal": 2.1}})
    write_failures(paths["failures"], find_failures(own, [], NoRows(), {}))
    write_copies(paths["copies"], Copies(bodies={}, groups=(), answers=(), likelihood=None))
    write_overlaps(paths["overlaps"], [])
    write_noise(paths["noise"], None)
    return paths
