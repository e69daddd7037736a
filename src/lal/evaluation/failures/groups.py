"""What the wrong answers have in common, and which data would mend them: reports/failures.json.

An answer with two things wrong stands in two groups, so the groups' shares add up to more than 1. Groups are made by
program and named after what they are, hence two evaluations can be held against each other by group.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lal.evaluation.failures.diagnosis import Error, diagnose, nearest_wording
from lal.evaluation.failures.records import (
    ADDED,
    CUT_OFF,
    EMPTY,
    MARKS,
    OVERDONE,
    SKIPPED,
    STRAYED,
    Example,
    FailureGroup,
    Failures,
    NearRow,
    Need,
    digest,
)
from lal.evaluation.failures.word_pairs import Evidence, WordPair, WordPairs
from lal.evaluation.scores.results import Result
from lal.files import read_json
from lal.records import Conversation

SINGLE = "single cases"
"""Pattern of the group that takes in the patterns of a slice and error that occur once."""

NUM_EXAMPLES = 3
NUM_NEAREST = 3
QUERY_ITEMS = 5
"""Failed items of a group whose nearest training rows are looked up; a large group's are much alike."""


class RowSearch(Protocol):
    """Finds the training rows nearest to a text."""

    def best(self, query: str, k: int) -> Sequence[tuple[Conversation, float]]:
        """At most `k` rows with their scores, the nearest first."""


_Key = tuple[str, str, str]
"""Slice, error, pattern."""


@dataclass(frozen=True)
class _Failure:
    result: Result
    error: Error


def find_failures(
    own: Sequence[Result], training: Sequence[Conversation], nearest: RowSearch, sources: Mapping[str, str]
) -> Failures:
    """Groups the failures of one solver.

    Args:
        own: The solver's results.
        training: The rows it was trained on.
        nearest: Search over them.
        sources: What they were made from; goes into the report as it is.
    """
    pairs = WordPairs.count(training)
    grouped: defaultdict[_Key, list[_Failure]] = defaultdict(list)
    for result in own:
        for error in diagnose(result, pairs):
            grouped[result.slice, error.kind, error.pattern].append(_Failure(result, error))
    num_failed = sum(result.passed is False for result in own)
    groups = [_group(key, found, num_failed, pairs, nearest) for key, found in _fold_singles(grouped).items()]
    return Failures(
        solver=own[0].solver if own else "",
        results_sha256=digest(own),
        training_sources=dict(sources),
        num_items=len(own),
        num_failed=num_failed,
        groups=tuple(sorted(groups, key=lambda group: (-group.count, group.id))),
    )


def training_sources(folder: Path) -> dict[str, str]:
    """The sources that a folder of conversations names in its manifest; none if it has no manifest."""
    path = folder / "manifest.json"
    return dict(read_json(path).get("sources", {})) if path.is_file() else {}


def _fold_singles(grouped: Mapping[_Key, list[_Failure]]) -> dict[_Key, list[_Failure]]:
    """Patterns with one failure go together, two or more of them: a hundred groups of one are no groups."""
    singles = Counter(key[:2] for key, found in grouped.items() if key[2] and len(found) == 1)
    folded: defaultdict[_Key, list[_Failure]] = defaultdict(list)
    for (slice_name, kind, pattern), found in grouped.items():
        alone = bool(pattern) and len(found) == 1 and singles[slice_name, kind] > 1
        folded[slice_name, kind, SINGLE if alone else pattern] += found
    return dict(folded)


def _group(
    key: _Key, found: Sequence[_Failure], num_failed: int, training: WordPairs, nearest: RowSearch
) -> FailureGroup:
    slice_name, kind, pattern = key
    results = list({failure.result.item_id: failure.result for failure in found}.values())
    at_fault = dict.fromkeys(failure.error.pair for failure in found if failure.error.pair)
    pairs = sorted((training.of(*pair) for pair in at_fault), key=lambda pair: (pair.num_seen, pair.old, pair.modern))
    need = _need(kind, pairs)
    return FailureGroup(
        id=" / ".join(filter(None, key)),
        slice=slice_name,
        error=kind,
        pattern=pattern,
        count=len(results),
        share=round(len(results) / num_failed, 4),
        items=tuple(result.item_id for result in results),
        examples=tuple(map(_example, results[:NUM_EXAMPLES])),
        pairs=tuple(pairs),
        nearest=_nearest_rows(results, nearest),
        need=need,
        proposal=_proposal(kind, pattern, slice_name, pairs, need),
    )


def _example(result: Result) -> Example:
    return Example(
        item_id=result.item_id,
        source=result.task,
        answer=result.text,
        expected=nearest_wording(result),
        explanation=result.explanation,
    )


def _nearest_rows(results: Sequence[Result], nearest: RowSearch) -> tuple[NearRow, ...]:
    best: dict[str, NearRow] = {}
    for result in results[:QUERY_ITEMS]:
        for row, score in nearest.best(result.prompt, NUM_NEAREST):
            if row.id not in best or best[row.id].score < score:
                best[row.id] = NearRow(id=row.id, prompt=row.prompt, answer=row.answer, score=round(float(score), 3))
    return tuple(sorted(best.values(), key=lambda row: (-row.score, row.id))[:NUM_NEAREST])


def _need(kind: str, pairs: Sequence[WordPair]) -> Need:
    """The commonest want of a group's words; of equals, the one that more data mends most."""
    if kind in (SKIPPED, ADDED, MARKS, STRAYED, CUT_OFF, EMPTY):
        return "more training"
    if not pairs:
        return "more examples"
    wants: list[Need] = [
        "new data" if not pair.num_seen else "more of this reading" if pair.evidence == "minority" else "more training"
        for pair in pairs
    ]
    order: tuple[Need, ...] = ("new data", "more of this reading", "more training")
    return max(order, key=wants.count)


def _proposal(kind: str, pattern: str, slice_name: str, pairs: Sequence[WordPair], need: Need) -> str:
    if need == "more examples":
        what = f"whose answers hold {pattern}" if pattern not in ("", SINGLE) else "with answers as they should be"
        return f"Add conversations like those of {slice_name!r} {what}; other questions than the gold set's."
    if not pairs or kind == SKIPPED:
        return (
            "It is the copying of the text that failed, and no word that was wanting. More lines of this kind help "
            "little: train longer or larger first, then add long lines like the nearest ones."
        )
    alike = "that stay as they are: names, foreign words" if kind == OVERDONE else "that change alike"
    told: dict[Evidence, str] = {
        "never seen": f"Training never has {{}}. Add lines with other words {alike}; with these very words the gold "
        "items would no longer tell what happens to unseen ones.",
        "other readings only": "Training never reads {}. Add lines in which the sentence asks for it.",
        "minority": "Add lines with {}: training has another reading more often, and the sentence must tell.",
        "majority": "Training mostly has {}, and it went wrong all the same: train longer, or repeat such lines.",
    }
    by_evidence = {each: [pair for pair in pairs if pair.evidence == each] for each in told}
    return " ".join(told[each].format(_listed(found)) for each, found in by_evidence.items() if found)


def _listed(pairs: Sequence[WordPair], most: int = 4) -> str:
    """`then as than (1351 of 2863)`, for the first few."""
    told = [
        f"{pair.old} as {pair.modern}" + (f" ({pair.num_seen} of {pair.num_old})" if pair.num_old else "")
        for pair in pairs[:most]
    ]
    return ", ".join(told) + (f" and {len(pairs) - most} more" if len(pairs) > most else "")
