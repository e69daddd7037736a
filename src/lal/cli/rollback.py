"""`lal rollback`: the champion before becomes the champion again, in the registry and in champion/."""

from typing import TYPE_CHECKING, Annotated

import typer

from lal.cli.champions import CHAMPION, find_champions, finish_cut_short, go_back
from lal.cli.promote import NEXT
from lal.errors import GateError, RegistryError

if TYPE_CHECKING:
    from lal.tracking.champions import Turn


def rollback(
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="A version that was the champion once; else the one before.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence.")] = "",
) -> None:
    """Make the champion before the champion again: alias and folder."""
    champions = find_champions()
    if champions is None:
        raise RegistryError("LAL_TRACKING is off, and the way back is in the registry", "leave it out, and run again")
    champions.registry.demand_reachable()
    with champions.alone():
        if finish_cut_short(champions):
            return
        log = champions.log()
        present, target = _choose(log, to)
        if to is None:
            _demand_known(log)
        go_back(champions, target, reason.strip())
    print(f"models:/{champions.name}@champion: version {present.version} -> {target.version}")
    print(f"{CHAMPION}: the answers of version {target.version} again")
    print(NEXT.format(message=f"Roll back to version {target.version}"))


def _choose(log: "list[Turn]", to: int | None) -> "tuple[Turn, Turn]":
    """The present champion and the one to go back to.

    Raises:
        RegistryError: There is none before, or the wanted one was never champion, or is it now.
    """
    from lal.tracking.champions import succession

    held = succession(log)
    if not held:
        raise RegistryError(
            "no model was promoted in this registry yet", "`lal promote` makes the last one the champion"
        )
    present = held[-1]
    if to is None:
        if len(held) == 1:
            problem = f"version {present.version} is the first champion of the registry: there is none before it"
            raise RegistryError(problem, "older ones are in git: `git log champion`; or name a version: --to")
        return present, held[-2]
    once = {turn.version: turn for turn in log if turn.action == "promote"}
    if to not in once:
        shown = ", ".join(map(str, sorted(once)))
        raise RegistryError(f"version {to} never was the champion; there were {shown}", "`lal promote` makes new ones")
    if to == present.version:
        raise RegistryError(f"version {to} is the champion now", "name another one")
    return present, once[to]


def _demand_known(log: "list[Turn]") -> None:
    """Raises: GateError: champion/ holds a champion that the registry does not keep, and that would be lost."""
    from lal.evaluation.verdict.champion import champion_digest

    found = champion_digest(CHAMPION)
    if found is not None and found not in {turn.champion_sha256 for turn in log}:
        problem = f"{CHAMPION}: holds a champion that the registry does not know, promoted without it or elsewhere"
        raise GateError(
            problem, "commit it, `lal promote` it, or say which version is wanted: lal rollback --to VERSION"
        )
