"""`lal release`: one look at the sealed split, on record."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lal.evaluation.gold.release import Look
    from lal.gold_items import GoldItem
    from lal.model.folder import LoadedModel

LEDGER = Path("ledger/releases.jsonl")
EXPORT = Path("models/export")
RUNS = {"models/export": Path("runs/export.json"), "models/instruct": Path("runs/sft.json")}
"""Where the stage that made a model folder left the id of its MLflow run."""


def release(
    note: Annotated[str, typer.Option("--note", help="Why you look: a look cannot be taken back.")],
    model: Annotated[Path, typer.Option("--model", help="The model folder.")] = EXPORT,
    gold: Annotated[Path, typer.Option("--gold", help="The gold folder.")] = Path("gold"),
    ledger: Annotated[Path, typer.Option("--ledger", help="Where looks are written down.")] = LEDGER,
    params: Annotated[Path, typer.Option("--params", help="How to ask, and gold.headline.")] = Path("params.yaml"),
) -> None:
    """Score the shipped model on the sealed items: one look, written into the ledger before it is shown."""
    from lal.data.versions import read_lock
    from lal.evaluation.gold.folder import load_gold
    from lal.evaluation.gold.release import begin_look, describe_look, finish_look, read_looks
    from lal.evaluation.scores.results import SHIPPED
    from lal.evaluation.scores.scoreboard import check_headline
    from lal.evaluation.scores.scoring import score_answers
    from lal.evaluation.solvers.solver import chat_model
    from lal.params import load_params

    settings = load_params(params)
    loaded = _load(model)
    items = load_gold(gold, split="sealed")
    check_headline(settings.gold.headline, items)
    version = read_lock(gold).last_version
    read_looks(ledger)  # A ledger that cannot be read stops a look before it is taken.

    look = begin_look(ledger, _look(model, items, version, note))
    typer.echo(f"look {look.look}: {model} answers {len(items)} sealed items")
    solver = chat_model(SHIPPED, loaded, settings.evaluate.max_new_tokens, settings.evaluate.batch_size)
    results = score_answers(items, solver.answer(items))
    done = finish_look(ledger, look, results, settings.gold.headline)
    typer.echo(describe_look(done, read_looks(ledger)))
    typer.echo(f"Commit {ledger}: the count is only as honest as its history.")


def _load(model: Path) -> "LoadedModel":
    """The model, if it is what was exported.

    Raises:
        ModelError: There is none, or its files are not those of its manifest.
    """
    from lal.export.manifest import NAME, check_manifest
    from lal.model.folder import load_model

    if not model.is_dir():
        remedy = "`dvc repro` makes it; or name another one: lal release --model models/instruct"
        raise ModelError(f"{model}: nothing is exported there", remedy)
    if model == EXPORT or (model / NAME).is_file():
        check_manifest(model)
    return load_model(model)


def _look(model: Path, items: "Sequence[GoldItem]", version: int, note: str) -> "Look":
    from lal.evaluation.gold.release import Look, item_digests, items_digest
    from lal.files import sha256
    from lal.lineage import git_state, project_root, recorded_run
    from lal.model.folder import WEIGHTS

    digests, git, name = item_digests(items), git_state(project_root()), model.as_posix()
    return Look(
        look=1,
        when=datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        note=note,
        model=name,
        model_sha256=sha256(model / WEIGHTS),
        gold_version=version,
        items_sha256=items_digest(digests),
        items={key: digest[:8] for key, digest in digests.items()},
        run_id=recorded_run(RUNS[name]) if name in RUNS else None,
        commit=git.commit if git else None,
        uncommitted=bool(git and git.changed),
        finished=False,
    )
