"""`lal gold`: the scores and answers of the last evaluation."""

from pathlib import Path
from typing import Annotated

import typer

from lal.cli import gold_items, gold_lock
from lal.errors import DataError
from lal.evaluation.scores.results import SHIPPED, Result, of_solver, read_results, solvers
from lal.params import load_params

app = typer.Typer(help="Look at the gold-set scores and answers.", no_args_is_help=True, rich_markup_mode=None)

RESULTS = Path("reports/gold.jsonl")
PARAMS = Path("params.yaml")

ResultFile = Annotated[Path, typer.Option("--file", help="The result file to read.")]
SolverName = Annotated[str, typer.Option("--solver", help="Whose answers.")]


app.command()(gold_items.add)
app.command()(gold_items.check)
app.command()(gold_lock.lock)


@app.command()
def table(
    file: Annotated[Path, typer.Argument(help="The result file to read.")] = RESULTS,
    params: Annotated[Path, typer.Option("--params", help="Where gold.headline stands.")] = PARAMS,
    solver: SolverName = SHIPPED,
) -> None:
    """Show the share of right answers by slice and solver."""
    from lal.evaluation.report.table import render_table

    print(render_table(read_results(file), load_params(params).gold.headline, solver))


@app.command("list")
def list_items(
    slice_name: Annotated[str, typer.Option("--slice", help="Only this slice or part of one.")] = "",
    solver: SolverName = SHIPPED,
    failed: Annotated[bool, typer.Option("--failed", help="Only what it got wrong.")] = False,
    file: ResultFile = RESULTS,
) -> None:
    """List one solver's answers, one item a block."""
    found = _answers_of(solver, file)
    names = sorted({name for result in found for name in (result.slice, result.subslice) if name})
    if slice_name and slice_name not in names:
        raise DataError(f"{file}: no slice {slice_name!r}", f"there are {', '.join(names)}")
    chosen = [
        result
        for result in found
        if slice_name in ("", result.slice, result.subslice) and not (failed and result.passed is not False)
    ]
    for result in chosen:
        print(item_block(result, [result]), end="\n\n")
    print(f"{len(chosen)} of {len(found)} items")


@app.command()
def show(item: Annotated[str, typer.Argument(help="Id of a gold item.")], file: ResultFile = RESULTS) -> None:
    """Show one item with everyone's answers and scores."""
    found = [result for result in read_results(file) if result.item_id == item]
    if not found:
        raise DataError(f"{file}: no item {item!r}", "`lal gold list` shows all ids")
    print(item_block(found[0], found, scores=True))


def _answers_of(solver: str, file: Path) -> list[Result]:
    """One solver's results; whoever asks for one that is not there learns who is."""
    results = read_results(file)
    if found := of_solver(results, solver):
        return found
    raise DataError(f"{file}: no answers of {solver!r}", f"there are answers of {', '.join(solvers(results))}")


def item_block(item: Result, answers: list[Result], scores: bool = False, before: dict[str, str] | None = None) -> str:
    """An item and its answers as aligned lines, after those of `before`: label -> text."""
    lines = [("asked", item.prompt), ("expected", item.expected), *(("or", wording) for wording in item.alternatives)]
    lines += list((before or {}).items())
    for answer in answers:
        lines.append((answer.solver, f"{answer.text}   [{_verdict(answer)}]"))
        if scores:
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in answer.scores.items() if value is not None)
            lines.append(("", numbers))
    width = max(len(label) for label, _ in lines)
    body = [f"  {label:<{width}}  {_one_line(text)}".rstrip() for label, text in lines if text]
    return "\n".join([f"{item.item_id}  {item.subslice or item.slice}, {item.source}", *body])


def _one_line(text: str) -> str:
    """What a model said, without the power to move the cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _verdict(result: Result) -> str:
    if result.passed is None:
        return "not scored"
    return "right" if result.passed else "wrong" + (f": {result.explanation}" if result.explanation else "")
