"""`lal plan`: which model to train in the minutes there are, what it will reach, and afterwards, how true that was."""

import datetime
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import DataError, ParamsError

if TYPE_CHECKING:
    from lal.advice.planning import Proposal
    from lal.params import Params

PARAMS, TOKENS, TOKENIZER = Path("params.yaml"), Path("data/tokens"), Path("models/tokenizer")
METRICS, KEPT = Path("metrics/pretrain.json"), Path(".lal", "plan.json")


def plan(
    minutes: Annotated[
        float, typer.Option(min=0.1, help="How long pretraining may take; fine-tuning comes after.")
    ] = 10.0,
    apply: Annotated[bool, typer.Option("--apply", help="Write the choice into params.yaml.")] = False,
    review: Annotated[bool, typer.Option("--review", help="Say how good the last prediction was.")] = False,
) -> None:
    """Propose shape, batch and steps for the corpus at hand, and foretell loss and time; measures for some seconds."""
    if review:
        _review()
        return
    from lal.advice.planning import best, propose, read_material
    from lal.advice.prediction import Prediction, write_prediction
    from lal.params import load_params

    params = load_params(PARAMS)
    material = read_material(TOKENS, TOKENIZER)
    print(
        f"{material.corpus_bytes:,} bytes to learn from, {material.anchor:.2f} bits a byte by counting five bytes at a "
        "time; measuring this machine ..."
    )
    proposals = list(propose(params, material, minutes))
    chosen = best(proposals)
    for line in _table(proposals, chosen):
        print(line)
    low, likely, high = (_clock(value) for value in (chosen.minutes.low, chosen.minutes.likely, chosen.minutes.high))
    print(f"\nBegun now, `dvc repro pretrain` ends at about {likely}, between {low} and {high}.")
    planned = chosen_params(params, chosen)
    if apply:
        from lal.files import write_text

        write_text(PARAMS, applied(PARAMS.read_text(encoding="utf-8-sig"), chosen))
        print("Written into params.yaml: model.size, pretrain.batch_size, pretrain.steps.")
    else:
        print("`lal plan --apply` writes it into params.yaml.")
    write_prediction(KEPT, planned, material.digest, Prediction(chosen.bits_per_byte, chosen.minutes))


def chosen_params(params: "Params", chosen: "Proposal") -> "Params":
    """The params with the proposal in place."""
    model = params.model.model_copy(update={"size": chosen.size})
    pretrain = params.pretrain.model_copy(update={"batch_size": chosen.batch_size, "steps": chosen.steps})
    return params.model_copy(update={"model": model, "pretrain": pretrain})


def applied(text: str, chosen: "Proposal") -> str:
    """The text of a params.yaml with the proposal in place, comments and order as they were.

    Raises:
        ParamsError: The outcome would not be a params.yaml.
    """
    from ruamel.yaml import YAML

    from lal.params import parse_params

    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width, yaml.Representer = True, 4096, _representer()
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    size = tree["model"]["size"]
    if isinstance(chosen.size, str) or isinstance(size, str):
        tree["model"]["size"] = chosen.size if isinstance(chosen.size, str) else _flow(chosen.size.model_dump())
    else:
        size.update(chosen.size.model_dump())
    tree["pretrain"]["batch_size"], tree["pretrain"]["steps"] = chosen.batch_size, chosen.steps
    written = io.StringIO()
    yaml.dump(tree, written)
    parse_params(written.getvalue())
    return written.getvalue()


def _representer() -> type:
    """Writes null as `null`; the library's own leaves the place empty."""
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Of a class of its own, so that nobody else's files change."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))
    return Representer


def _flow(values: dict[str, int]) -> object:
    """A mapping that is written on one line."""
    from ruamel.yaml.comments import CommentedMap

    mapping = CommentedMap(values)
    mapping.fa.set_flow_style()
    return mapping


def _table(proposals: "list[Proposal]", chosen: "Proposal") -> list[str]:
    lines = [
        f"  {'size':<8} {'layers x width':>14} {'batch':>5} {'steps':>7} {'passes':>6} {'minutes':>12} "
        f"{'bits a byte':>20}"
    ]
    for each in proposals:
        shape = each.shape
        name = each.size if isinstance(each.size, str) else "-"
        lasting = f"{each.minutes.low:.1f}-{each.minutes.high:.1f}"
        bits = f"{each.bits_per_byte.likely:.2f} ({each.bits_per_byte.low:.2f}-{each.bits_per_byte.high:.2f})"
        lines.append(
            f"{'*' if each is chosen else ' '} {name:<8} {f'{shape.num_layers} x {shape.width}':>14} "
            f"{each.batch_size:>5} {each.steps:>7,} {each.epochs:>6.1f} {lasting:>12} {bits:>20}"
        )
    nats = chosen.nats_per_token
    told = f"* the lowest loss foretold: {nats.likely:.2f} nats a token ({nats.low:.2f} to {nats.high:.2f})"
    return [*lines, told]


def _review() -> None:
    """What was foretold beside what was measured."""
    from lal.advice.prediction import read_prediction
    from lal.files import read_json, sha256
    from lal.params import load_params

    if not KEPT.exists():
        raise DataError(f"{KEPT}: nothing was foretold", "run `lal plan --minutes 10 --apply`, then `dvc repro`")
    prediction = read_prediction(KEPT, load_params(PARAMS), sha256(TOKENS / "train.bin"))
    if prediction is None:
        raise ParamsError(
            f"{KEPT}: was foretold of another run than params.yaml and {TOKENS} describe",
            "`lal plan --apply` plans anew; values that were edited since make another run",
        )
    metrics = read_json(METRICS)
    if "prediction" not in metrics:
        raise DataError(f"{METRICS}: the planned run has not been trained yet", "run `dvc repro pretrain`")
    print(metrics["prediction"]["sentence"])


def _clock(minutes: float) -> str:
    return f"{datetime.datetime.now().astimezone() + datetime.timedelta(minutes=minutes):%H:%M}"
