"""The First Folio of 1623: from an electronic edition's plain text to the lines that are spoken."""

import re
from collections import Counter
from collections.abc import Mapping

MODERN_PLAYS = {
    "all_is_well_that_ends_well": "all-s-well-that-ends-well",
    "anthonie_and_cleopatra": "antony-and-cleopatra",
    "as_you_like_it": "as-you-like-it",
    "comedy_of_errours": "the-comedy-of-errors",
    "coriolanus": "coriolanus",
    "cymbeline": "cymbeline",
    "hamlet": "hamlet",
    "henry_iv_part_1": "henry-iv-part-1",
    "henry_iv_part_2": "henry-iv-part-2",
    "henry_v": "henry-v",
    "henry_vi_part_1": "henry-vi-part-1",
    "henry_vi_part_2": "henry-vi-part-2",
    "henry_vi_part_3": "henry-vi-part-3",
    "henry_viii": "henry-viii",
    "john": "king-john",
    "julius_caesar": "julius-caesar",
    "lear": "king-lear",
    "loves_labour_lost": "love-s-labours-lost",
    "macbeth": "macbeth",
    "measure_for_measure": "measure-for-measure",
    "merchant_of_venice": "the-merchant-of-venice",
    "merry_wives_of_windsor": "the-merry-wives-of-windsor",
    "midsummer_nights_dreame": "a-midsummer-night-s-dream",
    "much_ado_about_nothing": "much-ado-about-nothing",
    "othello": "othello",
    "richard_ii": "richard-ii",
    "richard_iii": "richard-iii",
    "romeo_and_juliet": "romeo-and-juliet",
    "taming_of_the_shrew": "the-taming-of-the-shrew",
    "tempest": "the-tempest",
    "timon_of_athens": "timon-of-athens",
    "titus_andronicus": "titus-andronicus",
    "twelfe-night": "twelfth-night",
    "two_gentlemen_of_verona": "two-gentlemen-of-verona",
    "winters_tale": "a-winter-s-tale",
}
"""Folio text -> the same play in modern spelling."""

_HEADING = re.compile(r"(Actus|Sc[aoe]+na|FINIS|The (Tragedie|Comedie|Life|life|Famous)|THE |INDVCTION|Epilogue)")
_DIRECTION = re.compile(
    r"(Enter|Re-?enter|Exit|Exeunt|Manet|Flourish|Florish|Alarum|Alarums|Sennet|Senet|Hoboyes|Musicke|Cornets|Trumpets?|Drumm?e|"
    r"Thunder|Sound|Sounds|A Sennet|Tucket|Ordnance|Excursions)\b"
)
_SPEAKER = re.compile(r" +((?:[1-9]\.? ?)?(?:[A-Z][A-Za-z']*\.?[ ]?){0,3}?\.(?: [1-9]\.)?)(?:\s|$)")
_BARE_SPEAKER = re.compile(r" +([1-9]|[A-Z][a-z]+) ")
_EXPANSION = re.compile(r"\[([a-z]+)\](?:\.(?= ))?")
"""Letters that the electronic edition adds to an abbreviation: `fro[m]`, `S[aint]. Iaques`."""

_MARKS = str.maketrans({"\r": "", "`": "", "|": " "})
"""Marks of the print (a maxim, a line that ran over) and of the file that are no text."""


def spoken_lines(text: str) -> list[str]:
    """The lines of a Folio play without headings, stage directions and speaker prefixes, in order.

    A speech begins with an indented line, a direction ends with a blank one.
    """
    lines = _EXPANSION.sub(r"\1", text.translate(_MARKS)).split("\n")
    # A few prefixes lost their full stop: `Caes` stands so at the head of 40 speeches.
    bare = Counter(match[1] for line in lines if not _SPEAKER.match(line) and (match := _BARE_SPEAKER.match(line)))
    spoken = []
    in_direction = False
    for line in lines:
        indented = line.startswith(" ")
        if indented or not line.strip():
            in_direction = False
        elif _HEADING.match(line) or _DIRECTION.match(line):
            in_direction = True
        content = _without_speaker(line, bare) if indented else line
        if content.strip() and not in_direction:
            spoken.append(" ".join(content.split()))
    return spoken


def _without_speaker(line: str, bare: Mapping[str, int]) -> str:
    if match := _SPEAKER.match(line):
        return line[match.end() :]
    match = _BARE_SPEAKER.match(line)
    return line[match.end() :] if match and (match[1].isdigit() or bare[match[1]] >= 3) else line
