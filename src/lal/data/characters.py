"""The characters of a text: line ends to mend, control characters to refuse, letters to compare."""

import re
import unicodedata

CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Unicode's control characters, line feed and tab left out."""


def mend_line_ends(text: str) -> str:
    r"""A text with LF at all its line ends.

    A file that was converted twice ends its lines with CR CR LF, and a very old one with CR alone.

    Raises:
        ValueError: A control character other than line feed and tab is in it.

    Example:
        >>> mend_line_ends("one\r\ntwo\r\r\nthree\rfour")
        'one\ntwo\nthree\nfour'
    """
    text = re.sub(r"\r+\n|\r", "\n", text)
    if found := CONTROL_CHARACTER.search(text):
        line = text.count("\n", 0, found.start()) + 1
        around = text[max(0, found.start() - 20) : found.end() + 20]
        raise ValueError(f"control character U+{ord(found[0]):04X} in line {line}: {around!r}")
    return text


def letters_only(text: str) -> str:
    """A text without casing, spacing and punctuation, but with its spelling; the text itself if it has no letters.

    Two texts with the same letters are one text: it must not be learned from and validated on.

    Example:
        >>> letters_only("My Lord,") == letters_only("my  lord!")
        True
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold())) or text.strip()
