"""The section on how the model was trained: both curves, what they show, and what to try next."""

import csv
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lal.errors import DataError

TITLES = {"pretrain": "Pretraining", "sft": "Fine-tuning"}
CURVES = {"train_loss": "training", "validation_loss": "validation"}
"""Column of the curve -> what it is called; the second one is drawn in the colour of the model."""

WIDTH, HEIGHT, MARGIN = 320, 120, 8
LEAST_LOSS = 1e-6
"""Nats a token; what is less is drawn there."""

Rows = Sequence[Mapping[str, float]]


def read_curve(path: Path) -> list[dict[str, float]]:
    """Reads a plots/<stage>.csv.

    Raises:
        DataError: The file is missing, or has something else than numbers.
    """
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(handle)]
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a curve: {error}", "run `dvc repro`") from error


def training_section(trainings: Mapping[str, tuple[Mapping[str, Any], Rows]]) -> str:
    """Both trainings, one below the other; nothing where no curve was kept.

    Args:
        trainings: Stage -> its metrics, and its curve.
    """
    parts = [_training(stage, metrics, rows) for stage, (metrics, rows) in trainings.items() if rows]
    return f'<section id="training"><h2>Training</h2>{"".join(parts)}</section>' if parts else ""


def _training(stage: str, metrics: Mapping[str, Any], rows: Rows) -> str:
    diagnosis, prediction = metrics.get("diagnosis"), metrics.get("prediction")
    told = ""
    if diagnosis:
        finding, evidence, following = (escape(diagnosis[key]) for key in ("finding", "evidence", "next"))
        told = f"<p><b>{finding}</b>: {evidence}. Next to try: {following}.</p>"
    if prediction:
        told += f'<p class="quiet">lal plan: {escape(prediction["sentence"])}.</p>'
    return f"<h3>{TITLES[stage]}</h3>{_drawing(TITLES[stage], rows)}{told}"


def _drawing(title: str, rows: Rows) -> str:
    """Both losses over the steps as inline SVG, from the lowest to the highest; the title says the ends in words.

    Logarithmic: the first steps of a fine-tuning bring so much that nothing else would show.
    """

    def level(row: Mapping[str, float], name: str) -> float:
        return math.log(max(row[name], LEAST_LOSS))

    levels = [level(row, name) for row in rows for name in CURVES]
    low, high, last = min(levels), max(levels), rows[-1]["step"]

    def place(row: Mapping[str, float], name: str) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * row["step"] / last
        y = MARGIN + (HEIGHT - 2 * MARGIN) * (high - level(row, name)) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline class="{name}" points="{" ".join(place(row, name) for row in rows)}"/>' for name in CURVES
    )
    ends = ", ".join(f"{word} {rows[0][name]:.3g} to {rows[-1][name]:.3g}" for name, word in CURVES.items())
    label = escape(f"{title}, steps {rows[0]['step']:,.0f} to {last:,.0f}, nats a token: {ends}")
    return (
        f'<figure><svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"<title>{label}</title>"
        f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{HEIGHT - MARGIN}" y2="{HEIGHT - MARGIN}"/>'
        f"{lines}</svg>"
        f"<figcaption>{label} (dashed: training; logarithmic)</figcaption></figure>"
    )
