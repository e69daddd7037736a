"""What generation copies: how much of what a model wrote stands word for word in what it learned from.

A share by itself says little: modern spelling of an old line has phrases in common with every other play. So each share
has a yardstick beside it, text of the same length that a person wrote and the model has not seen: for answers the
expected answers, for free continuations of a held-out text the text as it really goes on.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lal.evaluation.copies.records import AT_LEAST, Copied, Copies, Group, Likelihood
from lal.evaluation.copies.spans import Passage, Span, SpanIndex, covered
from lal.evaluation.scores.results import Result
from lal.model.folder import LoadedModel
from lal.model.samples import continue_batch
from lal.model.sampling import Sampling
from lal.records import Conversation, Document, line_to_modernise

NUM_SAMPLES = 20
SAMPLE_CHARACTERS = 400
BEGINNING_TOKENS = 24
"""Held-out tokens that the base model continues; of a model with a short context, a quarter of it."""

SAMPLING = Sampling(temperature=0.8)
"""As `lal generate` draws unless told otherwise."""

SAMPLE_SEED = 1623

MAX_WINDOWS = 128
"""Of training and of held-out text, to compare how well either is predicted: 2 s each for the default model."""


@dataclass(frozen=True)
class Learned:
    """What the models learned from, and what of the corpus they did not.

    Attributes:
        corpus: Documents of the training split.
        held_out: Documents of the validation split.
        conversations: Conversations of the training split.
    """

    corpus: Sequence[Document]
    held_out: Sequence[Document]
    conversations: Sequence[Conversation]


def measure_copies(results: Sequence[Result], base: LoadedModel, learned: Learned) -> Copies:
    """Measures what answers copy from all training text, and what the base model copies from the corpus.

    The base model has not seen the conversations, and they may quote what the corpus holds out: with them in its body,
    54 % of the held-out part of TinyShakespeare would count as copied in spans of 20 characters; without, 2 %.

    Args:
        results: One solver's answers.
        base: The pretrained model.
        learned: What both were trained on.
    """
    corpus = [Passage(document.id, document.text) for document in learned.corpus]
    everything = SpanIndex([*corpus, *_passages(learned.conversations)])
    texts = [result.text for result in results]
    spans = dict(zip((result.item_id for result in results), everything.spans(texts), strict=True))
    body, exact = "training text", [result for result in results if result.scorer == "exact"]
    expected = [result.expected for result in exact]
    groups = [
        _group("answers with one right wording", "model", body, [(one.text, spans[one.item_id]) for one in exact]),
        _group(
            "the same answers as expected",
            "people",
            body,
            list(zip(expected, everything.spans(expected), strict=True)),
        ),
        _group(
            "other answers",
            "model",
            body,
            [(one.text, spans[one.item_id]) for one in results if one.scorer != "exact"],
        ),
    ]
    answers = [_copied(result, spans[result.item_id], everything) for result in results]
    bodies = {body: everything.num_characters}
    del everything  # 120 MB
    only_corpus = SpanIndex(corpus)
    bodies["corpus"] = only_corpus.num_characters
    written, real = _continuations(base, learned.held_out)
    for name, by, group in (("continuations by the base model", "model", written), ("as they go on", "people", real)):
        groups.append(_group(name, by, "corpus", list(zip(group, only_corpus.spans(group), strict=True))))
    return Copies(
        bodies=bodies,
        groups=tuple(group for group in groups if group.num_characters),
        answers=tuple(answers),
        likelihood=_likelihood(base, learned),
    )


def copy_metrics(copies: Copies) -> Mapping[str, float]:
    """The numbers worth comparing between runs: shares in spans of 20 characters, and bits per byte."""
    names = {"answers with one right wording": "answers", "the same answers as expected": "expected"}
    names |= {"continuations by the base model": "samples", "as they go on": "held_out"}
    found = {names[group.name]: group.shares["20"] for group in copies.groups if group.name in names}
    return {name: round(share, 4) for name, share in found.items()}


def _passages(conversations: Sequence[Conversation]) -> list[Passage]:
    """Questions and answers apart; of a line to modernise only the line."""
    return [
        Passage(row.id, line_to_modernise(message.content) or message.content)
        for row in conversations
        for message in row.messages
    ]


def _group(name: str, by: str, body: str, texts: Sequence[tuple[str, Sequence[Span]]]) -> Group:
    """Counts up (text, its spans)."""
    total = sum(len(text) for text, _ in texts)
    longest = [max((span.length for span in spans), default=0) for _, spans in texts]
    return Group(
        name=name,
        by=by,
        body=body,
        num_texts=len(texts),
        num_characters=total,
        shares={
            str(least): sum(covered(spans, least) for _, spans in texts) / total if total else 0.0 for least in AT_LEAST
        },
        median_longest=float(statistics.median(longest)) if longest else 0.0,
        longest=max(longest, default=0),
    )


def _copied(result: Result, spans: Sequence[Span], index: SpanIndex) -> Copied:
    if not spans:
        return Copied(item_id=result.item_id, num_characters=len(result.text), text="", start=0, place="")
    span = max(spans, key=lambda span: span.length)
    return Copied(
        item_id=result.item_id,
        num_characters=len(result.text),
        text=result.text[span.start : span.start + span.length],
        start=span.start,
        place=index.place(span),
    )


def _continuations(base: LoadedModel, held_out: Sequence[Document]) -> tuple[list[str], list[str]]:
    """What the base model makes of beginnings from the held-out text, and what really follows, of the same lengths."""
    tokenizer, most = base.tokenizer, base.model.config.context_length
    ids = tokenizer.encode("\n\n".join(document.text for document in held_out))
    begin = min(BEGINNING_TOKENS, most // 4)
    long_enough = 2 * SAMPLE_CHARACTERS  # Tokens: more than these characters can take, and fewer where context ends.
    room = min(most - begin + 1, long_enough)
    count = min(NUM_SAMPLES, len(ids) // (begin + room))
    starts = [place * (len(ids) - begin - room) // max(1, count) for place in range(count)]
    drawn = continue_batch(
        base.model, [ids[start : start + begin] for start in starts], SAMPLING, room, tokenizer.end_id, SAMPLE_SEED
    )
    written = [tokenizer.decode(row)[:SAMPLE_CHARACTERS] for row in drawn]
    goes_on = [tokenizer.decode(ids[start + begin : start + begin + long_enough]) for start in starts]
    return written, [real[: len(text)] for text, real in zip(written, goes_on, strict=True)]


def _likelihood(base: LoadedModel, learned: Learned) -> Likelihood | None:
    """Bits per byte on as many windows of either text, spread evenly over it."""
    width = base.model.config.context_length
    texts = ["\n\n".join(document.text for document in part) for part in (learned.corpus, learned.held_out)]
    ids = [np.array(base.tokenizer.encode(text), dtype=np.int64) for text in texts]
    count = min(MAX_WINDOWS, *((len(each) - 1) // width for each in ids))
    if count < 1:
        return None
    training, held_out = (_bits_per_byte(base, _windows(each, count, width)) for each in ids)
    return Likelihood(num_windows=count, training=training, held_out=held_out)


def _windows(ids: NDArray[np.int64], count: int, width: int) -> NDArray[np.int64]:
    """(count, width + 1) ids, spread evenly, none twice."""
    every = ((len(ids) - 1) // width) / count
    starts = np.array([int(number * every) for number in range(count)]) * width
    return ids[starts[:, None] + np.arange(width + 1)]


@torch.inference_mode()
def _bits_per_byte(base: LoadedModel, windows: NDArray[np.int64]) -> float:
    nats = []
    for first in range(0, len(windows), 8):
        ids = torch.tensor(windows[first : first + 8], device=base.model.device)
        losses = F.cross_entropy(base.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        nats.append(losses.double().sum().item())
    return math.fsum(nats) / math.log(2) / base.tokenizer.count_bytes(windows[:, 1:].ravel())
