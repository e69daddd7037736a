"""The gate: may the model take the champion's place? The conditions of params.yaml, judged with their uncertainty.

Every comparison is an interval of the difference, held against the condition's margin. The intervals are simultaneous:
Holm's method keeps the chance that any of the gate's comparisons says something false at 5 %, however many there are.
docs/decisions/0008-the-gate.md says why so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from lal.evaluation.scores.results import SHIPPED, Result, of_solver, solvers
from lal.evaluation.statistics.noise import NoiseFloor
from lal.evaluation.statistics.paired import Difference
from lal.evaluation.verdict.champion import Champion
from lal.evaluation.verdict.comparison import ALPHA, LOWER_IS_BETTER
from lal.evaluation.verdict.contests import EACH, Contest, floor_contest, paired_contest, slices_with
from lal.evaluation.verdict.judgement import GateVerdict, Judgement, Outcome
from lal.evaluation.verdict.ladder import FREE
from lal.params import GateParams
from lal.sections import Condition

CHAMPION, BEST_BASELINE = "champion", "best baseline"

NO_CHAMPION = "no champion yet: it holds once `lal promote` has made a first one"
TAKE_OUT = "name another one, or take the condition out of gate.conditions"


@dataclass(frozen=True)
class Case:
    """One condition on one slice, with what it takes to judge it.

    Attributes:
        condition: As in params.yaml.
        slice: The slice, where the condition says `each`.
        against: The opponent's name, `best baseline` resolved.
        contest: The comparison; None if there is nothing to compare.
        settled: The outcome where there is no contest.
        why: What is missing then, and what to do.
        left_out: Items of the slice that only one of the two has the score of.
    """

    condition: Condition
    slice: str
    against: str
    contest: Contest | None
    settled: Outcome = "unmet"
    why: str = ""
    left_out: int = 0


def judge(
    results: Sequence[Result],
    params: GateParams,
    headline: Sequence[str],
    champion: Champion | None,
    noise: NoiseFloor | None,
) -> GateVerdict:
    """Judges the shipped model's answers by all conditions.

    Args:
        results: All rows of reports/gold.jsonl.
        params: The conditions.
        headline: Slices whose mean is the headline.
        champion: What was promoted last, if anything.
        noise: How much scores differ between trainings that differ in the seed alone; None if not measured.
    """
    cases = [case for condition in params.conditions for case in _cases(condition, results, headline, champion)]
    deciding = {
        index: case for index, case in enumerate(cases) if case.contest and case.condition.required is not False
    }
    telling = {index: case for index, case in enumerate(cases) if case.contest and case.condition.required is False}
    # What never decides must not make the rest less sure, so it is a family of its own.
    decided = decide(_contests(deciding)) | decide(_contests(telling))
    return GateVerdict(tuple(_judgement(case, decided.get(index), noise) for index, case in enumerate(cases)))


def decide(
    contests: Mapping[int, tuple[Contest, float]], level: float = ALPHA
) -> dict[int, tuple[Outcome, Difference, float]]:
    """Holm's method with intervals: the chance of any false `met` or `unmet` among all of them is at most `level`.

    Of r comparisons, each gets an interval at confidence 1 - level / r. Those whose interval lies on one side of their
    margin, and whose exact test agrees where there is one, are decided; the others are looked at again with the smaller
    r, until none is decided any more.

    Args:
        contests: Key -> (comparison, margin).
        level: The chance, over all of them together.

    Returns:
        Key -> (outcome, the difference with the interval it was decided by, that interval's confidence).

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6,
    1979.
    """
    decided: dict[int, tuple[Outcome, Difference, float]] = {}
    waiting = dict(contests)
    while waiting:
        share = level / len(waiting)
        confidence = 1 - share
        found = {key: contest.at(confidence) for key, (contest, _) in waiting.items()}
        sides = {key: _side(found[key], margin, share) for key, (_, margin) in waiting.items()}
        settled = [key for key, side in sides.items() if side != "cannot tell"]
        for key in settled or list(waiting):
            decided[key] = (sides[key], found[key], confidence)
            del waiting[key]
    return decided


def _contests(cases: Mapping[int, Case]) -> dict[int, tuple[Contest, float]]:
    """What is decided by interval; a bare count is not."""
    return {
        index: (case.contest, case.condition.margin)
        for index, case in cases.items()
        if case.contest and case.condition.required != "observed"
    }


def _side(difference: Difference, margin: float, level: float) -> Outcome:
    """Where the interval lies; what calls two models different must also pass the exact test.

    Intervals of few items are approximate: 5 fixed and 0 broken lie above 0 by Tango's, and are no win by McNemar's
    test (p = 0.063). `Worse by more than the margin` includes `worse`, so demanding both keeps the chance to call two
    equal models different at what was stated, exactly.
    """
    differs = not difference.p_value > level  # an interval without a test (NaN) stands for itself
    if difference.low > -margin and (differs or margin > 0):
        return "met"
    return "unmet" if difference.high < -margin and differs else "cannot tell"


def _cases(
    condition: Condition, results: Sequence[Result], headline: Sequence[str], champion: Champion | None
) -> list[Case]:
    """A condition's comparisons: one, or one for each slice."""
    own = of_solver(results, SHIPPED)
    against = str(condition.against)
    if against == CHAMPION and champion is None:
        return [Case(condition, condition.slice, against, None, "no champion", NO_CHAMPION)]
    slices = slices_with(own, condition.metric) if condition.slice == EACH else [condition.slice]
    if not slices:
        why = f"{SHIPPED} has no score of {condition.metric} in any slice: {TAKE_OUT}"
        return [Case(condition, EACH, against, None, why=why)]
    return [_case(condition, name, results, headline, champion) for name in slices]


def _case(
    condition: Condition, place: str, results: Sequence[Result], headline: Sequence[str], champion: Champion | None
) -> Case:
    own, metric = of_solver(results, SHIPPED), condition.metric
    scored = floor_contest(own, 0.0, metric, place, headline)
    against = str(condition.against)
    if scored is None:
        return Case(condition, place, against, None, why=_nothing(metric, place, own))
    if isinstance(condition.against, (int, float)):
        return Case(condition, place, against, floor_contest(own, float(condition.against), metric, place, headline))
    if against == CHAMPION:
        old = champion.results if champion else []
        why = (
            f"the champion answered no item of {place} as it is now, or has no score of {metric}: if the gold set was "
            "replaced, `lal promote --reason 'new gold set'` makes this model the first champion on it"
        )
    elif against == BEST_BASELINE:
        against, old = _best_free(condition, place, results, headline)
        why = f"none of {', '.join(FREE)} has the score: {TAKE_OUT}"
    else:
        old = of_solver(results, against)
        there = ", ".join(name for name in solvers(results) if name != SHIPPED)
        why = f"{against} has no such score; there are answers of {there or 'nobody else'}: {TAKE_OUT}"
    contest = paired_contest(own, old, metric, place, headline)
    left_out = scored.num_pairs - contest.num_pairs if contest else 0
    return Case(condition, place, against, contest, why=why, left_out=left_out)


def _best_free(
    condition: Condition, place: str, results: Sequence[Result], headline: Sequence[str]
) -> tuple[str, list[Result]]:
    """The free solver with the best score there, and its answers.

    Being the best by chance makes it look better than it is, so the comparison errs to the model's disadvantage.
    """
    own = of_solver(results, SHIPPED)
    best: tuple[float, str, list[Result]] | None = None
    for name in FREE:
        old = of_solver(results, name)
        contest = paired_contest(own, old, condition.metric, place, headline)
        if contest is not None:
            score = -contest.limit if condition.metric in LOWER_IS_BETTER else contest.limit
            if best is None or score > best[0]:
                best = (score, name, old)
    return (f"{BEST_BASELINE} ({best[1]})", best[2]) if best else (BEST_BASELINE, [])


def _nothing(metric: str, place: str, own: Sequence[Result]) -> str:
    there = ", ".join(slices_with(own, metric))
    told = f"{metric} is scored in {there}" if there else f"{SHIPPED} has no score of {metric} at all"
    return f"no score of {metric} in {place} ({told}): {TAKE_OUT}"


def _judgement(case: Case, decided: tuple[Outcome, Difference, float] | None, noise: NoiseFloor | None) -> Judgement:
    condition, contest = case.condition, case.contest
    judged = Judgement(
        metric=condition.metric,
        slice=case.slice,
        against=case.against,
        margin=condition.margin,
        required=condition.required,
        outcome=case.settled,
        sentence="",
        is_floor=not isinstance(condition.against, str),
    )
    if contest is None:
        return replace(judged, sentence=f"{judged.name}: {case.why}")
    if decided is None:
        outcome, difference, confidence = _observed(contest, condition.margin), contest.at(1 - ALPHA), 1 - ALPHA
    else:
        outcome, difference, confidence = decided
    units = None
    if noise is not None and contest.floor is None:
        units = noise.units(condition.metric, case.slice, difference.value)
    return replace(
        judged,
        outcome=outcome,
        sentence=f"{judged.name}: {_told(case, contest, outcome, difference, confidence, units)}",
        value=contest.value,
        limit=contest.limit,
        difference=difference,
        confidence=confidence,
        noise_units=units,
    )


def _observed(contest: Contest, margin: float) -> Outcome:
    """The outcome by the scores as they were counted; in whole items where there are such, so that 57 of 60 is 0.95."""
    value, limit, allowed = (Decimal(str(number)) for number in (contest.value, contest.limit, margin))
    if contest.counts:
        passes, count = contest.counts
        value, allowed = Decimal(passes), allowed * count
        limit = limit * count if contest.floor is not None else Decimal(round(contest.limit * count))
    if contest.metric in LOWER_IS_BETTER:
        value, limit = -value, -limit
    return "met" if value >= limit - allowed else "unmet"


def _told(
    case: Case, contest: Contest, outcome: Outcome, difference: Difference, confidence: float, units: float | None
) -> str:
    """The numbers of a comparison, then what they show, in words."""
    counts = f" ({contest.counts[0]} of {contest.counts[1]})" if contest.counts else ""
    value, limit = f"{contest.value:.3f}{counts}", f"{contest.limit:.3f}"
    ends = f"{100 * confidence:.4g} % interval {difference.low:+.3f} to {difference.high:+.3f}"
    over = f"{ends}, {contest.num_pairs} items" + (f", {case.left_out} left out" if case.left_out else "")
    seeds = "" if units is None else f"; {abs(units):.1f} units of seed noise"
    more, less = ("better", "worse") if contest.floor is None else ("clear of it", "short of it")
    by = f"{more if difference.value >= 0 else less} by {abs(difference.value):.3f}"
    return f"{value} against {limit}, {by} ({over}{seeds}): {_shown(case, contest, outcome, difference)}"


def _shown(case: Case, contest: Contest, outcome: Outcome, difference: Difference) -> str:
    """What the interval shows, such as `shown to be no more than 0.02 worse`; more, if it shows more."""
    margin, counted = case.condition.margin, case.condition.required == "observed"
    if contest.floor is not None:
        unsure, met, unmet = "it holds", "to hold", "not to hold"
        words = {"met": "it holds", "unmet": "it does not hold"}
    else:
        worse = f"more than {margin:g} worse" if margin else "worse"
        better = not margin or _side(difference, 0.0, 1 - difference.confidence) == "met"
        unsure, met, unmet = f"it is {worse}", f"to be {'better' if better else f'no {worse}'}", f"to be {worse}"
        words = {"met": f"no {worse}", "unmet": worse}
    if counted:
        return f"as counted, {words[outcome]}"
    if outcome == "cannot tell":
        return f"cannot tell whether {unsure}"
    return f"shown {met if outcome == 'met' else unmet}"
