"""Which version was the champion when: a log in the registry, which the alias `champion` and champion/ follow.

Each promotion and each way back is one entry, kept as a tag of the registered model (`lal.champion.0001`), so that a
shared server has one log for all who use it. A promotion keeps the folder champion/ with its version: the way back
needs neither git nor the old files.

An entry is written before what it tells is done, and again after. One that is not done was cut short, and whoever
comes next finishes it: that is possible at any point, since the folder is kept before the entry is written.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lal.errors import RegistryError
from lal.tracking.model_address import Address
from lal.tracking.registry import CHAMPION, ModelRegistry, Version

PREFIX = "lal.champion."


@dataclass(frozen=True)
class Turn:
    """One change of champion.

    Attributes:
        number: Counts them from 1.
        action: `promote` or `rollback`.
        version: Of the new champion.
        on: Date, year first.
        reason: What the person said; empty if nothing.
        gate: What the gate had said of it, as a sentence.
        champion_sha256: Of its champion.json.
        kept_by: Number of the promotion that keeps its folder.
        done: Whether alias and folder have followed.
    """

    number: int
    action: str
    version: int
    on: str
    reason: str
    gate: str
    champion_sha256: str
    kept_by: int
    done: bool = False


class Champions:
    """The champions of one registered model."""

    def __init__(self, registry: ModelRegistry, name: str) -> None:
        self.registry, self.name = registry, name

    def log(self) -> list[Turn]:
        """All changes, oldest first.

        Raises:
            RegistryError: An entry is not what Lal writes.
        """
        tags = self.registry.name_tags(self.name)
        entries = sorted((key, value) for key, value in tags.items() if key.startswith(PREFIX))
        try:
            return [Turn(**json.loads(value)) for _, value in entries]
        except (TypeError, ValueError) as error:
            problem = f"models:/{self.name}: a tag {PREFIX}... is not what `lal promote` writes: {error}"
            raise RegistryError(problem, "mend it in `lal ui`, under Models") from error

    def version(self, number: int) -> Version:
        """A version by its number. Raises: RegistryError: There is none."""
        return self.registry.version(Address(self.name, number=number))

    def begin(self, turn: Turn, folder: Path | None = None) -> None:
        """Keeps the folder of a promotion with its version, then writes the entry: from here on it will be done."""
        if folder:
            self.registry.log_folder(self.version(turn.version), folder, _place(turn.kept_by))
        self._write(turn)

    def finish(self, turn: Turn) -> None:
        """Moves the alias, and marks the entry as done."""
        version = self.version(turn.version)
        told = {"lal.champion_since": turn.on, "lal.champion_reason": turn.reason or "the gate let it through"}
        self.registry.set_tags(version, told)
        self.registry.point(CHAMPION, version)
        self._write(replace(turn, done=True))

    def fetch(self, turn: Turn, target: Path) -> None:
        """Fetches the folder that was kept for a champion to a new folder."""
        self.registry.kept_folder(self.version(turn.version), _place(turn.kept_by), target)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lets one command at a time change the champion of this project. Raises: RegistryError: Another one does."""
        with self.registry.locked("champion"):
            yield

    def _write(self, turn: Turn) -> None:
        self.registry.set_name_tag(self.name, f"{PREFIX}{turn.number:04}", json.dumps(asdict(turn), ensure_ascii=False))


def succession(log: Sequence[Turn]) -> list[Turn]:
    """The champions that a way back leads through, the present one last.

    Going back to one of them takes off those after it; going back to one that was taken off puts it on top.
    """
    held: list[Turn] = []
    for turn in log:
        places = [place for place, each in enumerate(held) if each.version == turn.version]
        if turn.action == "rollback" and places:
            del held[places[-1] + 1 :]
        elif not held or held[-1].version != turn.version:
            held.append(turn)
        else:
            held[-1] = turn
    return held


def _place(kept_by: int) -> str:
    return f"champion/{kept_by:04}"
