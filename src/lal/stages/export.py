"""Export: the measured model becomes a folder to ship, is read back, and must answer as it was measured."""

import shutil
from pathlib import Path
from typing import Any

from lal.errors import ExportError
from lal.evaluation.scores.results import HYBRID, SHIPPED, Result, of_solver, read_results
from lal.evaluation.solvers.hybrid import NAME as LEXICON
from lal.evaluation.solvers.hybrid import combine, learn_sure_words, read_sure_words, usable_line
from lal.evaluation.verdict.gate_file import read_gate
from lal.export.bundle import write_bundle
from lal.export.card import Measured
from lal.export.manifest import check_manifest
from lal.export.opened import MEASURE_AGAIN, NUM_LOGIT_PROMPTS, read_measured
from lal.export.origin import data_origin
from lal.export.parity import demand_parity, flipped_answers, largest_logit_difference
from lal.files import read_json
from lal.model.folder import LoadedModel, load_model
from lal.params import Params
from lal.records import Conversation, read_records
from lal.reporting import Reporter
from lal.text.chat import render_prompt

TOLERANCES = {"float32": 0.0, "bfloat16": 0.5}
"""Largest allowed difference of a logit; rounding to bfloat16 moves logits by some hundredths, float32 is copied."""


def export(
    *, params: Params, instruct: Path, corpus: Path, tokens: Path, conversations: Path, gold: Path, answers: Path,
    scores: Path, gate: Path, bundle: Path, reporter: Reporter,
) -> dict[str, Any]:  # fmt: skip
    """Ships the fine-tuned model as a folder, and proves that it is the one that was measured.

    Where the hybrid was measured, its table goes into the folder, learned again and proved likewise.

    The gate's verdict is written on the model card. Whether a model that was not let through is exported is decided
    before, by `gate.stop`.

    Raises:
        ExportError: What was written gives other logits or other gold answers, there are none to compare with, or the
            model was trained on other data than lie there; nothing is put at `bundle` then.
        DataError: A file that it reads is missing or damaged.
    """
    original = load_model(instruct)
    measured = read_measured(gold, answers)
    prompts = _prompts(original, measured)
    if not prompts:
        raise ExportError(f"{answers}: no answers of {SHIPPED!r} to the items of {gold}", MEASURE_AGAIN)

    hybrid = of_solver(read_results(answers), HYBRID)
    sure = learn_sure_words(read_records(conversations / "train.jsonl", Conversation)) if hybrid else None
    draft = bundle.with_name(f"{bundle.name}.draft")
    inputs = {"gold_answers": answers, "gold_scores": scores, "gate": gate}
    verdict = read_gate(gate)
    data = data_origin(corpus, tokens, conversations, original.provenance, original.tokenizer)
    try:
        write_bundle(draft, original, params.export, read_json(scores), measured, inputs, data, verdict, sure)
        check_manifest(draft)
        proof = _prove_parity(original, load_model(draft), measured, prompts, TOLERANCES[params.export.dtype])
        proof |= _prove_hybrid(draft, measured, hybrid) if hybrid else {}
        shutil.rmtree(bundle, ignore_errors=True)
        draft.rename(bundle)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    size = sum(path.stat().st_size for path in bundle.iterdir())
    reporter.attach(bundle / "README.md")
    reporter.attach(bundle / "manifest.json")
    reporter.say(f"{bundle}: {size:,} bytes, answers all {len(prompts)} gold items that fit its context as measured")
    return {"bytes": size, **proof}


def _prove_parity(
    original: LoadedModel,
    shipped: LoadedModel,
    measured: list[Measured],
    prompts: dict[str, list[int]],
    tolerance: float,
) -> dict[str, Any]:
    """What the two models' logits and gold answers differ by. Raises: see `demand_parity`."""
    difference = largest_logit_difference(original.model, shipped.model, list(prompts.values())[:NUM_LOGIT_PROMPTS])
    texts = {each.item.id: each.result.text for each in measured if each.item.id in prompts}
    limit = max(1, *(each.result.num_tokens for each in measured))
    flipped = flipped_answers(shipped.model, shipped.tokenizer, prompts, texts, limit)
    demand_parity(difference, tolerance, flipped, len(prompts))
    return {
        "largest_logit_difference": difference,
        "gold_items_checked": len(prompts),
        "gold_items_flipped": len(flipped),
    }


def _prove_hybrid(bundle: Path, measured: list[Measured], hybrid: list[Result]) -> dict[str, Any]:
    """How many lines the written table and the model's answers were combined for, all of them as it was measured.

    Raises:
        ExportError: The hybrid was measured with another table, or there was none to write.
    """
    if not (bundle / LEXICON).is_file():
        raise ExportError("the hybrid was measured, but the training conversations teach no table", MEASURE_AGAIN)
    sure = read_sure_words(bundle)
    said = {each.item.id: usable_line(each.result.text, each.result.finish_reason) for each in measured}
    flipped = [row.item_id for row in hybrid if combine(row.task, said.get(row.item_id), sure) != row.text]
    if flipped:
        raise ExportError(
            f"with the exported {LEXICON}, {len(flipped)} of {len(hybrid)} lines of the hybrid are others than were "
            f"measured: {', '.join(flipped[:5])}",
            MEASURE_AGAIN,
        )
    return {"hybrid_items_checked": len(hybrid)}


def _prompts(original: LoadedModel, measured: list[Measured]) -> dict[str, list[int]]:
    """Prompts by item; one longer than the context was never answered, and is left out."""
    prompts = {each.item.id: render_prompt(each.item.messages, original.tokenizer) for each in measured}
    most = original.model.config.context_length
    return {identity: prompt for identity, prompt in prompts.items() if len(prompt) <= most}
