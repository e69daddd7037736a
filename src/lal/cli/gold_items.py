"""`lal gold add` and `lal gold check`: how the gold set grows, and what is wrong with it."""

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lal.data.versions import read_lock
from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.params import load_params
from lal.records import Conversation, Document

if TYPE_CHECKING:
    from lal.data.tables import Line
    from lal.evaluation.gold.findings import Finding
    from lal.evaluation.gold.slices import WordForms

GOLD, PARAMS, RESULTS = Path("gold"), Path("params.yaml"), Path("reports/gold.jsonl")
DATA = Path("data")

GoldFolder = Annotated[Path, typer.Option("--gold", help="Folder of the gold set.")]
DataFolder = Annotated[Path, typer.Option("--data", help="Folder with corpus/ and conversations/ of the training.")]
ParamsFile = Annotated[Path, typer.Option("--params", help="Where gold.headline and the largest overlap stand.")]


def add(
    text: Annotated[str, typer.Argument(help="A line in its old spelling; with --slice, a question as it is asked.")],
    expected: Annotated[str, typer.Option(help="The right answer.")] = "",
    alternative: Annotated[list[str] | None, typer.Option(help="Another right answer; may be repeated.")] = None,
    must_contain: Annotated[list[str] | None, typer.Option(help="In place of an answer: what it must say.")] = None,
    must_not_contain: Annotated[list[str] | None, typer.Option(help="What it must not say.")] = None,
    source: Annotated[str, typer.Option(help="Where it is from, such as `macbeth`.")] = "",
    split: Annotated[Literal["dev", "sealed"], typer.Option(help="sealed: not looked at before a release.")] = "dev",
    slice_name: Annotated[str, typer.Option("--slice", help="For what is no line of the Folio.")] = "",
    subslice: Annotated[str, typer.Option(help="A part of that slice.")] = "",
    difficulty: Annotated[str, typer.Option(help="easy, medium or hard; without it the program's guess.")] = "",
    provenance: Annotated[str, typer.Option(help="How it came here, if not by hand today.")] = "",
    note: Annotated[str, typer.Option(help="Why, where the answer is not obvious.")] = "",
    gold: GoldFolder = GOLD,
    data: DataFolder = DATA,
    params: ParamsFile = PARAMS,
) -> None:
    """Check a new item and append it, with the next id and, for a line, its slice; a terminal is asked for the rest."""
    from lal.data.tables import Line, read_lines
    from lal.evaluation.gold.entry import Draft, append_item, complete, file_of, find_entry_flaws
    from lal.evaluation.gold.findings import find_leaks

    if not (expected or must_contain or must_not_contain):
        expected = _ask("--expected", "Right answer")
        alternative = alternative or _ask_for_several("Another right answer, or nothing")
    source = source or _ask("--source", "Source, such as macbeth")
    provenance = provenance or f"added by hand, {datetime.datetime.now(datetime.UTC):%Y-%m}"
    several = (tuple(alternative or ()), tuple(must_contain or ()), tuple(must_not_contain or ()))
    draft = Draft(text, expected, *several, source, split, slice_name, subslice, difficulty, provenance, note)
    lines = read_lines(gold, GoldItem)
    documents, chats = _training(data)
    forms = _forms(chats, data) if not slice_name else _forms([], data, needed=False)
    items = [line.record for line in lines]
    version = max(read_lock(gold).last_version + 1, *(item.version for item in items))
    item, reason = complete(draft, items, forms, version)
    path = file_of(gold, split)
    found = find_entry_flaws(item, path.as_posix(), lines)
    new = Line(path.as_posix(), path.stem, item)
    found += find_leaks([new], documents, chats, load_params(params).validation.max_overlap)
    if errors := [finding.text for finding in found if finding.severity == "error"]:
        raise DataError.of(errors, "nothing was added")
    for finding in found:
        print(f"warning: {finding.text}")
    number = append_item(path, item)
    print(f"{path}:{number}: {item.id} in {item.subslice or item.slice}{f': {reason}' if reason else ''}")


def check(
    gold: GoldFolder = GOLD,
    data: DataFolder = DATA,
    params: ParamsFile = PARAMS,
    results: Annotated[Path, typer.Option("--results", help="Results of the last evaluation, if any.")] = RESULTS,
) -> None:
    """Name what is wrong with the gold set, by file and line; ends with exit code 1 if anything is an error."""
    from lal.data.tables import read_lines
    from lal.evaluation.gold import findings as look
    from lal.evaluation.scores.results import read_results

    settings = load_params(params)
    lines = read_lines(gold, GoldItem)
    documents, chats = _training(data)
    found = look.find_item_flaws(lines) + look.find_set_flaws(lines, settings.gold.headline)
    found += look.find_broken_versions(gold, lines) + look.find_near_twins(lines)
    skipped = []
    if chats:
        found += look.find_misplaced(lines, _forms(chats, data))
        found += look.find_leaks(lines, documents, chats, settings.validation.max_overlap)
    else:
        skipped.append(f"slices and leaks, as {data / 'conversations'} is not there")
    if results.is_file():
        found += look.find_settled_slices(lines, read_results(results))
    else:
        skipped.append(f"slices that are all right or all wrong, as {results} is not there")
    _report(found, len(lines), skipped)


def _report(found: "list[Finding]", num_items: int, skipped: list[str]) -> None:
    for finding in sorted(found, key=lambda finding: finding.severity):
        print(f"{finding.place}: {finding.severity}: {finding.text}")
    for what in skipped:
        print(f"not looked at: {what}")
    errors = sum(finding.severity == "error" for finding in found)
    print(f"{num_items} items: {errors} errors, {len(found) - errors} warnings")
    if errors:
        raise typer.Exit(1)


def _training(data: Path) -> "tuple[list[Line[Document]], list[Line[Conversation]]]":
    """What is trained on, as far as it has been made."""
    from lal.data.tables import read_lines

    corpus, conversations = data / "corpus", data / "conversations"
    return (
        read_lines(corpus, Document) if any(corpus.glob("*.jsonl")) else [],
        read_lines(conversations, Conversation) if any(conversations.glob("*.jsonl")) else [],
    )


def _forms(chats: "list[Line[Conversation]]", data: Path, needed: bool = True) -> "WordForms":
    from lal.evaluation.gold.slices import learn_forms

    forms = learn_forms(line.record for line in chats)
    if needed and not len(forms):
        problem = f"{data / 'conversations'}: no training lines, without which no slice can be found"
        raise DataError(problem, "make them with `dvc repro data`, or name the slice with --slice")
    return forms


def _ask(option: str, question: str) -> str:
    """An answer from the terminal.

    Raises:
        DataError: There is none to ask.
    """
    if not sys.stdin.isatty():
        raise DataError(f"{option} is missing", "give it, or run the command on a terminal, which is asked")
    return str(typer.prompt(question))


def _ask_for_several(question: str) -> list[str]:
    """Answers until an empty one."""
    answers = []
    while answer := str(typer.prompt(question, default="", show_default=False)):
        answers.append(answer)
    return answers
