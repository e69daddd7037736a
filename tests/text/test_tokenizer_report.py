"""The audit finds a lost byte, and the numbers are what they say."""

import pytest

from lal.errors import TokenizerError
from lal.text.report import audit, find_longest, find_unused, render_report, show_pieces
from lal.text.tokenizer import Tokenizer

TEXTS = ["the cat the cat the cat", "the hat\n"]
TOKENIZER = Tokenizer.train(TEXTS, 264)


def test_the_audit_counts_bytes_words_and_tokens() -> None:
    encoded = TOKENIZER.encode_batch(TEXTS)
    measured = audit(TOKENIZER, TEXTS, encoded, "train")
    assert (measured.num_texts, measured.num_bytes, measured.num_words) == (2, 31, 8)
    assert measured.num_tokens == len(encoded[0]) + len(encoded[1])
    assert measured.numbers["bytes_per_token"] == pytest.approx(31 / measured.num_tokens, abs=1e-4)


@pytest.mark.parametrize("damage", [lambda ids: ids[:-1], lambda ids: [*ids, 0], lambda ids: ids[::-1]])
def test_a_text_that_does_not_come_back_is_an_error(damage) -> None:  # type: ignore[no-untyped-def]
    encoded = TOKENIZER.encode_batch(TEXTS)
    with pytest.raises(TokenizerError, match="text 2 of train does not survive"):
        audit(TOKENIZER, TEXTS, [encoded[0], damage(encoded[1])], "train")


def test_unused_entries_are_those_no_text_needs() -> None:
    unused = find_unused(TOKENIZER, TOKENIZER.encode_batch(["the"]))
    assert unused
    assert set(unused).isdisjoint(TOKENIZER.encode("the"))
    assert len(find_unused(TOKENIZER, [])) == 4


def test_the_report_shows_pieces_on_one_line() -> None:
    encoded = TOKENIZER.encode_batch(TEXTS)
    page = render_report(TOKENIZER, {"train": audit(TOKENIZER, TEXTS, encoded, "train")}, [], TEXTS)
    assert "264 entries: 256 bytes, 4 merges, 4 control tokens" in page
    assert f"    {show_pieces(TOKENIZER, encoded[1])}\n" in page
    assert show_pieces(TOKENIZER, encoded[1]).endswith("\\n")
    assert find_longest(TOKENIZER, 1)[0] in page
