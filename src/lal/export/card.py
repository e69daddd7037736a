"""The model card: a bundle's README.md, written from lineage, scores and answers, so that it says only what is so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lal.evaluation.scores.results import HYBRID, Result
from lal.evaluation.verdict.gate_file import GateFile
from lal.export.formats import WrittenFile
from lal.gold_items import GoldItem

LIMITS = """## Limits

A model of this size knows its task and little else: it does not know facts, and what it says outside its task is noise
in the voice of its corpus. {measured}Read what it writes before you publish it.

Lal takes `<|assistant|>` and the other control tokens, typed by a user, for the letters they are. Other programs,
transformers among them, turn them into the control tokens: there, remove them from what strangers type.
"""


HYBRID_USE = [
    "`lal modernise --hybrid` takes the words that training left no doubt about from `lexicon.json`, the rest from the",
    "model: the row `hybrid` of the table.",
]


@dataclass(frozen=True)
class Measured:
    """A gold item and what the model said to it when it was measured."""

    item: GoldItem
    result: Result


def model_card(
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    scores: Mapping[str, Any],
    answers: Sequence[Measured],
    num_parameters: int,
    gate: GateFile,
    files: Sequence[WrittenFile],
) -> str:
    """Markdown of the card. Language and tags stand in it only if the model was asked to modernise lines.

    Args:
        config: The bundle's config.json.
        provenance: The fine-tuned model's lal.json: params, input digests, parent.
        scores: metrics/evaluate.json: scores of every solver.
        answers: The model's answers to the gold set.
        num_parameters: Weights, each counted once.
        gate: What the gate said of the model.
        files: The model in each of its formats.
    """
    modernises = any(each.result.is_line for each in answers)
    return "\n".join(
        [
            *_front_matter(modernises),
            "# Lal",
            "",
            "A small language model made by one pipeline, measured on a gold set before it was shipped.",
            "",
            _shape(config, num_parameters),
            "",
            *_usage(example(answers), modernises, HYBRID in scores.get("exact", {})),
            "",
            *_file_table(files),
            "## Gold-set scores",
            "",
            *_score_table(scores),
            "",
            *_verdict(gate),
            LIMITS.format(measured=_measured_on(answers)),
            "## Made from",
            "",
            *_lineage(provenance),
            "",
            "Its licence follows from those of its texts: `licences` in the manifest.json of data/corpus and of",
            "data/conversations.",
            "",
        ]
    )


def example(answers: Sequence[Measured]) -> Measured | None:
    """A question of one turn that the model answers rightly; if possible by other words than those of the question."""
    right = [each for each in answers if each.result.passed and len(each.item.messages) == 1]
    return next((each for each in right if each.result.text.strip() != each.result.task), next(iter(right), None))


def _shape(config: Mapping[str, Any], num_parameters: int) -> str:
    return (
        f"{num_parameters:,} parameters: {config['num_hidden_layers']} layers, {config['num_attention_heads']} heads, "
        f"{config['hidden_size']} wide, context {config['max_position_embeddings']} tokens, "
        f"vocabulary {config['vocab_size']} ({config['architectures'][0]})."
    )


def _front_matter(modernises: bool) -> list[str]:
    tags = ["small-language-model", *(["historical-text-normalisation"] if modernises else [])]
    return [
        "---",
        *(["language: en"] if modernises else []),
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"tags: [{', '.join(tags)}]",
        "---",
        "",
    ]


def _usage(shown: Measured | None, modernises: bool, has_hybrid: bool) -> list[str]:
    """A snippet that asks what the model is known to answer, and shows the answer."""
    question = json.dumps(shown.result.prompt if shown else "...", ensure_ascii=False)
    answer = [f"# {json.dumps(shown.result.text, ensure_ascii=False)}"] if shown else []
    ours = "`lal chat --model <this folder>`" + (" and `lal modernise <file>`" if modernises else "")
    return [
        "## Use it",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # where this file lies',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
        f'messages = [{{"role": "user", "content": {question}}}]',
        "inputs = tokenizer.apply_chat_template(",
        '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
        ")",
        'answer = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]',
        "print(tokenizer.decode(answer, skip_special_tokens=True))",
        *answer,
        "```",
        "",
        f"or, with Lal installed, {ours}.",
        *(HYBRID_USE if has_hybrid else []),
    ]


def _file_table(files: Sequence[WrittenFile]) -> list[str]:
    """The same model in several files: one is enough."""
    rows = [f"| `{file.name}` | {file.readers} | {file.num_bytes / 1e6:.2f} |" for file in files]
    return ["## Files", "", "One of these is enough.", "", "| file | for | MB |", "| --- | --- | ---: |", *rows, ""]


def _measured_on(answers: Sequence[Measured]) -> str:
    if not answers:
        return ""
    kinds = sorted({"single lines" if each.result.is_line else "questions" for each in answers}, reverse=True)
    sources = dict.fromkeys(each.item.source for each in answers)
    return f"It was measured on {len(answers)} {' and '.join(kinds)}, from: {', '.join(sources)}. "


def _score_table(scores: Mapping[str, Any]) -> list[str]:
    """Share of right answers of each solver in each slice; a dash where a solver does not apply."""
    exact, checks, headline = (scores.get(key, {}) for key in ("exact", "checks", "headline"))
    columns = {name: (exact, name) for row in exact.values() for name in row}
    if headline:
        columns["headline"] = ({solver: {"headline": share} for solver, share in headline.items()}, "headline")
    columns |= {f"{name} (checked)": (checks, name) for row in checks.values() for name in row}
    lines = ["| right answers | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for solver in dict.fromkeys([*exact, *checks, *headline]):
        shares = [table.get(solver, {}).get(name) for table, name in columns.values()]
        lines.append(f"| {solver} | " + " | ".join("-" if share is None else f"{share:.3f}" for share in shares) + " |")
    return lines


def _verdict(gate: GateFile) -> list[str]:
    """What the gate said, a refusal as well as a yes."""
    return ["## Gate", "", gate.sentence, "", *(f"- {told}" for told in gate.told), ""]


def _lineage(provenance: Mapping[str, Any]) -> list[str]:
    """One bullet for each model of the chain and each digest, newest first."""
    lines = []
    node: Mapping[str, Any] | None = provenance
    while node:
        lines.append(f"- stage `{node['stage']}`")
        lines += [f"    - {name}: sha256 `{digest}`" for name, digest in node.get("inputs", {}).items()]
        node = node.get("parent")
    return lines
