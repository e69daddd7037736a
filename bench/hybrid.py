"""Which words the hybrid should take from its table: a sweep on the development plays, never on gold.

    python -m bench.hybrid                        # after `dvc repro`

The model answers every line of the development plays once; then tables of several thresholds are combined with its
answers. `MIN_COUNT` and `MIN_SHARE` of `lal.evaluation.solvers.hybrid` come from here.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.held_out_lines import as_gold
from bench.table import PAGE, report
from lal.errors import LalError
from lal.evaluation.scores.alignment import words
from lal.evaluation.solvers.baselines import Lexicon, apply_rules
from lal.evaluation.solvers.hybrid import MIN_COUNT, MIN_SHARE, combine, usable_line
from lal.evaluation.solvers.solver import chat_model
from lal.model.folder import load_model
from lal.records import Conversation, line_to_modernise, read_records

COUNTS, SHARES = (1, 2, 3, 5, 10), (0.8, 0.9, 0.95, 0.98, 1.0)
MAX_NEW_TOKENS, BATCH_SIZE = 96, 128

Pair = tuple[str, str]


def pairs_of(rows: Sequence[Conversation]) -> list[Pair]:
    """(old line, modern line) of the rows that have them."""
    return [(line, row.answer) for row in rows if (line := line_to_modernise(row.prompt)) is not None]


def row_of(name: str, pairs: Sequence[Pair], written: Sequence[str], known: Lexicon) -> dict[str, object]:
    """Exact lines of one way to write them: of all, of those with a word that training lacks, of the others."""
    right = [text == expected for text, (_, expected) in zip(written, pairs, strict=True)]
    unseen = [any(known.look_up(word) is None for word in words(line)) for line, _ in pairs]
    groups = {
        "exact line": right,
        "with an unseen word": [hit for hit, new in zip(right, unseen, strict=True) if new],
        "of seen words": [hit for hit, new in zip(right, unseen, strict=True) if not new],
    }
    shares: dict[str, object] = {key: round(sum(hits) / len(hits), 4) if hits else "-" for key, hits in groups.items()}
    return {"": name} | shares


def run(options: argparse.Namespace) -> list[dict[str, object]]:
    """Asks once and combines often. Raises: LalError: `dvc repro` has not made what it reads."""
    training = pairs_of(read_records(options.conversations / "train.jsonl", Conversation))
    rows = read_records(options.conversations / "validation.jsonl", Conversation)[: options.lines]
    rows = [row for row in rows if line_to_modernise(row.prompt) is not None]
    items, pairs = [as_gold(row) for row in rows], pairs_of(rows)
    answers = chat_model("lal", load_model(options.model), MAX_NEW_TOKENS, BATCH_SIZE).answer(items)
    said = [usable_line(answer.text, answer.finish_reason) for answer in answers]
    everything, nothing = Lexicon.learn(training), Lexicon({}, {})
    ways = {
        "lexicon + rules": [everything.modernise(line, unseen=apply_rules) for line, _ in pairs],
        "lal": [answer.text.strip() for answer in answers],
        "lal, with the line's own spacing and marks": [
            combine(line, text, nothing) for (line, _), text in zip(pairs, said, strict=True)
        ],
    }
    for share in SHARES:
        for count in COUNTS:
            sure = Lexicon.learn(training, count, share)
            mark = " (chosen)" if (count, share) == (MIN_COUNT, MIN_SHARE) else ""
            ways[f"hybrid: seen {count} times, {share} in one form{mark}"] = [
                combine(line, text, sure) for (line, _), text in zip(pairs, said, strict=True)
            ]
    table = [row_of(name, pairs, written, everything) for name, written in ways.items()]
    note = f"{len(pairs):,} lines of the development plays; the model is that of {options.model}."
    report("hybrid", "Which words the hybrid takes from its table", table, note, page=options.page)
    return table


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/instruct"), help="folder of the fine-tuned model")
    parser.add_argument("--conversations", type=Path, default=Path("data/conversations"))
    parser.add_argument("--lines", type=int, help="only so many; all if not given")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table goes")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures, or says what is wrong."""
    try:
        run(parse())
    except LalError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
