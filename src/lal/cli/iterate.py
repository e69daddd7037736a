"""`lal iterate`: from the failures of the last evaluation to a data patch, and to what the patch brought."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import DataError
from lal.files import write_jsonl
from lal.lineage import recorded_run
from lal.params import load_params
from lal.records import Conversation, read_records

if TYPE_CHECKING:
    from lal.data.patches import PatchRow
    from lal.evaluation.failures.patch_ledger import PatchEntry
    from lal.evaluation.failures.records import FailureGroup, Failures
    from lal.evaluation.scores.results import Result
    from lal.gold_items import GoldItem
    from lal.params import Params

app = typer.Typer(
    help="Turn failures into training rows for review, and keep what they brought.", rich_markup_mode=None
)

PARAMS, RUN, NOISE = Path("params.yaml"), Path("runs/evaluate.json"), Path("metrics/noise.json")
FAILURES, ANSWERS = Path("reports/failures.json"), Path("reports/gold.jsonl")
GOLD, TRAINING = Path("gold"), Path("data/conversations/train.jsonl")
SOURCES, CACHE, FORGOTTEN = Path("data/sources.lock"), Path(".lal/sources"), Path("data/forgotten")
DRAFTS, PATCHES, LEDGER = Path("data/drafts"), Path("data/patches"), Path("ledger")

REPRO = "run `dvc repro`, then propose again"

HONEST = """\
A lift compares two trainings. Its interval is from the items alone; training the same data twice moves the scores
too."""


@app.callback(invoke_without_command=True)
def iterate(context: typer.Context) -> None:
    """Propose training rows from the failures of the last evaluation (`propose`, unless told otherwise)."""
    if context.invoked_subcommand is None:
        propose()


@app.command()
def propose(
    rows: Annotated[int, typer.Option("--rows", min=1, help="Most rows, those to fill in not counted.")] = 200,
    group: Annotated[
        str, typer.Option("--group", help="Only groups whose id holds this, whatever they are for want of.")
    ] = "",
) -> None:
    """Write a data patch for review to data/drafts."""
    from lal.evaluation.failures.draft import write_draft
    from lal.evaluation.failures.proposal import propose as propose_rows
    from lal.evaluation.failures.records import read_failures
    from lal.evaluation.gold.folder import load_all
    from lal.evaluation.solvers.nearest import Nearest

    failures = read_failures(FAILURES)
    for entry in _measure(failures):
        print(_told(entry), end="\n\n")
    chosen = _chosen(failures, group)
    training = read_records(TRAINING, Conversation)
    params = load_params(PARAMS)
    name = _next_name()
    nearest = Nearest.build(training)
    draft = propose_rows(chosen, training, pool(params), load_all(GOLD), nearest, rows, name)
    path = write_draft(DRAFTS, name, draft, chosen, failures)
    print(f"{path}: {len(draft.rows)} rows for {len({row.group for row in draft.rows})} groups of failures")
    if draft.num_like_gold:
        print(f"Left out because they are like a gold item: {draft.num_like_gold}.")
    if missing := sum(not row.is_filled_in for row in draft.rows):
        print(f"To be filled in or taken out: {missing}.")
    print(f"Read {path.with_suffix('.md')}, mend the rows, then: lal iterate apply {path}")


@app.command()
def apply(
    draft: Annotated[Path, typer.Argument(help="The reviewed rows, a .jsonl file.")],
    drop_unfilled: Annotated[
        bool, typer.Option("--drop-unfilled", help="Leave out rows still to be filled in.")
    ] = False,
) -> None:
    """Put a reviewed patch among the training data, and begin its entry in the ledger."""
    from lal.evaluation.failures.patch_ledger import Ledger, new_entry
    from lal.evaluation.failures.proposal import new_gold_words
    from lal.evaluation.failures.records import read_failures
    from lal.evaluation.gold.folder import load_all

    rows, target = _reviewed(draft, drop_unfilled), PATCHES / draft.name
    if target.exists():
        raise DataError(f"{target}: exists already", "give the draft another name; a patch is applied once")
    failures = read_failures(FAILURES)
    own = _own_results(failures)
    training, gold = read_records(TRAINING, Conversation), load_all(GOLD)
    _refuse_known_ids(rows, training, draft)
    _refuse_leaks(rows, gold, draft)
    words = new_gold_words(rows, training, gold)
    write_jsonl(target, rows)
    Ledger(LEDGER).add(new_entry(target, rows, failures, words, recorded_run(RUN), _today()), own)
    print(f"{target}: {len(rows)} rows will be trained on; begun in {Ledger(LEDGER).path}")
    if words:
        print(f"Gold items hold these words, which training lacked: {', '.join(words)}. They tell less from now on.")
    print("Now: dvc repro && lal iterate ledger; and keep it: git add data/patches ledger")


@app.command()
def ledger() -> None:
    """Show the patches and the gold lift they brought; take it where an evaluation has come since."""
    from lal.evaluation.failures.patch_ledger import Ledger
    from lal.evaluation.failures.records import read_failures
    from lal.evaluation.statistics.noise import describe_floor, read_noise

    if FAILURES.is_file():
        _measure(read_failures(FAILURES))
    entries = Ledger(LEDGER).entries()
    if not entries:
        print(f"{Ledger(LEDGER).path}: no patches yet; `lal iterate` proposes one")
        return
    for entry in entries:
        print(_told(entry), end="\n\n")
    if any(entry.lifts for entry in entries):
        noise = read_noise(NOISE) if NOISE.is_file() else None
        print(f"{HONEST}\n{describe_floor(noise, [])}")


def _measure(failures: "Failures") -> "list[PatchEntry]":
    """Takes the lift of patches that were trained with since, and returns their entries."""
    from lal.evaluation.failures.patch_ledger import Ledger, measure
    from lal.evaluation.statistics.noise import read_noise

    book = Ledger(LEDGER)
    before = book.entries()
    if all(entry.measured_on for entry in before):
        return []
    noise = read_noise(NOISE) if NOISE.is_file() else None
    headline = load_params(PARAMS).gold.headline
    after = measure(book, _own_results(failures), failures, headline, noise, recorded_run(RUN), _today())
    if after != before:
        book.write(after)
    return [entry for entry in after if entry not in before]


def _chosen(failures: "Failures", wanted: str) -> "list[FailureGroup]":
    from lal.evaluation.failures.proposal import groups_for_data

    if not wanted:
        if found := groups_for_data(failures):
            return found
        raise DataError(
            f"{FAILURES}: no group of failures is for want of data",
            "name one with --group to repeat its rows all the same; or train longer or larger",
        )
    if found := [group for group in failures.groups if wanted.casefold() in group.id.casefold()]:
        return found
    raise DataError(
        f"{FAILURES}: no group of failures holds {wanted!r}",
        "there are " + "; ".join(group.id for group in failures.groups[:10]),
    )


def pool(params: "Params") -> Sequence[Conversation]:
    """All rows that might have been trained on; none where all of them were."""
    if params.data.max_conversations is None:
        return ()
    from lal.data.forgotten import read_forgotten
    from lal.stages.data import conversation_pool

    listed = read_forgotten(FORGOTTEN)
    return [row for row in conversation_pool(params=params, sources=SOURCES, cache=CACHE).rows if not listed.holds(row)]


def _next_name() -> str:
    """The first number that no draft and no patch has."""
    taken = {path.stem for folder in (DRAFTS, PATCHES) for path in folder.glob("*.jsonl")}
    return next(name for name in (f"patch-{number:03}" for number in range(1, 1000)) if name not in taken)


def _reviewed(draft: Path, drop_unfilled: bool) -> "list[PatchRow]":
    from lal.data.patches import PatchRow, read_patch

    if not draft.is_file():
        raise DataError(f"{draft}: no such file", "`lal iterate` writes one to data/drafts")
    rows = [row for row in read_records(draft, PatchRow) if row.is_filled_in] if drop_unfilled else read_patch(draft)
    if not rows:
        raise DataError(f"{draft}: holds no rows to train on", "propose again, or fill in some of them")
    return rows


def _refuse_known_ids(rows: "Sequence[PatchRow]", training: Sequence[Conversation], draft: Path) -> None:
    known = {row.id for row in training}
    if clashes := [row.id for row in rows if row.id in known]:
        problems = [f"{draft}: a training row has the id {identity!r} already" for identity in clashes]
        raise DataError.of(problems, "give each row of the patch an id of its own")


def _refuse_leaks(rows: "Sequence[PatchRow]", gold: "Sequence[GoldItem]", draft: Path) -> None:
    """Demands that no row is like a gold item; a sealed item is not told, as who reads it has looked at it."""
    from lal.evaluation.failures.proposal import find_leaks

    problems = [
        f"{draft}: row {leak.row!r} is like "
        + (
            f"the gold item {leak.item.id!r}: {leak.item.prompt!r}"
            if leak.item.split == "dev"
            else "a sealed gold item"
        )
        for leak in find_leaks(rows, gold)
    ]
    if problems:
        raise DataError.of(problems, "take these rows out: what is trained on cannot be tested with")


def _own_results(failures: "Failures") -> "list[Result]":
    """The answers that the failures were found in."""
    from lal.evaluation.failures.records import digest
    from lal.evaluation.scores.results import of_solver, read_results

    own = of_solver(read_results(ANSWERS), failures.solver)
    if digest(own) != failures.results_sha256:
        raise DataError(f"{FAILURES}: made from other answers than those in {ANSWERS}", REPRO)
    return own


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _told(entry: "PatchEntry") -> str:
    """An entry of the ledger in a few lines."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in entry.kinds.items())
    lines = [f"{entry.id}  applied {entry.applied_on}: {entry.num_rows} rows ({kinds}) for {', '.join(entry.slices)}"]
    if entry.new_gold_words:
        lines.append(f"  taught words of gold items: {', '.join(entry.new_gold_words)}")
    if not (PATCHES / f"{entry.id}.jsonl").is_file():
        lines.append("  taken out again")
    elif not entry.measured_on:
        lines.append("  not measured yet: `dvc repro`, then `lal iterate ledger`")
    if entry.together_with:
        lines.append(f"  measured together with {', '.join(entry.together_with)}")
    width = max((len(f"{lift.metric} {lift.slice}") for lift in entry.lifts), default=0)
    for lift in entry.lifts:
        noise = "" if lift.noise_units is None else f", {lift.noise_units:+.1f} units of seed noise"
        shares = f"{_share(lift.old)} -> {_share(lift.new)}"
        interval = f"{lift.difference:+.3f} ({lift.low:+.3f} to {lift.high:+.3f})"
        lines.append(f"  {f'{lift.metric} {lift.slice}':<{width}}  {shares}  {interval}  {lift.verdict}{noise}")
    if entry.lifts and all(lift.noise_units is None for lift in entry.lifts):
        lines.append("  the noise between two trainings is not known: `lal noise` measures it")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "  - " if value is None else f"{value:.2f}"
