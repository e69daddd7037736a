"""From a play in Markdown to its speeches."""

from lal.data.plays import Speech, parse_play, render_speeches

PLAY = """# Macbeth

## ACT I

### SCENE I. A desert place.

_Thunder and lightning. Enter
three Witches_

**First Witch**  
When shall we three meet again  
In thunder, lightning, or in rain?

_Exit_

Come away!

**ALL**  
_\\[Aside]_  
Fair is foul, __\\[Sings]_ and foul is fair:

**PAGE**  
[Within]_  
Who's there?

*Exeunt lords.*

**NOBODY**  
_Dies_
"""  # noqa: W291 - two blanks end a line in Markdown

SPEECHES = [
    Speech("First Witch", ("When shall we three meet again", "In thunder, lightning, or in rain?", "Come away!")),
    Speech("ALL", ("Fair is foul,  and foul is fair:",)),
    Speech("PAGE", ("Who's there?",)),
]


def test_speeches_come_without_headings_and_directions() -> None:
    assert parse_play(PLAY) == SPEECHES


def test_a_play_is_printed_as_tinyshakespeare_prints_it() -> None:
    text = render_speeches([Speech("A", ("one", "two")), Speech("B", ("three",))])
    assert text == "A:\none\ntwo\n\nB:\nthree\n"


def test_an_empty_play_has_no_speeches() -> None:
    assert parse_play("") == []
