"""What reports/gold.jsonl holds: one row for each item and solver, with the question, the answer and its scores.

Everything shown about an evaluation - metrics, table, report, comparison - is computed from these rows, so a file that
is read back says the same as the run that wrote it. Times are left out: they differ from run to run.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from lal.errors import DataError
from lal.files import write_jsonl
from lal.records import Id, Many, Record, line_to_modernise, read_records

SHIPPED = "lal"
"""The solver that is told about and exported, the fine-tuned model."""

HYBRID = "hybrid"
"""The same answers, with a table's forms for the words that training leaves no doubt about: no rival of the model."""

REMEDY = "run `dvc repro` to evaluate the model, or name another file"


class Result(Record):
    """One solver's answer to one gold item, with the item's text and the answer's scores."""

    item_id: Id
    solver: str
    slice: str
    subslice: str
    source: str
    scorer: Literal["exact", "checks"]
    prompt: str
    expected: str
    alternatives: Many[str]
    text: str
    finish_reason: Literal["stop", "length", "error"]
    num_tokens: int
    scores: dict[str, float | None]
    explanation: str
    """Why a check failed, or why there is no score; empty otherwise."""
    difficulty: str = ""
    """The item's; empty in files from before it was written down."""

    @property
    def passed(self) -> bool | None:
        """Whether the answer is right by the item's own scorer; None if it was not scored."""
        value = self.scores.get(self.scorer)
        return None if value is None else value == 1.0

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the expected answer, by which bits per byte are weighted."""
        return len(self.expected.encode())

    @property
    def is_line(self) -> bool:
        """Whether it was a line to modernise."""
        return line_to_modernise(self.prompt) is not None

    @property
    def task(self) -> str:
        """What was asked, in short: of a line to modernise only the line."""
        return line_to_modernise(self.prompt) or self.prompt

    @property
    def question(self) -> tuple[str, ...]:
        """What two results must share to be comparable: the same words asked and accepted."""
        return (self.prompt, self.scorer, self.expected, *self.alternatives)


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Writes reports/gold.jsonl."""
    write_jsonl(path, results)


def read_results(path: Path) -> list[Result]:
    """Reads a result file.

    Raises:
        DataError: The file is missing, empty, not a result file, or answers an item twice.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such result file", REMEDY)
    results = read_records(path, Result)
    if not results:
        raise DataError(f"{path}: holds no results", REMEDY)
    seen: set[tuple[str, str]] = set()
    problems = []
    for result in results:
        key = (result.item_id, result.solver)
        if key in seen:
            problems.append(f"{path}: {result.solver} answers item {result.item_id!r} twice")
        seen.add(key)
    if problems:
        raise DataError.of(problems, REMEDY)
    return results


def table_rows(results: Sequence[Result], solver: str) -> list[dict[str, str | bool | None]]:
    """One row an item with every solver's answer, for MLflow, which groups by the first column and compares the second.

    Args:
        results: All rows.
        solver: Whose answer comes first, and whose pass or failure is told.
    """
    answers: dict[str, dict[str, Result]] = {}
    for result in results:
        answers.setdefault(result.item_id, {})[result.solver] = result
    others = [name for name in solvers(results) if name != solver]
    rows = []
    for by_solver in answers.values():
        item, own = next(iter(by_solver.values())), by_solver.get(solver)
        rows.append(
            {
                "prompt": item.prompt,
                "answer": own.text if own else None,
                "expected": item.expected,
                "passed": own.passed if own else None,
                "slice": item.subslice or item.slice,
                "item": item.item_id,
                **{name: by_solver[name].text if name in by_solver else None for name in others},
            }
        )
    return rows


def of_solver(results: Iterable[Result], solver: str) -> list[Result]:
    """The rows of one solver, in their order."""
    return [result for result in results if result.solver == solver]


def in_slices(results: Iterable[Result], slices: Sequence[str]) -> list[Result]:
    """The rows whose item is in one of the slices, in their order."""
    return [result for result in results if result.slice in slices]


def solvers(results: Iterable[Result]) -> list[str]:
    """The solvers in the order of their first answer."""
    return list(dict.fromkeys(result.solver for result in results))
