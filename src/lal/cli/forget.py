"""`lal forget`: leave a text out of everything that is learned from, train again, and show what that took away."""

import datetime
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import DataError, LalError

if TYPE_CHECKING:
    from lal.data.conversations import Conversations
    from lal.data.corpus import Corpus
    from lal.data.forgetting import Gone, Wanted
    from lal.evaluation.forgetting import ForgottenEntry, Held

LISTS, LEDGER, HELD = Path("data/forgotten"), Path("ledger/forgotten.jsonl"), Path(".lal/forgetting")
CORPUS, CONVERSATIONS, LIVE, GOLD = Path("data/corpus"), Path("data/conversations"), Path("data/live"), Path("gold")
BASE, INSTRUCT = Path("models/base"), Path("models/instruct")
ANSWERS, RUN, PARAMS = Path("reports/gold.jsonl"), Path("runs/evaluate.json"), Path("params.yaml")

ELSEWHERE = """\
What was made before still holds it: the place it came from, DVC's cache (`dvc gc --workspace` empties it), the models
and runs in MLflow, git's history; and models:/lal@champion until `lal promote`."""


def forget(
    document: Annotated[
        str, typer.Argument(help="Id of a document or conversation, what conversations are from, or a text file.")
    ] = "",
    show: Annotated[bool, typer.Option("--show", help="Only show what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Leave a document and its near-duplicates out, train again, and measure; without one, show what was forgotten."""
    from lal.evaluation.forgetting import Held, read_entries
    from lal.records import read_records

    if not document:
        entries = read_entries(LEDGER)
        print("\n\n".join(map(_told, entries)) if entries else f"{LEDGER}: nothing was forgotten yet")
        return
    place = HELD / hashlib.sha256(document.encode()).hexdigest()[:16]
    day = _listed().get(document)
    if show or day is None or not (place / "held.jsonl").is_file():
        if not _put_on_list(document, place, show, yes):
            return
    else:
        print(f"{document}: on the list since {day}; going on from there")
    _train_again(document)
    [held] = read_records(place / "held.jsonl", Held)
    print(f"\n{_told(_measure(held, place))}\n{ELSEWHERE}\nKeep it: git add {LISTS} {LEDGER} dvc.lock metrics plots")


def _put_on_list(document: str, place: Path, show: bool, yes: bool) -> bool:
    """Finds what goes, measures it, and lists it; whether it was listed."""
    from lal.data.forgetting import find_gone, find_wanted
    from lal.data.forgotten import SOURCE_PREFIX, Forgotten
    from lal.files import write_jsonl

    corpus, chats = _read()
    trained = {row.id for row in chats.rows}
    chats = _with_pool(chats)
    try:
        wanted = find_wanted(document, corpus.documents, chats.rows)
    except DataError as error:
        if day := _listed().get(document):
            raise DataError(
                f"{document}: forgotten on {day} already", "`lal forget` shows what that took away"
            ) from error
        raise
    gone = find_gone(wanted, corpus.documents, chats.rows, _today().isoformat())
    if not (gone.whole or gone.cut or gone.chats):
        raise DataError(f"{document}: nothing like it is learned from", "there is nothing to forget")
    print(_told_gone(gone, wanted))
    if show:
        return False
    names = (f"{number:03}.jsonl" for number in range(1, 1000))
    name = next(name for name in names if not (LISTS / name).exists())
    listed = Forgotten.of([gone.row], {f"{SOURCE_PREFIX}{name}": ""})
    staying = listed.without(corpus), listed.without_chats(chats)
    if not yes and not typer.confirm("Leave this out from now on, and train again?"):
        return False
    _hold(gone, *staying, trained, place)
    write_jsonl(LISTS / name, [gone.row])
    return True


def _hold(gone: "Gone", corpus: "Corpus", chats: "Conversations", trained: set[str], place: Path) -> None:
    """Keeps what the measurement after will need: the text goes with the next `dvc repro`.

    Args:
        gone: What goes.
        corpus: What stays.
        chats: Likewise.
        trained: Ids of the conversations that were drawn; the others have been learned by nobody.
        place: Where to keep it.
    """
    from lal.evaluation.forgetting import hold
    from lal.evaluation.scores.results import SHIPPED, of_solver, read_results, write_results
    from lal.files import write_jsonl
    from lal.lineage import recorded_run
    from lal.model.folder import load_model

    write_results(place / "gold.jsonl", of_solver(read_results(ANSWERS), SHIPPED))
    models = load_model(BASE), load_model(INSTRUCT)
    learned = replace(gone, chats=tuple(row for row in gone.chats if row.id in trained))
    staying = [row for row in chats.rows if row.id in trained]
    write_jsonl(place / "held.jsonl", [hold(learned, corpus.documents, staying, *models, recorded_run(RUN))])


def _train_again(document: str) -> None:
    command = [sys.executable, "-m", "dvc", "repro"]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - the command is ours
        raise LalError("`dvc repro` did not come to its end", f"mend what it says, then: lal forget {document}")


def _measure(held: "Held", place: Path) -> "ForgottenEntry":
    """Measures, puts it on record, and lets go of the text."""
    from lal.evaluation.forgetting import add_entry, measure_forgetting
    from lal.evaluation.scores.results import SHIPPED, of_solver, read_results
    from lal.lineage import recorded_run
    from lal.model.folder import load_model
    from lal.params import load_params

    answers = [of_solver(read_results(path), SHIPPED) for path in (place / "gold.jsonl", ANSWERS)]
    entry = measure_forgetting(
        held,
        load_model(BASE),
        load_model(INSTRUCT),
        (answers[0], answers[1]),
        load_params(PARAMS).gold.headline,
        recorded_run(RUN),
        _today(),
    )
    add_entry(LEDGER, entry)
    for name in ("held.jsonl", "gold.jsonl"):
        (place / name).unlink()
    place.rmdir()
    return entry


def _read() -> "tuple[Corpus, Conversations]":
    from lal.data.conversations import Conversations
    from lal.data.corpus import Corpus
    from lal.data.folders import CONVERSATION_SPLITS, CORPUS_SPLITS
    from lal.records import Conversation, Document, read_records

    documents: list[Document] = []
    for split in CORPUS_SPLITS:
        documents += read_records(CORPUS / f"{split}.jsonl", Document)
    rows: list[Conversation] = []
    for split in CONVERSATION_SPLITS:
        rows += read_records(CONVERSATIONS / f"{split}.jsonl", Conversation)
    return Corpus(tuple(documents), {}, {}), Conversations(tuple(rows), {}, {})


def _with_pool(chats: "Conversations") -> "Conversations":
    """The conversations, with those that `data.max_conversations` leaves out: another draw would bring them back."""
    from lal.cli.iterate import pool
    from lal.params import load_params

    known = {row.id for row in chats.rows}
    return replace(chats, rows=(*chats.rows, *(row for row in pool(load_params(PARAMS)) if row.id not in known)))


def _listed() -> dict[str, str]:
    """Day by name."""
    from lal.data.forgotten import ForgottenRow
    from lal.records import read_records

    rows = [row for path in sorted(LISTS.glob("*.jsonl")) for row in read_records(path, ForgottenRow)]
    return {row.document: row.forgotten_on for row in rows}


def _told_gone(gone: "Gone", wanted: "Wanted") -> str:
    """What would go, and where else it stands."""
    from lal.data.forgetting import count_alike
    from lal.evaluation.gold.folder import load_all
    from lal.live import REQUESTS, Request
    from lal.records import read_records

    own = {row.id for row in wanted.chats}
    others = [row for row in gone.chats if row.id not in own]
    lines = [f"{wanted.name}: from now on nothing is learned from"]
    lines += [f"  the document {document.id}" for document in gone.whole]
    lines += [
        f"  passages of {document.id}: {len(passages):,} ({sum(map(len, passages)):,} characters)"
        for document, passages in gone.cut
    ]
    lines.append(f"  conversations: {len(own):,} of it, {len(others):,} that are like one of them or quote it")
    lines += [f"    {row.id}: {row.prompt[:90]!r}" for row in others[:5]] + (["    ..."] if len(others) > 5 else [])
    gold = count_alike(wanted, [item.prompt for item in load_all(GOLD)])
    requests = [
        row.prompt for path in sorted(LIVE.glob(f"{Path(REQUESTS).stem}*.jsonl")) for row in read_records(path, Request)
    ]
    for count, what in ((gold, f"items of {GOLD}"), (count_alike(wanted, requests), f"requests in {LIVE}")):
        if count:
            lines.append(f"  {what} that hold it: {count:,}; they stay there")
    return "\n".join(lines)


def _told(entry: "ForgottenEntry") -> str:
    """An entry of the ledger."""
    head = (
        f"{entry.document}  forgotten on {entry.forgotten_on}: {entry.documents:,} documents, {entry.passages:,} "
        f"passages of others, {entry.conversations:,} conversations"
    )
    lines = [head, f"  {'bits per byte':<36} before   after  change, 95 % interval"]
    for row in entry.likelihoods:
        what = f"{row.of}, {row.which}"
        interval = "" if row.low is None else f" ({row.low:+.3f} to {row.high:+.3f})"
        change = f"{row.after - row.before:+.3f}{interval}"
        lines.append(f"  {what:<20} {row.num:>5,} {row.num_bytes:>9,} {row.before:>7.3f} {row.after:>7.3f}  {change}")
    for lift in entry.lifts:
        shares = f"{lift.old or 0:.3f} -> {lift.new or 0:.3f}"
        interval = f"{lift.difference:+.3f} ({lift.low:+.3f} to {lift.high:+.3f})"
        lines.append(f"  gold, {lift.slice}: {shares}  {interval}  {lift.verdict}")
    return "\n".join(lines)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
