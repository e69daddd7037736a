"""A proposed patch as a person reviews it: the rows in one file, what they are for in a page beside it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lal.data.patches import FILL_IN, PatchRow
from lal.evaluation.failures.proposal import Draft
from lal.evaluation.failures.records import FailureGroup, Failures
from lal.files import write_jsonl, write_text

ROWS_SHOWN = 5

HEAD = """\
# Proposed data patch {name}

{count} training rows for {groups} groups of failures, proposed from the answers of {solver} with {failed} of {items}
items wrong. Rows like a gold item that were left out: {leaks}.

Review `{name}.jsonl` beside this page: one row a line, `group` says what it is for. Take out what is wrong or useless,
mend what is nearly right, and write where it says `{mark}`, or take these rows out. Do not write a gold item, nor a
line like one: `lal iterate apply` looks for that and refuses. Then:

    lal iterate apply {path}
    dvc repro
    lal iterate ledger
"""


def write_draft(folder: Path, name: str, draft: Draft, groups: Sequence[FailureGroup], failures: Failures) -> Path:
    """Writes `<name>.jsonl` and `<name>.md`, and returns the path of the rows."""
    path = folder / f"{name}.jsonl"
    head = HEAD.format(
        name=name,
        count=len(draft.rows),
        groups=len({row.group for row in draft.rows}),
        solver=failures.solver,
        failed=failures.num_failed,
        items=failures.num_items,
        leaks=draft.num_like_gold,
        mark=FILL_IN,
        path=path.as_posix(),
    )
    by_id = {group.id: group for group in groups}
    parts = [
        _section(by_id[identity], [row for row in draft.rows if row.group == identity])
        for identity in dict.fromkeys(row.group for row in draft.rows)
    ]
    write_jsonl(path, draft.rows)
    write_text(path.with_suffix(".md"), "\n".join([head, *parts]))
    return path


def _section(group: FailureGroup, rows: Sequence[PatchRow]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(row.kind for row in rows).items()))
    shown = [f"- {_one_line(row.prompt)}\n  -> {_one_line(row.answer)} ({row.kind})" for row in rows[:ROWS_SHOWN]]
    more = [f"- and {len(rows) - ROWS_SHOWN} more"] if len(rows) > ROWS_SHOWN else []
    unseen = sorted({pair.old for pair in group.pairs if not pair.num_old})
    avoid = [f"Do not teach these words themselves: {', '.join(unseen)}.", ""] if unseen else []
    return "\n".join(
        [
            f"## {group.id}",
            "",
            f"{group.count} failed items; {group.need}. {group.proposal}",
            "",
            *avoid,
            f"Rows: {kinds}.",
            "",
            *shown,
            *more,
            "",
        ]
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
