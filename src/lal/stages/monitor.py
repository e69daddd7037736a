"""Stage `monitor`: is the served model still the measured one, and is the world still the one it was made for?"""

from pathlib import Path
from typing import Any

import numpy as np

from lal.evaluation.gold.folder import load_gold
from lal.export.manifest import trained_on
from lal.export.opened import questions_of, read_measured
from lal.export.served import Served
from lal.files import sha256, write_text
from lal.model.folder import LoadedModel, load_model
from lal.monitor.coverage import Coverage, find_coverage
from lal.monitor.drift import Shift, find_shifts
from lal.monitor.integrity import Integrity, ask_gold
from lal.monitor.page import render_monitor
from lal.monitor.signals import SIGNALS, known_grams, measure
from lal.monitor.window import is_from_live, learned_prompts, live_window, reference_prompts
from lal.params import MonitorParams, Params
from lal.records import Conversation, Document, read_records, stream_records
from lal.reporting import Reporter
from lal.serve.process import running_server


def monitor(
    *, params: Params, live: Path, gold: Path, answers: Path, corpus: Path, conversations: Path, base: Path,
    bundle: Path, report: Path, reporter: Reporter,
) -> dict[str, Any]:  # fmt: skip
    """Looks at three things apart: the server's answers to the gold set, drift of the prompts, coverage by gold items.

    An alarm stops no pipeline: `lal monitor` makes it an exit code.

    Returns:
        `alarms`, how many; their sentences; and the numbers behind them.

    Raises:
        DataError: A row of the request log is damaged, or a file is missing.
        ExportError: The server does not answer.
    """
    settings, window = params.monitor, live_window(live)
    integrity = _ask(settings.endpoint, bundle, gold, answers)
    shifts: list[Shift] = []
    coverage: Coverage | None = None
    not_yet = 0
    reference = reference_prompts(conversations)
    if len(window.requests) >= settings.min_requests and len(reference) > 1:
        loaded, known = load_model(base), known_pieces(corpus, conversations)
        now, then = measure(window.prompts, loaded, known), measure(reference, loaded, known)
        asked_since, not_yet = _learned_prompts(bundle, conversations)
        since = measure(asked_since, loaded, known) if asked_since else None
        shifts = find_shifts(then, now, window.weights, settings.false_alarm_rate, since)
        asked = [item.messages[-1].content for item in load_gold(gold)]
        coverage = find_coverage(asked, window.prompts, window.weights)
    alarms = alarms_of(settings, integrity, shifts, coverage)
    write_text(report, render_monitor(alarms, integrity, window, shifts, coverage))
    reporter.attach(report)
    reporter.say(integrity.sentence)
    if not shifts:
        reporter.say(f"{live}: {len(window.requests)} requests, drift is told from {settings.min_requests} on")
    for alarm in alarms:
        reporter.say(f"ALARM: {alarm}")
    return {
        "alarms": len(alarms),
        "sentences": alarms,
        "requests": len(window.requests),
        "served_otherwise": len(integrity.others),
        "gold_items": integrity.num_items,
        "not_trained_on_yet": not_yet,
        "drift": {each.signal: _numbers(each) for each in shifts},
        "uncovered": round(coverage.uncovered, 4) if coverage else None,
    }


def alarms_of(
    settings: MonitorParams, integrity: Integrity, shifts: list[Shift], coverage: Coverage | None
) -> list[str]:
    """A sentence for each thing that somebody should look at."""
    alarms = []
    if integrity.others:
        alarms.append(
            f"serving: {integrity.address} answers {len(integrity.others)} of {integrity.num_items} gold items in "
            "other words than were measured"
        )
    alarms += [
        f"drift: {SIGNALS[each.signal]}: {each.live:.3f} in live requests, {each.reference:.3f} in those the model was "
        f"made for; chance explains a difference of {each.limit:.3f}"
        for each in shifts
        if each.is_alarm
    ]
    if coverage and coverage.uncovered > settings.max_uncovered:
        alarms.append(
            f"coverage: {coverage.uncovered:.0%} of the requests have no gold item near them, more than "
            f"{settings.max_uncovered:.0%}; the report names those to label next"
        )
    return alarms


def _ask(endpoint: str | None, bundle: Path, gold: Path, answers: Path) -> Integrity:
    shipped: LoadedModel = load_model(bundle)
    questions = questions_of(read_measured(gold, answers), shipped.tokenizer, shipped.model.config.context_length)
    if endpoint:
        return ask_gold(endpoint, Served(endpoint, shipped.tokenizer), questions)
    with running_server(bundle) as address:
        return ask_gold("the bundle, served for a moment,", Served(address, shipped.tokenizer), questions)


def _learned_prompts(bundle: Path, conversations: Path) -> tuple[list[str], int]:
    """Live requests that the bundle was trained on, and how many only stand in training data of a later day."""
    prompts = learned_prompts(conversations)
    if prompts and trained_on(bundle) != sha256(conversations / "train.jsonl"):
        return [], len(prompts)
    return prompts, 0


def known_pieces(corpus: Path, conversations: Path) -> frozenset[str]:
    """The pieces of letters of all training text, but for live requests: they are what live ones are compared with."""
    known = known_grams(document.text for document in stream_records(corpus / "train.jsonl", Document))
    rows = read_records(conversations / "train.jsonl", Conversation)
    return known | known_grams(message.content for row in rows if not is_from_live(row) for message in row.messages)


def _numbers(shift: Shift) -> dict[str, Any]:
    values = np.round([shift.reference, shift.live, shift.limit], 4).tolist()
    return {**dict(zip(("reference", "live", "limit"), values, strict=True)), "alarm": shift.is_alarm}
