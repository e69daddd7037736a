"""The house rules of design, held by tests: layers, owners of libraries, one name per stage, honest DVC deps."""

import ast
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lal.params import Params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

LAYERS = [
    "errors", "files", "sections", "params", "records", "live", "gold_items", "reporting", "lineage", "tracking",
    "data", "text", "model", "train", "advice", "evaluation", "export", "runtime", "serve", "monitor", "stages", "cli",
]  # fmt: skip
"""A module imports from its own layer and from those before it."""

NEVER_SEES_TRACKING = set(LAYERS[LAYERS.index("data") : LAYERS.index("cli")])

OWNERS: dict[str, tuple[str, ...]] = {
    "mlflow": ("lal.tracking",),
    "great_expectations": ("lal.data.validation",),
    "fastapi": ("lal.serve",),
    "prometheus_client": ("lal.serve",),
    "starlette": ("lal.serve",),
    "uvicorn": ("lal.serve",),
    "transformers": (),
    "dvc": (),
}
"""Outside libraries with one door; an empty entry is a library the project uses but never imports."""

BYSTANDERS = {"lal", "lal.errors", "lal.params", "lal.reporting", "lal.sections"}
"""Modules that cannot change what a stage writes, left out of its DVC deps."""

SCRIPTS = {"lal.tracking.model_from_code"}
"""Run by an outside library alone and imported by nobody, so no part of a layer: MLflow opens a model with it."""

STAGES = [
    "data",
    "validate",
    "tokenizer",
    "pretrain",
    "sft",
    "evaluate",
    "gate",
    "export",
    "parity",
    "register",
    "monitor",
]

FROZEN = ["noise"]
"""Stages that a command of `lal` runs and DVC only keeps: no section of params.yaml, since they train what a profile
says; no run of the loop, so no runs/<name>.json, which a fresh clone would miss; and no deps that another stage has,
because the digests in their entry of dvc.lock are those of another day."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported_names(path: Path) -> set[str]:
    """All modules a file imports, at its top or inside functions; `from a import b` is `a.b` where that is a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) or {node.module}
    return names


IMPORTS = {name: imported_names(path) for name, path in MODULES.items()}


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def closure(module: str) -> set[str]:
    """The modules of Lal that importing one brings in; package files, which only name, are left out."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        waiting += IMPORTS[name]
    return seen


def dvc_stages() -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    return stages


def paths_of(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_its_own_layer_and_those_before_it(module: str) -> None:
    own = layer(module)
    if not own or module in SCRIPTS:
        return
    for imported in IMPORTS[module] & MODULES.keys():
        if other := layer(imported):
            assert LAYERS.index(other) <= LAYERS.index(own), f"{module} imports {imported}, a later layer"


def test_a_script_is_imported_by_nobody() -> None:
    assert MODULES.keys() >= SCRIPTS
    assert not [module for module, names in IMPORTS.items() if names & SCRIPTS]


@pytest.mark.parametrize("module", MODULES)
def test_the_parts_know_nothing_of_tracking(module: str) -> None:
    if layer(module) in NEVER_SEES_TRACKING:
        assert not {layer(name) for name in IMPORTS[module] & MODULES.keys()} & {"tracking", "lineage"}


@pytest.mark.parametrize("library", OWNERS)
def test_an_outside_library_comes_in_through_one_door(library: str) -> None:
    users = {module for module, names in IMPORTS.items() if any(name.split(".")[0] == library for name in names)}
    assert all(module.startswith(OWNERS[library]) for module in users), users
    assert bool(users) == bool(OWNERS[library])


def test_nothing_imports_the_pipeline() -> None:
    for module, names in IMPORTS.items():
        assert not [name for name in names if name.split(".")[0] == "pipeline"], module


def test_there_are_no_import_circles() -> None:
    for module in MODULES:
        for name in IMPORTS[module] & MODULES.keys():
            assert module not in closure(name), f"{module} <-> {name}"


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if path.name == "__init__.py" and name != "lal"]
)
def test_a_package_file_only_says_what_the_package_is_for(module: str) -> None:
    if module == "lal.cli":
        return  # holds the app itself
    body = ast.parse(MODULES[module].read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_a_stage_has_one_name_in_all_places() -> None:
    names = sorted([*STAGES, *FROZEN])
    assert list(dvc_stages()) == [*STAGES, *FROZEN]
    assert sorted(path.stem for path in (ROOT / "pipeline").glob("*.py") if path.stem != "__init__") == names
    assert sorted(name.removeprefix("lal.stages.") for name in MODULES if name.startswith("lal.stages.")) == names
    sections = {field.alias or name for name, field in Params.model_fields.items()}
    assert set(STAGES) <= sections


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_as_a_module_and_leaves_its_numbers_under_its_name(stage: str) -> None:
    described = dvc_stages()[stage]
    assert shlex.split(described["cmd"])[:3] == ["python", "-m", f"pipeline.{stage}"]
    assert paths_of(described["metrics"]) == [f"metrics/{stage}.json"]
    assert f"runs/{stage}.json" in described["outs"]
    assert len((ROOT / "pipeline" / f"{stage}.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("stage", FROZEN)
def test_a_frozen_stage_is_never_run_by_dvc_and_has_nothing_that_a_fresh_clone_lacks(stage: str) -> None:
    described = dvc_stages()[stage]
    assert described["frozen"] is True
    assert shlex.split(described["cmd"])[:3] == ["python", "-m", f"pipeline.{stage}"]
    assert paths_of(described["metrics"]) == [f"metrics/{stage}.json"]
    assert described["metrics"][0][f"metrics/{stage}.json"] == {"cache": False}
    assert not described.get("outs")
    others = {dep for name in STAGES for dep in dvc_stages()[name]["deps"]}
    assert described["deps"]
    assert not set(described["deps"]) & others
    assert len((ROOT / "pipeline" / f"{stage}.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_on_a_stages_command_line_is_declared(stage: str) -> None:
    described = dvc_stages()[stage]
    declared = {
        *described["deps"],
        *described["outs"],
        *paths_of(described["metrics"]),
        *paths_of(described.get("plots", [])),
    }
    arguments = [word for word in shlex.split(described["cmd"])[3:] if not word.startswith("--")]
    assert set(arguments) <= declared


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_code_deps_are_exactly_what_it_imports(stage: str) -> None:
    modules = closure(f"lal.stages.{stage}") - BYSTANDERS
    used = {f"pipeline/{stage}.py"}
    used |= {str(MODULES[name].relative_to(ROOT)) for name in modules if MODULES[name].name != "__init__.py"}
    declared = {path for path in dvc_stages()[stage]["deps"] if path.endswith(".py")}
    assert declared == used, "deps of the stage should be: " + ", ".join(sorted(used))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_exactly_the_params_it_declares(stage: str) -> None:
    tree = ast.parse(MODULES[f"lal.stages.{stage}"].read_text())
    fields = {name: field.alias or name for name, field in Params.model_fields.items()}
    read = {
        fields[node.attr]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "params"
        and node.attr in fields
    }
    assert read == set(dvc_stages()[stage].get("params", []))


def test_no_file_or_function_has_outgrown_its_room() -> None:
    for path in MODULES.values():
        text = path.read_text()
        assert text.count("\n") <= 400, f"{path.name} has more than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno <= 50, f"{path.name}: {node.name} has more than 50 lines"


@pytest.mark.slow
def test_help_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys; from lal.cli import main; sys.argv = ['lal', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'great_expectations', 'transformers', 'pandas', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, env={"PYTHONPATH": "src", "PATH": ""}, capture_output=True
    )
