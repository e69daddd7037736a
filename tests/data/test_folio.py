"""From a printed play to the lines that are spoken."""

from lal.data.folio import MODERN_PLAYS, spoken_lines
from lal.data.split import GOLD_PLAYS, VALIDATION_PLAYS

PLAY = """The Tragedie of Macbeth

Actus Primus. Scoena Prima.

Enter King Malcome, with
attendants,
meeting a bleeding Captaine.

  1. When shall we three meet againe?
In Thunder,   Lightning, or in Raine?

   B.Ely. Haile   braue friend;
Exeunt.

   Caes You may see Lepidus
   Caes Sit
   Caes Nay then
  2 Belike 'tis but a Rumour
  Watch. 2. How if a will not stand?
  Oh what a thing | is man!
Alarum within.

And fro[m] S[aint]. Iaques hither, my L[ord].
``Loue like a shadow flies

FINIS. THE TRAGEDIE OF MACBETH."""

SPOKEN = [
    "When shall we three meet againe?",
    "In Thunder, Lightning, or in Raine?",
    "Haile braue friend;",
    "You may see Lepidus",
    "Sit",
    "Nay then",
    "Belike 'tis but a Rumour",
    "How if a will not stand?",
    "Oh what a thing is man!",
    "And from Saint Iaques hither, my Lord.",
    "Loue like a shadow flies",
]


def test_headings_directions_prefixes_and_printers_marks_are_left_out() -> None:
    assert spoken_lines(PLAY) == SPOKEN


def test_line_ends_of_another_system_make_no_difference() -> None:
    assert spoken_lines(PLAY.replace("\n", "\r\n")) == SPOKEN


def test_an_empty_play_has_no_lines() -> None:
    assert spoken_lines("") == []


def test_the_35_plays_include_those_that_are_held_out() -> None:
    assert len(set(MODERN_PLAYS.values())) == len(MODERN_PLAYS) == 35
    assert set(MODERN_PLAYS.values()) >= GOLD_PLAYS | VALIDATION_PLAYS
