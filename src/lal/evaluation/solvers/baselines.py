"""What is free: doing nothing, some rules, a table of words. A model has to beat these to be worth its weights.

A lexicon is a famously strong baseline of historical text normalisation.
Source: M. Bollmann, "A Large-Scale Comparison of Historical Text Normalization Systems", NAACL 2019.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lal.evaluation.scores.alignment import WORD, words

RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^v(?=[^aeiou])", "u"),  # vnder -> under
        (r"(?<=[aeio])u(?=[aeiouy]|'d$)|(?<=[aeiou]r)u(?=[aei])|(?<=el)u(?=e)", "v"),  # haue, serue -> have, serve
        (r"^i(?=[aou]|e[aswlr])|(?<=b)i(?=ect)|(?<=n)i(?=oy|ur)|(?<=a)i(?=est)", "j"),  # ioy, subiect -> joy, subject
        (r"(?<=..)ie$", "y"),  # maiestie -> majesty
        (r"sse$", "ss"),  # goodnesse -> goodness
        (r"^([hm]e)ere$", r"\1re"),  # heere -> here
        (r"([bdgmnprt])\1e(?=s?$)", r"\1"),  # warre, dogges -> war, dogs
        (r"(?<=[aeo][aeiou][bdfklmnprt])e(?=s?$)", ""),  # speake, lookes -> speak, looks
        (r"(?<=[lnrc][dkfmnpt])e(?=s?$)", ""),  # thinke, armes -> think, arms
        (r"(?<=[aeo]w|[ao]y)(n?)e(?=s?$)", r"\1"),  # owne, newes, dayes -> own, news, days
        (r"^(sh|[hmbw])ee$", r"\1e"),  # hee, shee -> he, she
        (r"^([dg]o)e$", r"\1"),  # doe, goe -> do, go
        (r"(?<=...)([au]l)l$", r"\1"),  # royall, faithfull -> royal, faithful
        (r"(?<=[ao])y(?=[nlrtdc])", "i"),  # voyce -> voice
        (r"(?<=^i)le$|(?<=e)e'le?$|'le?$", "'ll"),  # Ile, wee'l -> I'll, we'll
    )
)
"""Regular differences of 1623's spelling, in the order of use, on words in small letters.

Found on training and validation plays. On the lines of the held-out plays they get 0.60 right, copying 0.23, the
lexicon 0.80, lexicon and rules together 0.83.
"""


def copy(line: str) -> str:
    """The line as it is."""
    return line


def apply_rules(line: str) -> str:
    """The line with each of `RULES` applied to each word, in their order; casing is kept."""
    return WORD.sub(lambda match: modernise_by_rules(match[0]), line)


def modernise_by_rules(word: str) -> str:
    """One word by rules alone.

    Example:
        >>> modernise_by_rules("Goodnesse"), modernise_by_rules("vpon"), modernise_by_rules("IOY")
        ('Goodness', 'upon', 'JOY')
    """
    form = word.lower()
    for pattern, replacement in RULES:
        form = pattern.sub(replacement, form)
    return in_casing_of(word, form)


def in_casing_of(source: str, form: str) -> str:
    """A form in the casing of the word it stands for: all capitals, a first capital, or as it is.

    Example:
        >>> in_casing_of("HAUE", "have"), in_casing_of("Haue", "have"), in_casing_of("I", "i")
        ('HAVE', 'Have', 'I')
    """
    letters = [letter for letter in source if letter.isalpha()]
    if len(letters) > 1 and all(letter.isupper() for letter in letters):
        return form.upper()
    return form[:1].upper() + form[1:] if source[:1].isupper() else form


@dataclass(frozen=True)
class Lexicon:
    """The most frequent modern form of every word seen in training.

    Attributes:
        as_written: Forms by the word as it was written.
        lower_cased: Forms by the word in small letters, for words seen in another casing only.
    """

    as_written: Mapping[str, str]
    lower_cased: Mapping[str, str]

    @classmethod
    def learn(cls, pairs: Iterable[tuple[str, str]], min_count: int = 1, min_share: float = 0.0) -> "Lexicon":
        """Counts word by word over (old line, modern line); pairs with unequal numbers of words teach nothing.

        Args:
            pairs: Lines.
            min_count: Occurrences of a word that it takes to be in the lexicon.
            min_share: Share of them, 0 to 1, that its most frequent form must have.
        """
        as_written: defaultdict[str, Counter[str]] = defaultdict(Counter)
        lower_cased: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for old_line, modern_line in pairs:
            old, modern = words(old_line), words(modern_line)
            if len(old) == len(modern):
                for word, form in zip(old, modern, strict=True):
                    as_written[word][form] += 1
                    lower_cased[word.lower()][form.lower()] += 1
        tables = (_most_frequent(counts, min_count, min_share) for counts in (as_written, lower_cased))
        return cls(*tables)

    @property
    def size(self) -> int:
        """Entries."""
        return len(self.as_written) + len(self.lower_cased)

    def modernise(self, line: str, unseen: Callable[[str], str] = copy) -> str:
        """Looks up each word as written, then in small letters; a word never seen goes through `unseen`."""
        return WORD.sub(lambda match: self.look_up(match[0]) or unseen(match[0]), line)

    def look_up(self, word: str) -> str | None:
        """The form of one word; None if it is not in the lexicon."""
        if (form := self.as_written.get(word)) is not None:
            return form
        if (form := self.lower_cased.get(word.lower())) is not None:
            return in_casing_of(word, form)
        return None


def _most_frequent(counts: Mapping[str, Counter[str]], min_count: int, min_share: float) -> dict[str, str]:
    """One form a word; of equally frequent ones the unchanged word, then the first of the alphabet."""
    often = {word: forms for word, forms in counts.items() if forms.total() >= min_count}
    return {
        word: min((-count, form != word, form) for form, count in forms.items())[2]
        for word, forms in often.items()
        if max(forms.values()) >= min_share * forms.total()
    }
