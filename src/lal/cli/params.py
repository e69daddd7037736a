"""`lal params`: check the file, explain its knobs."""

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lal.errors import ParamsError
from lal.params import SHAPES, Params, Shape, load_params
from lal.sections import Condition, Reference

app = typer.Typer(help="Check params.yaml and explain its knobs.", no_args_is_help=True, rich_markup_mode=None)

ParamsFile = Annotated[Path, typer.Argument(help="The file to read.")]
PARAMS = Path("params.yaml")

LISTED: dict[str, type[BaseModel]] = {
    "model.size": Shape,
    "gate.conditions": Condition,
    "evaluate.references": Reference,
}
"""Knobs whose value holds knobs of its own, each explained below it."""


@app.command()
def check(file: ParamsFile = PARAMS) -> None:
    """Say whether the file is right; otherwise name each problem with its line."""
    load_params(file)
    print(f"{file}: all is well")


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="A key such as `pretrain.steps`, or its start or its end.")] = "",
    file: Annotated[Path, typer.Option("--file", help="The file whose values are shown.")] = PARAMS,
) -> None:
    """Show each knob with its value, its bounds and what moves when it is turned."""
    params = load_params(file)
    shown = [(name, field) for name, field in knobs(Params) if name.startswith(key) or name.endswith(f".{key}")]
    if not shown:
        raise ParamsError(f"there is no {key!r}", "`lal params explain` lists all keys")
    for name, field in shown:
        value = _value(params, name)
        if value is not None or "size." not in name:
            print(f"{name} = {_plain(value)}\n    {kind(field)}. {field.description}")


@app.command()
def markdown() -> None:
    """Print docs/params.md."""
    print(reference(), end="")


def knobs(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yields (dotted key, field) of every knob below a section, in the order of the file."""
    for name, field in model.model_fields.items():
        key, inner = f"{prefix}{field.alias or name}", field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from knobs(inner, f"{key}.")
        else:
            yield key, field
            if key in LISTED:
                yield from knobs(LISTED[key], f"{key}.")


def kind(field: FieldInfo) -> str:
    """A field's type and bounds in words: `integer, at least 1`."""
    words = {int: "integer", float: "number", bool: "true or false", str: "text", types.NoneType: "null"}
    annotation = field.annotation
    options = (
        typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType)
        else (annotation,)
    )
    names: list[str] = []
    for option in options:
        if typing.get_origin(option) is typing.Literal:
            names += [f"`{_plain(choice)}`" for choice in typing.get_args(option)]
        elif typing.get_origin(option) is tuple:
            entries = {Condition: "conditions", Reference: "references"}
            names.append(f"list of {entries.get(typing.get_args(option)[0], 'words')}")
        else:
            names.append("mapping" if option is Shape else words[option])
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bounds = [
        f"{word} {getattr(rule, sign)}"
        for rule in field.metadata
        for sign, word in signs.items()
        if getattr(rule, sign, None) is not None
    ]
    return ", ".join([" or ".join(names), *bounds])


def reference() -> str:
    """docs/params.md: a table a section, from the descriptions in `lal.params`."""
    lines = [
        "# params.yaml",
        "",
        "Made from `src/lal/params.py` by `lal params markdown > docs/params.md`; edit the descriptions there.",
        "",
    ]
    for name, section in Params.model_fields.items():
        inner, title = section.annotation, section.alias or name
        lines += [f"## {title}", ""]
        fields = [(title, section)]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            lines += [(inner.__doc__ or "").strip(), ""]
            fields = [(key.removeprefix(f"{title}."), field) for key, field in knobs(inner, f"{title}.")]
        lines += ["| key | value | what it does |", "| --- | --- | --- |"]
        lines += [f"| `{key}` | {kind(field)} | {field.description} |" for key, field in fields]
        lines.append("")
    lines += ["The named sizes:", "", "| size | layers | heads | width | context |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {s.num_layers} | {s.num_heads} | {s.width} | {s.context_length} |" for name, s in SHAPES.items()
    ]
    return "\n".join(lines) + "\n"


def _value(params: Params, key: str) -> Any:
    node: Any = params.model_dump(by_alias=True)
    for part in key.split("."):
        if isinstance(node, (list, tuple)):
            node = [entry[part] for entry in node]
        else:
            node = node.get(part) if isinstance(node, dict) else None
    return node


def _plain(value: Any) -> str:
    """A value as params.yaml writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return "null" if value is None else str(value)
