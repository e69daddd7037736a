"""What `lal promote` and `lal rollback` share: a change of champion in registry and folder, and its repair."""

import datetime
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lal.files import sha256
from lal.lineage import project_root

if TYPE_CHECKING:
    from lal.evaluation.verdict.champion import ChampionFacts
    from lal.tracking.champions import Champions, Turn

CHAMPION, PARAMS = Path("champion"), Path("params.yaml")


def find_champions() -> "Champions | None":
    """The log of this project's champions; None where tracking is switched off."""
    from lal.params import load_params
    from lal.tracking.champions import Champions
    from lal.tracking.registry import ModelRegistry
    from lal.tracking.store import is_tracking

    if not is_tracking():
        return None
    return Champions(ModelRegistry(project_root()), load_params(PARAMS).registration.name)


def is_champion(champions: "Champions", model_sha256: str) -> bool:
    """Whether the champion of the registry has these weights."""
    from lal.tracking.champions import succession

    held = succession(champions.log())
    return bool(held) and champions.version(held[-1].version).tags.get("lal.model_sha256") == model_sha256


def make_champion(champions: "Champions", bundle: Path, folder: Path, facts: "ChampionFacts") -> int:
    """Makes a bundle the champion, registering it if it is not; returns its version.

    Args:
        champions: The log.
        bundle: The exported folder.
        folder: The new champion, as champion/ is to hold it.
        facts: The same.
    """
    from lal.evaluation.verdict.champion import FACTS
    from lal.export.facts import bundle_tags
    from lal.tracking.champions import Turn

    version = champions.registry.register(champions.name, bundle, bundle_tags(bundle))
    number = len(champions.log()) + 1
    turn = Turn(
        number=number,
        action="promote",
        version=version,
        on=facts.promoted_on,
        reason=facts.reason,
        gate=facts.gate,
        champion_sha256=sha256(folder / FACTS),
        kept_by=number,
    )
    champions.begin(turn, folder)
    copy_champion_folder(folder, CHAMPION)
    champions.finish(turn)
    return version


def go_back(champions: "Champions", target: "Turn", reason: str) -> None:
    """Makes an earlier champion the champion again."""
    from lal.tracking.champions import Turn

    turn = Turn(
        number=len(champions.log()) + 1,
        action="rollback",
        version=target.version,
        on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        reason=reason,
        gate=target.gate,
        champion_sha256=target.champion_sha256,
        kept_by=target.kept_by,
    )
    with tempfile.TemporaryDirectory(prefix="lal-rollback-") as temporary:
        kept = Path(temporary, "champion")
        champions.fetch(turn, kept)  # Before anything is written: it may be out of reach.
        champions.begin(turn)
        copy_champion_folder(kept, CHAMPION)
    champions.finish(turn)


def finish_cut_short(champions: "Champions") -> bool:
    """Finishes the last change of champion if it was cut short, and says so; whether it was."""
    log = champions.log()
    if not log or log[-1].done:
        return False
    turn = log[-1]
    with tempfile.TemporaryDirectory(prefix="lal-champion-") as temporary:
        kept = Path(temporary, "champion")
        champions.fetch(turn, kept)
        copy_champion_folder(kept, CHAMPION)
    champions.finish(turn)
    print(
        f"The last `lal {turn.action}` was cut short; it is done now: version {turn.version} is the champion.\n"
        "Nothing else was changed."
    )
    return True


def copy_champion_folder(source: Path, target: Path) -> None:
    """Puts one champion folder's two files into another; see `lal.evaluation.verdict.champion.copy_champion`."""
    from lal.evaluation.verdict.champion import copy_champion

    copy_champion(source, target)
