"""Complete plays in modern spelling, from Markdown: `**SPEAKER**` paragraphs, `_directions_`, `#` headings."""

import re
from dataclasses import dataclass

_DIRECTION = re.compile(r"_+[^_]+_+|\*+[^*]+\*+|\[[^\]]*\]_?")


@dataclass(frozen=True)
class Speech:
    """What one speaker says in one go, a line of verse or prose a string."""

    speaker: str
    lines: tuple[str, ...]


def parse_play(markdown: str) -> list[Speech]:
    """The speeches of a play in order, without headings and stage directions.

    A paragraph opens with its speaker in bold; one without a speaker goes on with the last speech (a direction stood
    in between).
    """
    speeches: list[Speech] = []
    for paragraph in re.split(r"\n\s*\n", markdown.replace("\r\n", "\n")):
        lines = [line.strip() for line in paragraph.strip().split("\n")]
        speaker = ""
        if named := re.fullmatch(r"\*\*(.+?)\*\*", lines[0]):
            speaker, lines = named[1], lines[1:]
        spoken = () if lines and lines[0].startswith("#") else _without_directions(lines)
        if speaker:
            speeches.append(Speech(speaker, spoken))
        elif spoken and speeches:
            speeches[-1] = Speech(speeches[-1].speaker, speeches[-1].lines + spoken)
    return [speech for speech in speeches if speech.lines]


def render_speeches(speeches: list[Speech]) -> str:
    """A play as running text in TinyShakespeare's layout: the speaker and a colon, the lines, a blank line."""
    return "\n".join("\n".join([f"{speech.speaker}:", *speech.lines, ""]) for speech in speeches)


def _without_directions(lines: list[str]) -> tuple[str, ...]:
    text = _DIRECTION.sub("", "\n".join(lines)).replace("\\", "")
    return tuple(line.strip() for line in text.split("\n") if line.strip())
