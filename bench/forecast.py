"""How well the loss of a run is foretold: `python -m bench.forecast`, on the tokens that `dvc repro tokenizer` made.

Trains some shapes for some steps, each with its own full decay, on the corpus at hand, and sets what was foretold
beside what came out. None of these runs was fitted to. Each row also stands as `lal.advice.forecast` has it: put
into its table, it improves the law.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from bench.table import PAGE, report
from lal.advice.forecast import Size, block_parameters, calibrated
from lal.advice.planning import Material, read_material
from lal.params import Params, Shape, load_params
from lal.reporting import NullReporter
from lal.stages.pretrain import pretrain

RUNS = ((64, 200), (64, 800), (128, 150), (128, 600), (192, 200))
"""Width and steps; 4 layers, heads 32 wide, context and rows of `params.yaml`: 15 to 20 minutes on two cores."""


def main(
    tokens: Path = Path("data/tokens"), tokenizer: Path = Path("models/tokenizer"), page: Path | None = PAGE
) -> None:
    """Trains, and writes the table."""
    measure(load_params(Path("params.yaml")), tokens, tokenizer, RUNS, page)


def measure(
    params: Params, tokens: Path, tokenizer: Path, runs: Sequence[tuple[int, int]], page: Path | None
) -> list[dict[str, object]]:
    """One row a run: foretold and measured bits a byte; see `main`."""
    material = read_material(tokens, tokenizer)
    rows = [_row(params, tokens, tokenizer, material, width, steps) for width, steps in runs]
    inside = sum(row["inside"] == "yes" for row in rows)
    note = f"Inside the range: {inside} of {len(rows)}. Left-out error of the fit: {calibrated().error:.1%}."
    report("forecast", "The loss foretold and measured", rows, note, page)
    return rows


def _row(
    params: Params, tokens: Path, tokenizer: Path, material: Material, width: int, steps: int
) -> dict[str, object]:
    context_length, batch_size = params.model.shape.context_length, params.pretrain.batch_size
    shape = Shape(num_layers=4, num_heads=max(1, width // 32), width=width, context_length=context_length)
    tree = params.model_dump(mode="json", by_alias=True)
    tree["model"] |= {"size": shape.model_dump(), "num_kv_heads": None}
    tree["pretrain"] |= {"steps": steps, "validate_every": steps}
    batch_bytes = context_length * batch_size * material.bytes_per_token
    size = Size(material.anchor, block_parameters(shape), material.corpus_bytes, steps * batch_bytes, batch_bytes)
    told = calibrated().bits_per_byte(size)
    with tempfile.TemporaryDirectory() as folder:
        found = pretrain(
            params=Params.model_validate_json(json.dumps(tree)),
            tokenizer=tokenizer,
            tokens=tokens,
            base=Path(folder, "base"),
            curve=Path(folder, "curve.csv"),
            scratch=Path(folder, "scratch"),
            reporter=NullReporter(),
        )["validation"]["bits_per_byte"]
    return {
        "width": width,
        "steps": steps,
        "foretold": round(told.likely, 3),
        "range": f"{told.low:.2f} to {told.high:.2f}",
        "measured": round(found, 3),
        "error": f"{told.likely / found - 1:+.1%}",
        "inside": "yes" if told.holds(found) else "no",
        "row of the table": f"({size.anchor:.4f}, {size.block_parameters}, {size.corpus_bytes}, {size.seen_bytes:.0f}, "
        f"{size.batch_bytes:.0f}, {found:.3f})",
    }


if __name__ == "__main__":
    typer.run(main)
