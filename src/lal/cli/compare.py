"""`lal compare`: is one set of answers better than another, item by item."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import DataError
from lal.evaluation.scores.results import SHIPPED

if TYPE_CHECKING:
    from lal.evaluation.verdict.comparison import Comparison, Pair

PARAMS = Path("params.yaml")
NOISE = Path("metrics/noise.json")
RESULTS = "reports/gold.jsonl"

WHERE = "a result file, an MLflow run id or its beginning, a git revision, or `champion`"


def compare(
    base: Annotated[str, typer.Argument(help=f"What to compare with: {WHERE}.")],
    candidate: Annotated[str, typer.Argument(help="What to judge, named likewise.")] = RESULTS,
    solver: Annotated[str, typer.Option("--solver", help="Whose answers are judged.")] = SHIPPED,
    base_solver: Annotated[str, typer.Option("--base-solver", help="Whose to compare with, if another's.")] = "",
    slice_name: Annotated[str, typer.Option("--slice", help="Show only this slice or part of one.")] = "",
    size: Annotated[
        float | None,
        typer.Option(
            "--size", min=0.0001, help="Count the items that would settle a difference of this size, as 0.02."
        ),
    ] = None,
    items: Annotated[
        int, typer.Option("--items", min=0, help="How many fixed and how many broken items to show.")
    ] = 10,
    no_items: Annotated[bool, typer.Option("--no-items", help="Show none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    params: Annotated[Path, typer.Option("--params", help="Where gold.headline stands.")] = PARAMS,
) -> None:
    """Say whether the candidate is better, worse, or cannot be told from the base, by metric and slice."""
    from lal.cli.answers import find_answers
    from lal.evaluation.report.comparison_text import comparison_json, wrap
    from lal.evaluation.statistics.noise import describe_floor, read_noise
    from lal.evaluation.verdict.comparison import compare as compare_results
    from lal.params import load_params

    headline = load_params(params).gold.headline
    old, new = find_answers(base, base_solver or solver), find_answers(candidate, solver)
    noise = read_noise(NOISE) if NOISE.is_file() else None
    found = compare_results(old.results, new.results, headline, noise, size)
    _demand_rows(found, old.label, new.label)
    shown = _within(found, slice_name, headline) if slice_name else found
    if as_json:
        print(json.dumps(comparison_json(shown, old.label, new.label), indent=2, ensure_ascii=False))
        return
    _print_table(shown, (old.label, new.label), size)
    if noise:
        print("\n" + "\n".join(wrap(describe_floor(noise, new.results))))
    if not no_items:
        _print_items("Broken", shown.broken, items)
        _print_items("Fixed", shown.fixed, items)
    _print_left_out(shown)


def _demand_rows(found: "Comparison", base: str, candidate: str) -> None:
    """Raises: DataError: No item can be compared; says why of how many."""
    if not found.rows:
        reasons = Counter(found.left_out.values())
        told = "; ".join(f"{count} left out, {why}" for why, count in reasons.items()) or "there are no items"
        problem = f"nothing can be compared between {base} and {candidate}: {told}"
        raise DataError(problem, "name two evaluations of the same gold items")


def _within(found: "Comparison", slice_name: str, headline: Sequence[str]) -> "Comparison":
    """What is about one slice; its p-values stay those of the whole comparison.

    Raises:
        DataError: There is no such slice.
    """
    from lal.evaluation.scores.scoreboard import HEADLINE
    from lal.evaluation.verdict.contests import within as is_within

    names = list(dict.fromkeys(row.slice for row in found.rows))
    if slice_name not in names:
        raise DataError(f"no slice {slice_name!r} in both sets of answers", f"there are {', '.join(names)}")

    counted = headline if slice_name == HEADLINE else (slice_name,)

    def within(pairs: Sequence["Pair"]) -> tuple["Pair", ...]:
        return tuple(pair for pair in pairs if any(is_within(pair[1], name) for name in counted))

    rows = tuple(row for row in found.rows if row.slice == slice_name)
    return replace(found, rows=rows, fixed=within(found.fixed), broken=within(found.broken))


def _print_table(found: "Comparison", labels: tuple[str, str], size: float | None) -> None:
    from lal.evaluation.report.comparison_text import headline_sentence, render_rows, slices_sentence, wrap

    for sentence in (headline_sentence(found, *labels), slices_sentence(found)):
        print("\n".join(wrap(sentence)), end="\n" if sentence else "")
    if found.rows:
        print("\n" + "\n".join(render_rows(found.rows, size)))


def _print_items(title: str, pairs: Sequence["Pair"], most: int) -> None:
    from lal.cli.gold import item_block

    print(f"\n{title}: {len(pairs)}" + (f", the first {most}; --items shows more" if len(pairs) > most else ""))
    for old, new in pairs[:most]:
        print("\n" + item_block(new, [], before={"base": old.text, "candidate": new.text}))


def _print_left_out(found: "Comparison") -> None:
    """How many items cannot be compared, by reason; ids where there are few."""
    by_reason: dict[str, list[str]] = {}
    for item, why in found.left_out.items():
        by_reason.setdefault(why, []).append(item)
    for why, ids in by_reason.items():
        named = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        print(f"\nLeft out, {why}: {len(ids)} ({named})")
