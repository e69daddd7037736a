"""`lal triage`: what people said of answers, one by one, to the gold set or to training."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lal.errors import DataError, LalError

if TYPE_CHECKING:
    from lal.data.patches import PatchRow
    from lal.monitor.triage import Waiting

LIVE, LEDGER = Path("data/live"), Path("ledger/triage.jsonl")
DRAFTS, PATCHES, GOLD = Path("data/drafts"), Path("data/patches"), Path("gold")
DRAFT = "feedback"

Choice = Literal["gold", "training", "nowhere", "later", "quit"]
KEYS: dict[str, Choice] = {"g": "gold", "t": "training", "n": "nowhere", "l": "later", "q": "quit"}


def triage(
    licence: Annotated[str, typer.Option(help="Of what people wrote, as training rows will say.")] = "unknown",
    show: Annotated[bool, typer.Option("--show", help="Only list what waits.")] = False,
) -> None:
    """Decide on feedback one by one: to gold, to training, nowhere, or later; nothing can go to both."""
    from lal.monitor.triage import read_decisions, waiting

    queue = waiting(LIVE, read_decisions(LEDGER))
    if not queue:
        print(f"{LIVE}: no feedback waits")
        return
    for number, found in enumerate(queue, start=1):
        print(f"\n{number} of {len(queue)}  {_told(found)}")
        if show:
            continue
        choice = _choose()
        if choice == "quit":
            break
        if choice == "later":
            continue
        try:
            _decide(found, choice, licence)
        except LalError as error:
            print(f"NOT TAKEN, it waits on: {error}")
    if (draft := _draft()).is_file():
        print(f"\n{draft} is trained on after: lal iterate apply {draft} && dvc repro && lal iterate ledger")


def _told(found: "Waiting") -> str:
    feedback, request = found.feedback, found.request
    rows = [("said", feedback.rating or ""), ("asked", request.prompt), ("answer", request.answer)]
    rows += [("right", feedback.correction), ("comment", feedback.comment)]
    head = f"{feedback.id}, {feedback.time[:16]}, model {request.model}"
    return "\n".join([head, *(f"  {name:<8} {text}" for name, text in rows if text)])


def _choose() -> Choice:
    while True:
        said = str(typer.prompt("To [g]old, [t]raining, [n]owhere, [l]ater, [q]uit", default="l")).strip().lower()
        if said[:1] in KEYS:
            return KEYS[said[:1]]


def _decide(found: "Waiting", to: Choice, licence: str) -> None:
    from lal.monitor.triage import Decision, add_rows

    row = ""
    if to != "nowhere":
        answer = found.right_answer or str(typer.prompt("Right answer")).strip()
        row = _to_gold(found, answer) if to == "gold" else _to_training(found, answer, licence)
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    feedback, request = found.feedback, found.request
    fields = {"id": feedback.id, "request": request.id, "model": request.model, "time": now, "to": to, "row": row}
    decision: Decision = Decision.model_validate(fields)
    add_rows(LEDGER, [decision])


def _to_gold(found: "Waiting", answer: str) -> str:
    """Adds it as `lal gold add` does, unless a row of a data patch, or of a draft of one, is like it."""
    from lal.cli.gold_items import add
    from lal.monitor.triage import find_likeness, gold_text
    from lal.records import MODERNISE_PREFIX

    if like := find_likeness(_own_rows(), [gold_text(found, answer)]):
        raise DataError(f"like the training row {like.row}", "leave it to training, or take that row out first")
    prompt = found.request.prompt
    slice_name = "" if prompt.startswith(MODERNISE_PREFIX) else str(typer.prompt("Slice"))
    provenance = f"{found.feedback.id} on {found.request.id}, answered by {found.request.model}"
    add(prompt, expected=answer, source="live", slice_name=slice_name, provenance=provenance)
    return (GOLD / "gold.jsonl").as_posix()


def _to_training(found: "Waiting", answer: str, licence: str) -> str:
    """Adds it to the draft of a data patch, unless a gold item, sealed ones included, is like it."""
    from lal.evaluation.gold.folder import load_all
    from lal.monitor.triage import add_rows, find_likeness, training_row

    draft = _draft()
    count = sum(row.id.startswith(f"{draft.stem}:") for row in _own_rows())
    row = training_row(found, answer, f"{draft.stem}:{count + 1:04}", licence)
    if like := find_likeness([row], load_all(GOLD)):
        which = "a sealed gold item" if like.item.split == "sealed" else f"the gold item {like.item.id}"
        raise DataError(f"like {which}", "what measures the model is not trained on: send it nowhere")
    add_rows(draft, [row])
    print(f"{draft}: {row.id}")
    return row.id


def _own_rows() -> "list[PatchRow]":
    """What has been sent to training, be it trained on or still a draft."""
    from lal.data.patches import PatchRow
    from lal.records import read_records

    paths = [path for folder in (PATCHES, DRAFTS) for path in sorted(folder.glob("*.jsonl"))]
    return [row for path in paths for row in read_records(path, PatchRow)]


def _draft() -> Path:
    """The draft that is being filled: the first number that no applied patch has."""
    names = (f"{DRAFT}-{number:03}.jsonl" for number in range(1, 1000))
    return DRAFTS / next(name for name in names if not (PATCHES / name).exists())
