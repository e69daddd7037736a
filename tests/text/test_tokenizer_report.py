"""The audit finds a lost byte, and the numbers are what they say."""

from collections.abc import Iterable

import numpy as np
import pytest

from lal.errors import TokenizerError
from lal.text import pieces
from lal.text.pieces import encode
from lal.text.report import Audit, find_longest, find_unused, render_report, show_pieces
from lal.text.tokenizer import Tokenizer

TEXTS = ["the cat the cat the cat", "the hat\n"]
TOKENIZER = Tokenizer.train(TEXTS, 264)


def audited(texts: Iterable[str]) -> Audit:
    audit = Audit(TOKENIZER, "train")
    for piece, ids in encode(TOKENIZER, texts):
        audit.add(piece, ids)
    return audit


def test_the_audit_counts_bytes_words_and_tokens() -> None:
    measured = audited(TEXTS).measured
    assert (measured.num_texts, measured.num_bytes, measured.num_words) == (2, 31, 8)
    assert measured.num_tokens == sum(map(len, TOKENIZER.encode_batch(TEXTS)))
    assert measured.numbers["bytes_per_token"] == pytest.approx(31 / measured.num_tokens, abs=1e-4)


def test_a_text_in_pieces_is_counted_like_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audited(TEXTS).measured
    monkeypatch.setattr(pieces, "PIECE_CHARACTERS", 5)
    assert audited(TEXTS).measured == whole


@pytest.mark.parametrize("damage", [lambda ids: ids[:-1], lambda ids: [*ids, 0], lambda ids: ids[::-1]])
def test_a_text_that_does_not_come_back_is_an_error(damage) -> None:  # type: ignore[no-untyped-def]
    first, second = encode(TOKENIZER, TEXTS)
    audit = Audit(TOKENIZER, "train")
    audit.add(*first)
    with pytest.raises(TokenizerError, match="text 2 of train does not survive"):
        audit.add(second[0], np.array(damage(second[1].tolist()), dtype=np.uint16))


def test_unused_entries_are_those_no_text_needs() -> None:
    unused = find_unused(TOKENIZER, [audited([]), audited(["the"])])
    assert unused
    assert set(unused).isdisjoint(TOKENIZER.encode("the"))
    assert len(find_unused(TOKENIZER, [audited([])])) == 4


def test_the_report_shows_pieces_on_one_line() -> None:
    page = render_report(TOKENIZER, {"train": audited(TEXTS).measured}, [], TEXTS)
    assert "264 entries: 256 bytes, 4 merges, 4 control tokens" in page
    assert f"    {show_pieces(TOKENIZER, TOKENIZER.encode(TEXTS[1]))}\n" in page
    assert show_pieces(TOKENIZER, TOKENIZER.encode(TEXTS[1])).endswith("\\n")
    assert find_longest(TOKENIZER, 1)[0] in page


def test_the_report_says_when_the_vocabulary_is_learned_from_a_part() -> None:
    measured = {"train": audited(TEXTS).measured}
    assert "Learned from 6.4% of" in render_report(TOKENIZER, measured, [], TEXTS, learned_from=0.064)
    assert "Learned from" not in render_report(TOKENIZER, measured, [], TEXTS)
