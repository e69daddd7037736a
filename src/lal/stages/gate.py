"""Stage `gate`: the scores judged by the conditions of params.yaml, and the report on the gold set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lal.data.overlap_list import read_overlaps
from lal.errors import GateError
from lal.evaluation.copies.records import read_copies
from lal.evaluation.failures.records import read_failures
from lal.evaluation.report.copies import copies_section
from lal.evaluation.report.groups import groups_section
from lal.evaluation.report.ladder import ladder_section
from lal.evaluation.report.overlap import overlap_section
from lal.evaluation.report.page import write_report
from lal.evaluation.report.table import render_table
from lal.evaluation.report.training import read_curve, training_section
from lal.evaluation.report.verdict import verdict_section
from lal.evaluation.scores.results import SHIPPED, Result, of_solver, read_results
from lal.evaluation.statistics.noise import NoiseFloor, describe_floor, read_noise
from lal.evaluation.verdict.champion import Champion, champion_digest, read_champion
from lal.evaluation.verdict.comparison import compare
from lal.evaluation.verdict.gate import judge
from lal.evaluation.verdict.judgement import GateVerdict, gate_json
from lal.evaluation.verdict.ladder import build_ladder
from lal.files import read_json, sha256
from lal.params import Params
from lal.reporting import Reporter


def gate(
    *, params: Params, answers: Path, scores: Path, failures: Path, copies: Path, overlaps: Path, champion: Path,
    noise: Path, trainings: Mapping[str, tuple[Path, Path]], report: Path, reporter: Reporter,
) -> dict[str, Any]:  # fmt: skip
    """Judges the answers and writes the report; a bad model is a result, not an error (see `demand_passed`).

    Args:
        params: All parameters.
        answers: reports/gold.jsonl.
        scores: metrics/evaluate.json, for what cannot be computed from the answers: sizes and bits per byte.
        failures: reports/failures.json.
        copies: reports/copies.json.
        overlaps: reports/overlaps.json.
        champion: Folder of the champion; empty before the first promotion.
        noise: metrics/noise.json, the spread between trainings that differ in the seed alone.
        trainings: Stage -> its metrics/<stage>.json and its plots/<stage>.csv.
        report: Where reports/gold.html goes.
        reporter: Whom to tell.

    Returns:
        The metrics; see `lal.evaluation.verdict.judgement.gate_json`.

    Raises:
        DataError: A file is not what it should be.
    """
    results, held, floor = read_results(answers), read_champion(champion), read_noise(noise)
    headline = params.gold.headline
    verdict = judge(results, params.gate, headline, held, floor)
    sections = {
        "ladder": ladder_section(
            build_ladder(results, headline, SHIPPED, read_json(scores), held.results if held else ())
        ),
        "verdict": _verdict_section(verdict, results, headline, held, floor),
        "groups": groups_section(read_failures(failures)),
        "copies": copies_section(read_copies(copies)),
        "overlap": overlap_section(results, read_overlaps(overlaps), headline, SHIPPED),
        "training": training_section({name: (read_json(m), read_curve(c)) for name, (m, c) in trainings.items()}),
    }
    write_report(report, results, headline, SHIPPED, sections)
    reporter.attach(report)
    for line in [render_table(results, headline, SHIPPED), *verdict.lines]:
        reporter.say(line)
    return gate_json(verdict, _digests(answers, champion))


def _digests(answers: Path, champion: Path) -> dict[str, str]:
    """What the verdict is about, so that `lal promote` can tell whether it is still that."""
    promoted = champion_digest(champion)
    return {"answers": sha256(answers)} | ({} if promoted is None else {"champion": promoted})


def _verdict_section(
    verdict: GateVerdict,
    results: Sequence[Result],
    headline: Sequence[str],
    held: Champion | None,
    floor: NoiseFloor | None,
) -> str:
    """The gate, and the champion item by item."""
    comparison = compare(held.results, of_solver(results, SHIPPED), headline, floor) if held else None
    return verdict_section(verdict, comparison, held, describe_floor(floor, results))


def demand_passed(metrics: Mapping[str, Any], params: Params) -> None:
    """Stops the pipeline before the export, if it is to stop for a model that the gate does not let through.

    Raises:
        GateError: `gate.stop` is true and the gate was not passed; names the conditions.
    """
    if params.gate.stop and not metrics["passed"]:
        failed = [condition["sentence"] for condition in metrics["conditions"] if not condition["passed"]]
        raise GateError.of(
            [*metrics["verdict"], *failed],
            "reports/gold.html shows the items; to go on all the same, set gate.stop to false",
        )
