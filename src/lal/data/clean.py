"""Words and their modern forms: what a word is, and how a modern word looks in the place of an old one."""

import re
from collections.abc import Iterable
from functools import cache

_ELIDED = (
    "bout cause em fore gainst gan gins greed larum lack midst mong mongst noint ods oman pon prentice pothecary "
    "sblood scape scaped scapes sdeath sfoot swounds tend tis twas tween twere twill twixt twould zounds"
)
"""Words that begin with an apostrophe; before any other word it is a quotation mark."""

_CLIPPED = frozenset(["gi'", "ha'", "i'", "o'", "sha'", "t'", "ta'", "th'", "wi'"])
"""Words that end in an apostrophe; after any other word but a plural it is a quotation mark."""

WORD = re.compile(
    rf"(?:(?<![A-Za-z])'(?=(?:{'|'.join(_ELIDED.split())})(?![A-Za-z-])))?[A-Za-z]+(?:['-][A-Za-z]+)*'?", re.IGNORECASE
)
"""A word with the apostrophes and hyphens inside it, an apostrophe behind it, and one before it if it belongs there."""

_MARK = re.compile(rf"{WORD.pattern}|'", re.IGNORECASE)

_PRONOUN = frozenset({"I", "I'd", "I'ld", "I'll", "I'm", "I've"})


def words_of(line: str) -> list[str]:
    """The words of a line, in order.

    Example:
        >>> words_of("'Tis th' Ambassador, Iohn!")
        ["'Tis", "th'", 'Ambassador', 'Iohn']
    """
    return [match[0] for match in WORD.finditer(line)]


def modern_words(lines: Iterable[str]) -> list[str]:
    """The words of a modern speech without its quotation marks, which are apostrophes too.

    Example:
        >>> modern_words(["Cry 'holla' to the lords' men i' the sun"])
        ['Cry', 'holla', 'to', 'the', "lords'", 'men', "i'", 'the', 'sun']
    """
    text = "\n".join(lines)
    words = []
    in_quotes = False
    for mark in _MARK.finditer(text):
        word = mark[0]
        if word == "'":
            in_quotes = text[mark.end() : mark.end() + 1].isalpha()
            continue
        if word.endswith("'") and word.lower() not in _CLIPPED and (in_quotes or not word.lower().endswith("s'")):
            word, in_quotes = word[:-1], False
        words.append(_mended(word))
    return words


@cache
def put_in_place(modern: str, source: str) -> str:
    """The modern form of a word as it stands in the place of the old one.

    The casing is the source's. So are the endings 'd and -ed, 'st and -est: which of them is printed is metre, not
    spelling, and the modern edition follows a rule of its own (3,751 words when this was found).

    Example:
        >>> put_in_place("smoked", "Smoak'd"), put_in_place("dear", "DEERE"), put_in_place("supplied", "supply'd")
        ("Smok'd", 'DEAR', 'supplied')
    """
    if modern in _PRONOUN:
        return modern
    modern = _with_ending_of(source.lower(), modern.lower())
    old_parts, parts = source.split("-"), modern.split("-")
    if len(old_parts) == len(parts):
        return "-".join(_cased(part, old_part) for part, old_part in zip(parts, old_parts, strict=True))
    return _cased(modern, source)


def _with_ending_of(source: str, modern: str) -> str:
    if source.rstrip("'") == "a" == modern.rstrip("'"):
        return source  # Folio prints both `a` and `a'` for he
    for elided, full in (("'d", "ed"), ("'st", "est")):
        if (
            source.endswith(elided)
            and modern.endswith(full)
            and not (source.endswith("y" + elided) and modern.endswith("i" + full))
        ):
            return modern.removesuffix(full) + elided
        if source.endswith(full) and modern.endswith(elided):
            stem = modern.removesuffix(elided)
            return stem + (full[1:] if stem.endswith("e") else full)
    return modern


def _cased(modern: str, source: str) -> str:
    letters = [character for character in source if character.isalpha()]
    if len(letters) > 1 and source.isupper():
        return modern.upper()
    if not letters[0].isupper():
        return modern
    first = next(index for index, character in enumerate(modern) if character.isalpha())
    return modern[:first] + modern[first].upper() + modern[first + 1 :]


def _mended(word: str) -> str:
    """Undoes two blunders of the modern edition: speakers who put each other in cheque, and `enamell'ed`."""
    if "chequ" in word:
        word = re.sub(r"cheque(?=s?$|'d$)|chequ(?=ed$)", "check", word)
    return word.removesuffix("'ed") + "'d" if word.endswith("'ed") else word
