"""Was it forgotten, and at which price: how likely a text is before and after training without it, and the gold score.

A model trained anew without a text has not learned it; what is measured is what that took away. A text that was learned
is likelier than one of its kind that never was. After a training without it, it should have lost that, while texts that
stay and texts that were never seen are as likely as before. Both models score the same pieces of text, so that the
change of each kind is a paired difference; in bits per byte, since the tokenizer is made anew as well.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np

from lal.data.forgetting import Gone
from lal.data.own_text import cut_near
from lal.evaluation.failures.patch_ledger import Lift, lifts_of
from lal.evaluation.scores.results import Result
from lal.evaluation.solvers.likelihood import bits_per_byte, continuation_nats, text_cost
from lal.evaluation.statistics.bootstrap import mean_interval
from lal.evaluation.verdict.comparison import compare
from lal.files import write_jsonl
from lal.model.folder import LoadedModel
from lal.records import Conversation, Document, Many, Record, read_records
from lal.text.chat import render_prompt

PIECE_CHARACTERS = 500
"""About the context of the default model."""

MOST_PIECES = 300
"""Of a kind, spread evenly over it: some ten seconds of one core for all of them."""

CONFIDENCE = 0.95

FEW_PIECES = 5
"""Fewer say nothing of how much others would differ."""

BATCH_SIZE = 32
DIGITS = 4

Which = Literal["forgotten", "never seen", "kept"]
"""forgotten: what goes. never seen: of the validation splits. kept: trained on before and after."""

Of = Literal["text", "answers"]
"""text: of documents, under the base model. answers: in conversations, under the fine-tuned one."""


Thing = TypeVar("Thing")


class Held(Record):
    """What is held of a text that was forgotten, until it has been measured; never in git.

    Nats are those of before, in the order of the pieces and rows; None where one is longer than the context.
    """

    document: str
    forgotten_on: str
    documents: int
    passages: int
    conversations: int
    before_run: str | None
    pieces: dict[Which, Many[str]]
    piece_nats: dict[Which, Many[float | None]]
    rows: dict[Which, Many[Conversation]]
    row_nats: dict[Which, Many[float | None]]


class Likelihood(Record):
    """Bits per byte of one kind of text before and after."""

    of: Of
    which: Which
    num: int
    """Pieces, or answers."""
    num_bytes: int
    before: float
    after: float
    low: float | None
    """Lower end of the 95 % interval of the change, from the pieces alone; None for fewer than `FEW_PIECES`."""
    high: float | None


class ForgottenEntry(Record):
    """A row of ledger/forgotten.jsonl."""

    document: str
    forgotten_on: str
    measured_on: str
    documents: int
    """Left out whole."""
    passages: int
    """Cut out of other documents."""
    conversations: int
    """Left out."""
    before_run: str | None
    after_run: str | None
    likelihoods: Many[Likelihood]
    lifts: Many[Lift]
    """Of the gold headline: after, less before."""


def hold(
    gone: Gone,
    corpus: Sequence[Document],
    chats: Sequence[Conversation],
    base: LoadedModel,
    instruct: LoadedModel,
    run_id: str | None,
) -> Held:
    """Chooses what to compare by, and measures it with the models that have learned the text.

    Args:
        gone: What is to be forgotten.
        corpus: What stays of the documents.
        chats: What stays of the conversations.
        base: The pretrained model of before.
        instruct: The fine-tuned one.
        run_id: The MLflow run that evaluated it, if known.
    """
    pieces: dict[Which, list[str]] = {
        "forgotten": _pieces(gone.learned_texts),
        "never seen": _pieces([row.text for row in corpus if row.split == "validation"]),
        "kept": _pieces([row.text for row in corpus if row.split == "train"]),
    }
    rows: dict[Which, list[Conversation]] = {
        "forgotten": _spread([row for row in gone.chats if row.split == "train"]),
        "never seen": _spread([row for row in chats if row.split == "validation"]),
        "kept": _spread([row for row in chats if row.split == "train"]),
    }
    return Held(
        document=gone.row.document,
        forgotten_on=gone.row.forgotten_on,
        documents=len(gone.whole),
        passages=sum(len(passages) for _, passages in gone.cut),
        conversations=len(gone.chats),
        before_run=run_id,
        pieces={which: tuple(found) for which, found in pieces.items()},
        piece_nats={which: tuple(_piece_nats(base, found)) for which, found in pieces.items()},
        rows={which: tuple(found) for which, found in rows.items()},
        row_nats={which: tuple(_answer_nats(instruct, found)) for which, found in rows.items()},
    )


def measure_forgetting(
    held: Held,
    base: LoadedModel,
    instruct: LoadedModel,
    answers: tuple[Sequence[Result], Sequence[Result]],
    headline: Sequence[str],
    run_id: str | None,
    today: datetime.date,
) -> ForgottenEntry:
    """Measures the same with the models that were trained without the text.

    Args:
        held: See `hold`.
        base: The pretrained model of after.
        instruct: The fine-tuned one.
        answers: To the gold set, before and after.
        headline: Slices, as in params.yaml.
        run_id: The MLflow run that evaluated it, if known.
        today: For the record.
    """
    found: list[Likelihood | None] = []
    for which in get_args(Which):
        after = _piece_nats(base, held.pieces[which])
        sizes = [len(piece.encode()) for piece in held.pieces[which]]
        found.append(_likelihood("text", which, sizes, held.piece_nats[which], after))
    for which in get_args(Which):
        after = _answer_nats(instruct, held.rows[which])
        sizes = [len(row.answer.encode()) for row in held.rows[which]]
        found.append(_likelihood("answers", which, sizes, held.row_nats[which], after))
    return ForgottenEntry(
        document=held.document,
        forgotten_on=held.forgotten_on,
        measured_on=today.isoformat(),
        documents=held.documents,
        passages=held.passages,
        conversations=held.conversations,
        before_run=held.before_run,
        after_run=run_id,
        likelihoods=tuple(each for each in found if each),
        lifts=lifts_of(compare(*answers, headline), ()),
    )


def read_entries(path: Path) -> list[ForgottenEntry]:
    """Reads ledger/forgotten.jsonl. Raises: DataError: A row is damaged."""
    return read_records(path, ForgottenEntry) if path.is_file() else []


def add_entry(path: Path, entry: ForgottenEntry) -> None:
    """Adds a row to it."""
    write_jsonl(path, [*read_entries(path), entry])


def _likelihood(
    of: Of, which: Which, sizes: Sequence[int], before: Sequence[float | None], after: Sequence[float | None]
) -> Likelihood | None:
    """None where nothing of the kind was measured by both models."""
    both = [
        (size, old, new)
        for size, old, new in zip(sizes, before, after, strict=True)
        if old is not None and new is not None
    ]
    if not both:
        return None
    weights, old, new = np.array(both, dtype=np.float64).T
    changes = (new - old) / math.log(2) / weights
    low, high = mean_interval(changes, weights, CONFIDENCE) if len(both) >= FEW_PIECES else (None, None)
    size = int(weights.sum())
    return Likelihood(
        of=of,
        which=which,
        num=len(both),
        num_bytes=size,
        before=round(bits_per_byte(float(old.sum()), size), DIGITS),
        after=round(bits_per_byte(float(new.sum()), size), DIGITS),
        low=None if low is None else round(low, DIGITS),
        high=None if high is None else round(high, DIGITS),
    )


def _pieces(texts: Sequence[str]) -> list[str]:
    """The texts, cut at line ends."""
    pieces: list[str] = []
    for text in texts:
        rest = text.strip()
        while len(rest) > 3 * PIECE_CHARACTERS // 2:
            piece, rest = cut_near(rest[: 2 * PIECE_CHARACTERS], PIECE_CHARACTERS)[0], rest
            rest = rest[len(piece) :]
            pieces.append(piece)
        pieces.append(rest)
    return _spread([piece for piece in pieces if piece.strip()])


def _spread(things: Sequence[Thing]) -> list[Thing]:
    """At most `MOST_PIECES` of them, evenly."""
    count = min(MOST_PIECES, len(things))
    return [things[place * len(things) // count] for place in range(count)]


def _piece_nats(base: LoadedModel, pieces: Sequence[str]) -> list[float | None]:
    return [text_cost(base, [piece]).nats for piece in pieces]


def _answer_nats(instruct: LoadedModel, rows: Sequence[Conversation]) -> list[float | None]:
    """Of the last answer of each conversation; None for one longer than the context."""
    tokenizer, most = instruct.tokenizer, instruct.model.config.context_length
    asked = [
        (render_prompt(row.messages[:-1], tokenizer), [*tokenizer.encode(row.answer), tokenizer.end_id]) for row in rows
    ]
    fitting = [place for place, (prompt, answer) in enumerate(asked) if len(prompt) + len(answer) - 1 <= most]
    nats = continuation_nats(instruct.model, [asked[place] for place in fitting], BATCH_SIZE)
    found: Mapping[int, float] = dict(zip(fitting, nats, strict=True))
    return [found.get(place) for place in range(len(rows))]
