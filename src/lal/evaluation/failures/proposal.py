"""From groups of failures to training rows that might mend them, for a person to review.

Rows that exist come first: of the pool what was not trained on, then repeats of what was. Where training has nothing to
repeat, a row is left for a person to fill in. No row that is like a gold item, sealed ones included, is proposed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from lal.data.overlap import GoldText, TrainingText, find_overlaps
from lal.data.patches import FILL_IN, PatchRow
from lal.evaluation.failures.groups import RowSearch
from lal.evaluation.failures.records import OVERDONE, FailureGroup, Failures
from lal.evaluation.failures.spelling import spelling_changes
from lal.evaluation.failures.word_pairs import WordPairs, pairs_of
from lal.evaluation.scores.alignment import words
from lal.gold_items import GoldItem
from lal.records import MODERNISE_PREFIX, MODERNISE_TASK, PERSONA_TASK, Conversation, Message, line_to_modernise

NEAR_ROWS = 50
"""Rows looked up for each failed item, by which rows that serve equally well are ordered."""

MAX_SKELETONS = 10
"""Rows to fill in, for the largest groups; a person who is asked for more fills in none."""

RARE = 20
"""Times a word pair may stand in training to be worth repeating for its pattern; commoner ones are learned."""


@dataclass(frozen=True)
class Draft:
    """Rows proposed for review.

    Attributes:
        rows: In the order of the groups.
        num_like_gold: Rows left out because they are like a gold item.
    """

    rows: tuple[PatchRow, ...]
    num_like_gold: int


@dataclass(frozen=True)
class Leak:
    """A row that is like a gold item."""

    row: str
    """Id of the row."""
    item: GoldItem


def groups_for_data(failures: Failures) -> list[FailureGroup]:
    """The groups that data can mend; for the others training shows enough."""
    return [group for group in failures.groups if group.need != "more training"]


def propose(
    groups: Sequence[FailureGroup],
    training: Sequence[Conversation],
    pool: Iterable[Conversation],
    gold: Sequence[GoldItem],
    nearest: RowSearch,
    num_rows: int,
    name: str,
) -> Draft:
    """Chooses rows for each group, as many as its share of the failures entitles it to.

    Args:
        groups: What to mend.
        training: The rows trained on.
        pool: All rows that could have been; those among `training` are passed over.
        gold: The whole gold set.
        nearest: Search over the rows trained on.
        num_rows: Most rows; rows to fill in come on top.
        name: Of the patch; its rows are called after it.
    """
    trained = {row.id for row in training}
    unused = [row for row in pool if row.split == "train" and row.id not in trained]
    shelf = _Shelf.fill(unused, training)
    prompts = {item.id: item.prompt for item in gold}
    total = sum(group.count for group in groups)
    quotas = [max(1, round(num_rows * group.count / total)) for group in groups]
    # Twice as many as wanted, as some are another group's too, or like a gold item.
    serving = [
        shelf.serving(group, _nearness(group, prompts, nearest))[: 2 * quota + 10]
        for group, quota in zip(groups, quotas, strict=True)
    ]
    leaks = {leak.row for leak in find_leaks({row.id: row for rows in serving for row in rows}.values(), gold)}
    taken = set(leaks)
    rows: list[PatchRow] = []
    num_skeletons = 0
    for group, quota, candidates in zip(groups, quotas, serving, strict=True):
        found = [row for row in candidates if row.id not in taken][: min(quota, num_rows - len(rows) + num_skeletons)]
        taken |= {row.id for row in found}
        rows += [_copy(row, group, "repeat" if row.id in trained else "unused") for row in found]
        if num_skeletons < MAX_SKELETONS and (group.need == "new data" or len(found) < quota):
            rows.append(_skeleton(group))
            num_skeletons += 1
    named = [row.model_copy(update={"id": f"{name}:{number:04}"}) for number, row in enumerate(rows, start=1)]
    return Draft(tuple(named), len(leaks))


def find_leaks(rows: Iterable[Conversation], gold: Sequence[GoldItem]) -> list[Leak]:
    """The rows that are like a gold item in any spelling, near-duplicates included."""
    items = [GoldText(item.id, item.prompt, tuple(filter(None, (item.expected, *item.alternatives)))) for item in gold]
    left = {row.id: row for row in rows}
    leaks: list[Leak] = []
    while left:
        # The search tells the likest row of each item; what remains is searched again.
        texts = [
            TrainingText(identity, message.content, is_prompt=message.role == "user")
            for identity, row in left.items()
            for message in row.messages
        ]
        found = {
            place: item
            for item, overlap in zip(gold, find_overlaps(items, texts), strict=True)
            if overlap
            for place in overlap.place.split(" and ")
        }
        if not found:
            break
        leaks += [Leak(identity, item) for identity, item in found.items()]
        left = {identity: row for identity, row in left.items() if identity not in found}
    return leaks


def new_gold_words(
    rows: Iterable[Conversation], training: Iterable[Conversation], gold: Sequence[GoldItem]
) -> list[str]:
    """Old words of gold lines that training lacks and these rows would teach.

    An item with such a word no longer tells what happens to words never seen.
    """
    seen = WordPairs.count(training).forms
    asked = {word for item in gold for word in words((line_to_modernise(item.prompt) or "").lower())}
    return sorted({old for row in rows for old, _ in pairs_of(row) if old in asked and old not in seen})


@dataclass(frozen=True)
class _Shelf:
    """Rows that could go into a patch, and which of them hold a word pair.

    Attributes:
        rows: By id, unused ones first.
        unused: Ids of those not trained on so far.
        holders: Ids of the rows that hold a pair, in the order of the rows.
    """

    rows: Mapping[str, Conversation]
    unused: frozenset[str]
    holders: Mapping[tuple[str, str], list[str]]

    @classmethod
    def fill(cls, unused: Sequence[Conversation], training: Sequence[Conversation]) -> "_Shelf":
        rows = {row.id: row for row in (*unused, *training) if row.split == "train"}
        holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows.values():
            for pair in dict.fromkeys(pairs_of(row)):
                holders[pair].append(row.id)
        return cls(rows, frozenset(row.id for row in unused), holders)

    def serving(self, group: FailureGroup, near: Mapping[str, float]) -> list[Conversation]:
        """The rows that might mend a group, best first.

        First come rows with its very words, then rows with words that change alike, or where no word is at fault the
        nearest; each unused before trained on, then by nearness, then in an order that only the ids decide.
        """
        tiers = [self._with_words(group), self._alike(group)]
        if not group.pairs:
            tiers.append([identity for identity in near if identity in self.rows])
        chosen: dict[str, None] = {}
        for tier in tiers:
            chosen |= dict.fromkeys(
                sorted(set(tier), key=lambda key: (key not in self.unused, -near.get(key, 0.0), _shuffled(key)))
            )
        return [self.rows[identity] for identity in chosen]

    def _with_words(self, group: FailureGroup) -> list[str]:
        """Rows with the words at fault, but for those that training mostly has right, if there are others."""
        pairs = [pair for pair in group.pairs if pair.evidence != "majority" or group.need == "more training"]
        return [key for pair in pairs for key in self.holders.get((pair.old, pair.modern), ())]

    def _alike(self, group: FailureGroup) -> list[str]:
        """Rows with a rare word that changes as the group's unseen words do."""
        wanted = frozenset(name for pair in group.pairs if not pair.num_seen for name in _names(pair.old, pair.modern))
        return [
            key
            for pair, keys in self.holders.items()
            if len(keys) <= RARE and not wanted.isdisjoint(_names(*pair))
            for key in keys
        ]


@cache
def _names(old: str, modern: str) -> frozenset[str]:
    return frozenset(change.name for change in spelling_changes(old, modern))


def _shuffled(identity: str) -> str:
    """An order that favours no play and is the same on every machine."""
    return hashlib.sha256(identity.encode()).hexdigest()


def _nearness(group: FailureGroup, prompts: Mapping[str, str], nearest: RowSearch) -> dict[str, float]:
    """Ids of the rows nearest to a group's items, with the best score each."""
    near: dict[str, float] = {}
    for item in group.items:
        for row, score in nearest.best(prompts[item], NEAR_ROWS) if item in prompts else ():
            near[row.id] = max(score, near.get(row.id, 0.0))
    return near


def _copy(row: Conversation, group: FailureGroup, kind: Literal["unused", "repeat"]) -> PatchRow:
    return PatchRow(**dict(row), group=group.id, kind=kind, origin=row.id)


def _wanted(group: FailureGroup) -> str:
    known = [pair for pair in group.pairs if pair.num_old and pair.evidence != "majority"]
    if known and group.need == "more of this reading":
        return "in which " + " or ".join(f"{pair.old} is {pair.modern}" for pair in known[:3])
    if group.error == OVERDONE:
        return "with a rare word that stays as it is"
    names = sorted({name for pair in group.pairs if not pair.num_seen for name in _names(pair.old, pair.modern)})
    return f"with a rare word that changes so: {', or '.join(names[:5])}"


def _skeleton(group: FailureGroup) -> PatchRow:
    """A row for a person to write; it says what for, and names no gold word that training has not seen."""
    if group.pairs:
        question = f"{MODERNISE_PREFIX}{FILL_IN} an old line {_wanted(group)}"
        answer, task = f"{FILL_IN} the line in modern spelling", MODERNISE_TASK
    else:
        question, answer = f"{FILL_IN} a question of the kind {group.slice!r}", f"{FILL_IN} the answer wanted"
        task = PERSONA_TASK if group.slice == PERSONA_TASK else group.slice
    return PatchRow(
        id="skeleton",
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        task=task,
        source=f"{FILL_IN} where it is from",
        licence=f"{FILL_IN} its licence",
        split="train",
        group=group.id,
        kind="skeleton",
    )
