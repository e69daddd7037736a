"""`lal promote`: the model of the last `dvc repro` becomes the champion, which the next ones are measured against."""

import datetime
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import GateError
from lal.files import sha256

if TYPE_CHECKING:
    from lal.evaluation.scores.results import Result
    from lal.evaluation.verdict.champion import Champion, ChampionFacts
    from lal.evaluation.verdict.gate_file import GateFile

ANSWERS, GATE, BUNDLE = Path("reports/gold.jsonl"), Path("metrics/gate.json"), Path("models/export")
CHAMPION, GOLD, RUN = Path("champion"), Path("gold"), Path("runs/evaluate.json")

REPRO = "run `dvc repro`, then promote what came out of it"

NEXT = """\
Now keep it:  git add champion && git commit -m 'Promote a model'
`dvc repro` will then run `gate` again, because what it compares with has changed, and `export`, because the model card
says the verdict. Nothing is trained or evaluated again."""


def promote(
    reason: Annotated[
        str, typer.Option("--reason", help="Why, in a sentence; it also promotes a model that the gate refuses.")
    ] = "",
) -> None:
    """Make the last model the champion, if the gate let it through."""
    from lal.evaluation.scores.results import SHIPPED, of_solver, read_results
    from lal.evaluation.verdict.champion import read_champion, write_champion
    from lal.evaluation.verdict.gate_file import read_gate

    gate = read_gate(GATE)
    model = _judged_model(gate)
    results = of_solver(read_results(ANSWERS), SHIPPED)
    before = read_champion(CHAMPION)
    if before and (before.facts.model_sha256, before.results) == (model, results):
        print(f"this model is the champion already, since {before.facts.promoted_on}")
        return
    if not gate.passed and not reason.strip():
        raise GateError.of(
            [gate.sentence, *gate.failed], "mend it; or say why to promote it all the same: lal promote --reason '...'"
        )
    facts = write_champion(CHAMPION, results, _facts(gate, model, results, reason.strip()))
    print(f"{CHAMPION}: {len(results)} answers of model {model[:12]}, promoted {_place_of(before)}")
    if not gate.passed:
        print(f"The gate had refused it. {gate.sentence}")
    if facts.uncommitted:
        print(f"Not committed when it was promoted: {', '.join(facts.uncommitted)}")
    print(NEXT)


def _judged_model(gate: "GateFile") -> str:
    """The SHA-256 of the exported weights, if they, the answers, the champion and the verdict belong together.

    Raises:
        GateError: One of them is of another run.
        LalError: The bundle is damaged.
    """
    from lal.evaluation.verdict.champion import champion_digest
    from lal.export.manifest import check_manifest

    if not ANSWERS.is_file() or sha256(ANSWERS) != gate.digests.get("answers"):
        raise GateError(f"{GATE}: the verdict is not about {ANSWERS} as it is now", REPRO)
    if champion_digest(CHAMPION) != gate.digests.get("champion"):
        raise GateError(f"{GATE}: the verdict is about another champion than the one in {CHAMPION}", REPRO)
    if not BUNDLE.is_dir():
        raise GateError(f"{BUNDLE}: no exported model to promote", REPRO)
    manifest = check_manifest(BUNDLE)
    inputs = manifest["made_from"].get("inputs", {})
    for name, path in (("gold_answers", ANSWERS), ("gate", GATE)):
        if inputs.get(name) != sha256(path):
            raise GateError(f"{BUNDLE}: made with another {path} than the one that is there now", REPRO)
    return str(manifest["files"]["model.safetensors"]["sha256"])


def _facts(gate: "GateFile", model: str, results: "list[Result]", reason: str) -> "ChampionFacts":
    from lal.evaluation.verdict.champion import ChampionFacts
    from lal.lineage import git_state, recorded_run

    git = git_state(Path.cwd())
    return ChampionFacts(
        promoted_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        reason=reason,
        gate=gate.sentence,
        run_id=recorded_run(RUN),
        commit=git.commit if git else None,
        uncommitted=git.changed if git else (),
        model_sha256=model,
        gold_versions=_gold_versions(results),
        results_sha256="",
    )


def _gold_versions(results: "list[Result]") -> dict[str, int]:
    """Version of the gold set -> answered items that took their form in it."""
    from lal.evaluation.gold.folder import load_gold

    answered = {result.item_id for result in results}
    counts = Counter(str(item.version) for item in load_gold(GOLD) if item.id in answered)
    return dict(sorted(counts.items()))


def _place_of(before: "Champion | None") -> str:
    return "as the first champion" if before is None else f"in place of {before.facts.model_sha256[:12]}"
