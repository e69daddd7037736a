"""Stage `validate`: nothing is trained on data that break a rule, or that hold the answers to the gold set."""

from pathlib import Path
from typing import Any

from lal.data.overlap_list import write_overlaps
from lal.data.tables import (
    Line,
    conversation_table,
    corpus_table,
    gold_table,
    overlap_table,
    read_lines,
    versions_table,
)
from lal.data.validation import check_tables, refuse_broken, unreadable
from lal.data.validation_report import render_report
from lal.errors import DataError
from lal.files import write_text
from lal.gold_items import GoldItem
from lal.params import Params
from lal.records import Conversation, Document, RecordType
from lal.reporting import Reporter


def validate(
    *, params: Params, corpus: Path, conversations: Path, gold: Path, report: Path, overlaps: Path, reporter: Reporter
) -> dict[str, Any]:
    """Holds corpus, conversations, gold set, its versions and its overlap with the rest against the rules.

    Both splits of the gold set are held against them. The HTML report is always written; where all can be read, so is
    `overlaps`, the list of the gold items that are like something trained on.

    Returns:
        What was counted in each table, how many rules were kept, and how many warnings there are.

    Raises:
        DataError: Naming the lines of all folders that are no records of their kind.
        BrokenRuleError: A critical rule is broken; names file, line and value of each finding.
    """
    errors: list[DataError] = []
    documents = _read(corpus, Document, errors)
    chats = _read(conversations, Conversation, errors)
    items = _read(gold, GoldItem, errors)
    if errors:
        remedies = dict.fromkeys(error.remedy for error in errors if error.remedy)
        error = DataError("\n".join(error.problem for error in errors), "; ".join(remedies))
        write_text(report, render_report([unreadable(error)], {}))
        reporter.attach(report)
        raise error
    tables = [
        corpus_table(corpus, documents),
        conversation_table(conversations, chats),
        gold_table(gold, items, params.gold.headline),
        versions_table(gold, items),
        overlap_table(gold, items, documents, chats, params.validation.max_overlap),
    ]
    write_overlaps(overlaps, [row["listed"] for row in tables[-1].rows if row["listed"]])
    checks = check_tables(tables, params.validation, params.gold)
    counts = {table.name: dict(table.counts) for table in tables}
    write_text(report, render_report(checks, counts))
    reporter.attach(report)
    for check in checks:
        if check.warns:
            first = check.findings[0]
            reporter.say(f"warning: {check.rule}: {len(check.findings)} found, first {first.place}: {first.value}")
    refuse_broken(checks, report.as_posix())
    warnings = {table.name: sum(len(c.findings) for c in checks if c.table == table.name) for table in tables}
    return {**counts, "rules": {"kept": sum(not check.findings for check in checks)}, "warnings": warnings}


def _read(folder: Path, kind: type[RecordType], errors: list[DataError]) -> list[Line[RecordType]]:
    """The lines of a folder; what is wrong with them goes to `errors`, so that all folders are looked at."""
    try:
        return read_lines(folder, kind)
    except DataError as error:
        errors.append(error)
        return []
