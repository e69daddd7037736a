"""The champion: the model that was promoted last, as the answers it gave, kept in git.

Answers are enough to compare with: they are a few hundred kilobytes, they need no old code to be read, and they cannot
drift. `lal promote` writes them; champion/README.md says what for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lal.errors import DataError
from lal.evaluation.scores.results import SHIPPED, Result, read_results, write_results
from lal.files import read_json, sha256, write_bytes, write_json
from lal.records import Many, Record

RESULTS = "results.jsonl"
FACTS = "champion.json"
REMEDY = "`git checkout champion` brings the committed one back; without both files there is no champion"


class ChampionFacts(Record):
    """champion.json: which model it was, and why it was promoted."""

    promoted_on: str
    """Date, year first."""
    reason: str
    """What the person who promoted it said; empty if the gate's word was enough."""
    gate: str
    """What the gate said, as a sentence."""
    run_id: str | None
    """MLflow run of its evaluation; None if none was recorded."""
    commit: str | None
    """Git commit of the code that made it; None outside of git."""
    uncommitted: Many[str]
    """Tracked files that differed from that commit."""
    model_sha256: str
    """Of model.safetensors in models/export."""
    gold_versions: dict[str, int]
    """Version of the gold set -> how many of the answered items took their form in it."""
    results_sha256: str
    """Of results.jsonl: the two files belong together."""


@dataclass(frozen=True)
class Champion:
    """A promoted model: what is known of it, and its answers."""

    facts: ChampionFacts
    results: list[Result]


def read_champion(folder: Path) -> Champion | None:
    """Reads the champion; None if no model was promoted yet.

    Raises:
        DataError: One of the two files is missing, damaged, or not the other's.
    """
    facts_file, results_file = folder / FACTS, folder / RESULTS
    if not facts_file.exists() and not results_file.exists():
        return None
    for file in (facts_file, results_file):
        if not file.is_file():
            raise DataError(f"{file}: missing, but the other file of the champion is there", REMEDY)
    try:
        facts = ChampionFacts.model_validate(read_json(facts_file))
    except ValueError as error:
        first = str(error).splitlines()
        raise DataError(f"{facts_file}: not what `lal promote` writes: {' '.join(first[1:3])}", REMEDY) from error
    if sha256(results_file) != facts.results_sha256:
        raise DataError(f"{results_file}: not the answers that {FACTS} belongs to", REMEDY)
    results = read_results(results_file)
    if strangers := sorted({result.solver for result in results} - {SHIPPED}):
        raise DataError(f"{results_file}: holds answers of {', '.join(strangers)} beside {SHIPPED!r}'s", REMEDY)
    return Champion(facts, results)


def champion_digest(folder: Path) -> str | None:
    """What tells one champion from another: the SHA-256 of champion.json; None if there is none."""
    return sha256(folder / FACTS) if (folder / FACTS).is_file() else None


def write_champion(folder: Path, results: Sequence[Result], facts: ChampionFacts) -> ChampionFacts:
    """Writes both files, each whole or not at all; `results_sha256` is filled in.

    The answers go first: a crash between the two leaves answers that do not belong to champion.json, which
    `read_champion` tells from a champion.
    """
    write_results(folder / RESULTS, results)
    complete = facts.model_copy(update={"results_sha256": sha256(folder / RESULTS)})
    write_json(folder / FACTS, complete.model_dump(mode="json"))
    return complete


def copy_champion(source: Path, folder: Path) -> None:
    """Puts the champion of one folder into another, in the order in which `write_champion` writes.

    Raises:
        DataError: There is no whole champion in `source`, or `folder` cannot be written.
    """
    if read_champion(source) is None:
        raise DataError(f"{source}: no champion in it", REMEDY)
    for name in (RESULTS, FACTS):
        write_bytes(folder / name, (source / name).read_bytes())
