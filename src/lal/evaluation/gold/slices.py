"""Which slice a line belongs to, by program: what a table of the training words would have to know to get it right.

The first that fits: `keep`, nothing may change; `unseen`, a word that stands nowhere in training; `context`, a word
whose modern form depends on the sentence, in one part the lines with a form that is not the commonest, in the other the
rest; `known`. Words count in any casing together. The 297 lines that were sorted before this program was written, it
sorts in the same way, all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lal.data.clean import words_of
from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.records import Conversation, line_to_modernise

CLEAR = 0.95
"""Share of a word's places from which its commonest form is its only one; the rest is noise of the alignment."""

RARE = 0.2
"""Share of a word's places below which a form makes a line hard."""

MAJORITY, MINORITY = "context-majority", "context-minority"


@dataclass(frozen=True)
class SliceChoice:
    """Where a line belongs, and why.

    Attributes:
        slice: `keep`, `unseen`, `context` or `known`.
        subslice: `context-majority` or `context-minority`; otherwise empty.
        difficulty: easy for `keep` and `known`, hard for a form in less than a fifth of its word's places, else medium.
            Names and dialect among the unseen are hard too: no program sees that.
        reason: The words that decided, for people.
    """

    slice: str
    subslice: str
    difficulty: str
    reason: str

    @property
    def name(self) -> str:
        """The subslice where there is one, otherwise the slice."""
        return self.subslice or self.slice


class WordForms:
    """The modern forms of every word of the training pairs, in small letters, and how often each stands there.

    Args:
        pairs: Old and modern line; those with different numbers of words are passed over.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._forms: Mapping[str, Counter[str]] = defaultdict(Counter)
        for old, modern in pairs:
            sources, targets = words_of(old.lower()), words_of(modern.lower())
            if len(sources) == len(targets):
                for source, target in zip(sources, targets, strict=True):
                    self._forms[source][target] += 1

    def __len__(self) -> int:
        return len(self._forms)

    def choose(self, line: str, expected: str) -> SliceChoice:
        """The slice of a line with its right answer.

        Raises:
            DataError: Line and answer have different numbers of words, so that no word of one is known to be a word of
                the other.

        Example:
            >>> WordForms([("more then I", "more than I")]).choose("more then I", "more than I").name
            'known'
        """
        if line == expected:
            return SliceChoice("keep", "", "easy", "nothing may change")
        sources, targets = words_of(line.lower()), words_of(expected.lower())
        unseen = [source for source in sources if source not in self._forms]
        if unseen:
            return SliceChoice("unseen", "", "medium", f"not in training: {', '.join(dict.fromkeys(unseen))}")
        if len(sources) != len(targets):
            problem = f"{line!r} has {len(sources)} words and {expected!r} has {len(targets)}"
            raise DataError(problem, "correct the answer, or name the slice yourself with --slice")
        pairs = list(dict.fromkeys(zip(sources, targets, strict=True)))
        if rarer := [(source, target) for source, target in pairs if self._commonest(source)[0] != target]:
            difficulty = "hard" if min(self._share(*pair) for pair in rarer) < RARE else "medium"
            return SliceChoice("context", MINORITY, difficulty, self._explain(rarer))
        if open_ := [pair for pair in pairs if self._commonest(pair[0])[1] < CLEAR]:
            return SliceChoice("context", MAJORITY, "medium", self._explain(open_))
        return SliceChoice("known", "", "easy", "every word has one modern form in training")

    def _commonest(self, word: str) -> tuple[str, float]:
        """The commonest form of a word and its share; of several the one that training met first."""
        ((form, count),) = self._forms[word].most_common(1)
        return form, count / self._forms[word].total()

    def _share(self, word: str, form: str) -> float:
        return self._forms[word][form] / self._forms[word].total()

    def _explain(self, pairs: Iterable[tuple[str, str]]) -> str:
        return "; ".join(
            f"{word} is {form} here, {self._forms[word][form]} times of {self._forms[word].total()} in training"
            for word, form in pairs
        )


def learn_forms(training: Iterable[Conversation]) -> WordForms:
    """The word forms of the conversations that ask for a modern line and are trained on."""
    return WordForms(
        (line, row.answer)
        for row in training
        if row.split == "train" and (line := line_to_modernise(row.prompt)) is not None
    )


def choose_slice(item: GoldItem, forms: WordForms) -> SliceChoice | None:
    """The slice the program would give an item; None for what is no line, and for answers of another length."""
    line = line_to_modernise(item.prompt)
    if line is None or item.scorer != "exact":
        return None
    try:
        return forms.choose(line, item.expected)
    except DataError:
        return None
