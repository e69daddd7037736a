"""The section on what generation copies: a table with its yardsticks, and the answers with the longest spans."""

from html import escape

from lal.evaluation.copies.records import AT_LEAST, Copied, Copies, Group

ANSWERS_SHOWN = 8


def copies_section(copies: Copies) -> str:
    """Shares of copied text by length of the span, people's text beside the model's."""
    if not copies.groups:
        return ""
    head = "".join(f'<th scope="col">{least} or more</th>' for least in AT_LEAST)
    rows = "".join(_row(group) for group in copies.groups)
    sizes = " and ".join(f"{size:,} characters of {escape(body)}" for body, size in copies.bodies.items())
    return (
        '<section id="copies"><h2>What it copies</h2>'
        f"{_told(copies)}"
        '<table class="copies"><caption>Share of the characters that stand word for word in what was learned from, '
        f"within a span of at least so many characters. Compared with {sizes}.</caption>"
        f'<thead><tr><td></td>{head}<th scope="col">longest span</th></tr></thead><tbody>{rows}</tbody></table>'
        f"{_likelihood(copies)}{_longest(copies)}</section>"
    )


def _told(copies: Copies) -> str:
    """What the table says, in a sentence for each pair of model and people."""
    sentences, alone = [], []
    for ours, theirs in zip(copies.groups, (*copies.groups[1:], None), strict=True):
        if ours.by == "model" and (theirs is None or theirs.by == "model"):
            alone.append(escape(ours.name))
        elif theirs is not None and ours.by == "model":
            one, other = ours.shares["20"], theirs.shares["20"]
            sentences.append(
                f"Of the characters in {escape(ours.name)}, {one:.1%} lie in copied spans of 20 or more; in text that "
                f"people wrote and it has not seen ({escape(theirs.name)}), {other:.1%} do."
            )
    told = "A share by itself says little, since all plays have phrases in common: compare each with the row below it."
    if alone:
        told += f" There is none for {', '.join(alone)}: what it says of itself, it may have been taught word for word."
    return f'<p>{" ".join(sentences)}</p><p class="quiet">{told}</p>'


def _row(group: Group) -> str:
    cells = "".join(f'<td data-label="{least} or more">{group.shares[str(least)]:.1%}</td>' for least in AT_LEAST)
    kind = ' class="own"' if group.by == "model" else ""
    size = f"{group.num_texts:,} texts, {group.num_characters:,} characters, against the {group.body}"
    longest = f'{group.longest} <span class="count">median {group.median_longest:.0f}</span>'
    return (
        f'<tr><th scope="row"{kind}>{escape(group.name)}<small>{escape(size)}</small></th>{cells}'
        f'<td data-label="longest span">{longest}</td></tr>'
    )


def _likelihood(copies: Copies) -> str:
    """Train versus held-out bits per byte."""
    found = copies.likelihood
    if found is None:
        return ""
    return (
        f"<p>The base model needs {found.training:.3f} bits a byte for text that it was trained on and "
        f"{found.held_out:.3f} for text that it was not, {found.held_out - found.training:+.3f} ({found.num_windows:,} "
        "windows of either). The two texts are not equally hard by nature; but of a gap that grows from run to run the "
        "model's memory is the reason.</p>"
    )


def _longest(copies: Copies) -> str:
    """The answers with the longest spans, and where these stand."""
    found = sorted((one for one in copies.answers if one.text), key=lambda one: (-len(one.text), one.item_id))
    if not found:
        return ""
    items = "".join(f"<li>{_card(one)}</li>" for one in found[:ANSWERS_SHOWN])
    return (
        '<details class="more"><summary>The longest spans in its answers, and where they stand</summary>'
        f'<ol class="items two">{items}</ol></details>'
    )


def _card(one: Copied) -> str:
    share = f"{len(one.text)} of {one.num_characters} characters"
    return (
        f'<div class="item"><dl><dt>copied</dt><dd class="folio">{escape(one.text)}</dd>'
        f"<dt>stands in</dt><dd>{escape(one.place)}</dd></dl>"
        f'<p class="meta">{escape(one.item_id)} \N{MIDDLE DOT} {share}</p></div>'
    )
