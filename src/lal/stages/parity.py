"""Parity: every format of the bundle, and the server, opened and held against the model that was measured."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from lal.errors import ExportError
from lal.export.agreement import (
    Agreement,
    Odds,
    agreement,
    file_mismatches,
    gguf_mismatches,
    http_mismatches,
    problems_of,
)
from lal.export.formats import FILES, SAFETENSORS
from lal.export.forward import ForwardModel, onnx_forward, torch_forward
from lal.export.llama_cpp import LlamaCpp
from lal.export.manifest import check_manifest
from lal.export.opened import NUM_LOGIT_PROMPTS, Question, questions_of, read_measured
from lal.export.parity_page import render_parity
from lal.export.served import Served
from lal.files import write_text
from lal.model.folder import LoadedModel, load_model
from lal.params import Params
from lal.reporting import Reporter
from lal.serve.process import running_server

HTTP = "http"
"""The server's name among the formats."""


def parity(
    *, params: Params, instruct: Path, bundle: Path, gold: Path, answers: Path, report: Path, reporter: Reporter
) -> dict[str, Any]:
    """Asks every format what was measured, and writes the report.

    Args:
        params: The limits, `parity`.
        instruct: The checkpoint that was measured.
        bundle: What was exported from it.
        gold: The gold set.
        answers: reports/gold.jsonl.
        report: Where reports/parity.html goes.
        reporter: Whom to tell.

    Raises:
        ExportError: A format is further from the checkpoint than `parity` allows, or cannot be opened; the report is
            written all the same in the first case.
        ModelError: The bundle is not what its manifest says.
        DataError: A file that it reads is missing or damaged.
    """
    start = time.perf_counter()
    check_manifest(bundle)
    original = load_model(instruct)
    questions = questions_of(read_measured(gold, answers), original.tokenizer, original.model.config.context_length)
    found = list(_agreements(original, bundle, questions))
    write_text(report, render_parity(found, params.parity))
    reporter.attach(report)
    for each in found:
        reporter.say(
            f"{each.name}: log-probabilities within {each.difference:.2g}, "
            f"{len(each.flips)} of {each.num_items} gold items in other words"
        )
    _demand(found, params, report)
    return {
        "gold_items": len(questions),
        "formats": {each.name: _numbers(each) for each in found},
        "minutes": round((time.perf_counter() - start) / 60, 2),
    }


def _agreements(original: LoadedModel, bundle: Path, questions: Sequence[Question]) -> Iterator[Agreement]:
    """What each format does, one in memory at a time."""
    tokenizer, context_length = original.tokenizer, original.model.config.context_length
    reference = ForwardModel(torch_forward(original.model), tokenizer, context_length)
    odds: list[Odds] = [reference.next_log_probabilities(each) for each in questions[:NUM_LOGIT_PROMPTS]]
    limit = max(1, *(each.measured.num_tokens for each in questions))
    threads = torch.get_num_threads()
    for name, file in FILES.items():
        path = bundle / file
        if not path.is_file():
            continue
        if name == SAFETENSORS:
            shipped = ForwardModel(torch_forward(load_model(bundle).model), tokenizer, context_length)
            yield agreement(name, shipped, odds, questions, limit, file_mismatches(bundle, tokenizer))
        elif path.suffix == ".gguf":
            model = LlamaCpp(path, tokenizer, threads)
            yield agreement(name, model, odds, questions, limit, gguf_mismatches(model, tokenizer))
        else:
            graph = ForwardModel(onnx_forward(path, threads), tokenizer, context_length)
            yield agreement(name, graph, odds, questions, limit)
    with running_server(bundle) as base_url:
        server = Served(base_url, tokenizer)
        mismatches = http_mismatches(server, tokenizer, context_length)
        yield agreement(HTTP, server, odds, questions, limit, mismatches)


def _numbers(found: Agreement) -> dict[str, Any]:
    return {
        "largest_difference": float(f"{found.difference:.3g}"),
        "flipped": len(found.flips),
        "agreement": round(1 - found.flipped_share, 4),
        "right_to_wrong": found.count(True, False),
        "wrong_to_right": found.count(False, True),
    }


def _demand(found: Sequence[Agreement], params: Params, report: Path) -> None:
    """Refuses a bundle with a format that is another model."""
    tolerances, flipped = params.parity.tolerances.by_name(), params.parity.flipped.by_name()
    problems = [problem for each in found for problem in problems_of(each, tolerances[each.name], flipped[each.name])]
    if problems:
        raise ExportError.of(
            problems,
            f"see {report}; run `dvc repro -f export`, take the format out of export.formats, or, if the difference is "
            "that of its precision, raise its limit in params.yaml",
        )
