"""`lal gold lock`: the gold items as they stand become the next version."""

from pathlib import Path
from typing import Annotated

import typer


def lock(
    gold: Annotated[Path, typer.Option("--gold", help="The gold folder.")] = Path("gold"),
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Id of a locked item taken out on purpose; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs from the last version.")] = False,
) -> None:
    """Lock all items as the next version: from then on a change needs a new one."""
    from lal.data.versions import LOCK, find_changes, lock_version, read_lock
    from lal.evaluation.gold.folder import load_all

    items = load_all(gold)
    changes = find_changes(read_lock(gold), items)
    if dry_run:
        for change in changes:
            typer.echo(f"{'BREAKS THE LOCK' if change.is_broken else change.kind}: {change.what}")
        typer.echo(f"differences from version {read_lock(gold).last_version}: {len(changes)}, items: {len(items)}")
        raise typer.Exit(code=int(any(change.is_broken for change in changes)))
    version, rows = lock_version(gold, items, remove or ())
    gone = sum(row.removed for row in rows)
    typer.echo(f"version {version} is locked: {len(items)} items, {len(rows) - gone} new or changed, {gone} removed")
    typer.echo(f"Commit {gold / LOCK} with a line in {gold / 'CHANGELOG.md'}.")
