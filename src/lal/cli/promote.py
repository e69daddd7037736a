"""`lal promote`: the model of the last `dvc repro` becomes the champion, which the next ones are measured against."""

import datetime
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.cli.champions import (
    CHAMPION,
    copy_champion_folder,
    find_champions,
    finish_cut_short,
    is_champion,
    make_champion,
)
from lal.errors import GateError
from lal.files import sha256

if TYPE_CHECKING:
    from lal.evaluation.scores.results import Result
    from lal.evaluation.verdict.champion import Champion, ChampionFacts
    from lal.evaluation.verdict.gate_file import GateFile
    from lal.tracking.champions import Champions

ANSWERS, GATE, BUNDLE = Path("reports/gold.jsonl"), Path("metrics/gate.json"), Path("models/export")
GOLD, RUN = Path("gold"), Path("runs/evaluate.json")

REPRO = "run `dvc repro`, then promote what came out of it"

NEXT = """\
Now keep it:  git add champion && git commit -m '{message}'
`dvc repro` will then run `gate` again, because what it compares with has changed, `export`, because the model card
says the verdict, and `register`. Nothing is trained or evaluated again."""


def promote(
    reason: Annotated[
        str, typer.Option("--reason", help="Why, in a sentence; it also promotes a model that the gate refuses.")
    ] = "",
) -> None:
    """Make the last model the champion, here and in the registry, if the gate let it through."""
    champions = find_champions()
    if champions is None:
        _promote(None, reason.strip())
        print("LAL_TRACKING is off: the registry was not told. `lal promote` without it makes up for that.")
        return
    champions.registry.demand_reachable()
    with champions.alone():
        if not finish_cut_short(champions):
            _promote(champions, reason.strip())


def _promote(champions: "Champions | None", reason: str) -> None:
    """All that can be refused is, before anything is written."""
    from lal.evaluation.scores.results import SHIPPED, of_solver, read_results
    from lal.evaluation.verdict.champion import read_champion, write_champion
    from lal.evaluation.verdict.gate_file import read_gate

    gate = read_gate(GATE)
    model = _judged_model(gate)
    results = of_solver(read_results(ANSWERS), SHIPPED)
    before = read_champion(CHAMPION)
    is_held = before is not None and (before.facts.model_sha256, before.results) == (model, results)
    if before and is_held and (champions is None or is_champion(champions, model)):
        print(f"this model is the champion already, since {before.facts.promoted_on}")
        return
    if not gate.passed and not reason and not is_held:
        raise GateError.of(
            [gate.sentence, *gate.failed], "mend it; or say why to promote it all the same: lal promote --reason '...'"
        )
    with tempfile.TemporaryDirectory(prefix="lal-promote-") as temporary:
        folder = Path(temporary)
        if before and is_held:  # The folder had it before the registry did: from another computer, or another time.
            copy_champion_folder(CHAMPION, folder)
            facts = before.facts
        else:
            facts = write_champion(folder, results, _facts(gate, model, results, reason))
        version = make_champion(champions, BUNDLE, folder, facts) if champions else None
        if version is None:
            copy_champion_folder(folder, CHAMPION)
    if before and is_held:
        print(f"this model is the champion already, since {before.facts.promoted_on}; now the registry knows it, too")
    else:
        print(f"{CHAMPION}: {len(results)} answers of model {model[:12]}, promoted {_place_of(before)}")
    if champions and version:
        print(f"models:/{champions.name}@champion: version {version}")
    if not gate.passed:
        print(f"The gate had refused it. {gate.sentence}")
    if facts.uncommitted:
        print(f"Not committed when it was promoted: {', '.join(facts.uncommitted)}")
    print(NEXT.format(message="Promote a model"))


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
