"""From tokens to text: nothing of a stop string is given out, and never half a character."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.serve.writing import Token, Writer


def said(data: list[bytes], stops: list[str]) -> tuple[str, list[Token], bool]:
    """Everything a writer gives out for tokens of these bytes, in one."""
    writer, text, tokens = Writer(stops), "", list[Token]()
    for number, piece in enumerate(data):
        passage = writer.push(Token(number, piece, -1.0))
        text += passage.text
        tokens += passage.tokens
        if writer.stopped:
            return text, tokens, True
    rest = writer.finish()
    return text + rest.text, [*tokens, *rest.tokens], False


def cut(text: str, places: list[int]) -> list[bytes]:
    """The text's bytes in pieces."""
    data = text.encode()
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.text("abcé€😀\n", max_size=30), st.lists(st.integers(0, 200), max_size=20), st.data())
def test_the_text_ends_before_the_first_stop_string_wherever_the_tokens_are_cut(
    text: str, places: list[int], data: st.DataObject
) -> None:
    stops = data.draw(st.lists(st.text("abcé\n", min_size=1, max_size=4), max_size=3))
    complete = next((end for end in range(len(text) + 1) if text[:end].endswith(tuple(stops))), None)
    longest = max((len(stop) for stop in stops if text[:complete].endswith(stop)), default=0)
    given_out, tokens, stopped = said(cut(text, places), stops)
    assert given_out == (text if complete is None else text[: complete - longest])
    assert stopped == (complete is not None)
    assert b"".join(token.data for token in tokens).decode("utf-8", "ignore").startswith(given_out)


@pytest.mark.parametrize("pieces", [[b"a", b"bc"], [b"ab", b"c"], [b"abc"]])
def test_of_stop_strings_that_overlap_the_one_that_is_complete_first_counts(pieces: list[bytes]) -> None:
    assert said(pieces, ["b", "abc"])[0] == "a"
    assert said(pieces, ["bc", "abc"])[0] == ""


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=12))
def test_bytes_that_are_no_text_come_out_as_the_whole_would_and_every_token_once(pieces: list[bytes]) -> None:
    text, tokens, _ = said(pieces, [])
    assert text == b"".join(pieces).decode("utf-8", "replace")
    assert [token.token_id for token in tokens] == list(range(len(pieces)))


def test_what_may_begin_a_stop_string_waits_with_its_token_until_it_is_certain() -> None:
    writer = Writer(["END"])
    first = writer.push(Token(1, b"to E", -1.0))
    assert (first.text, first.tokens) == ("to ", ())
    second = writer.push(Token(2, b"at", -1.0))
    assert (second.text, [token.token_id for token in second.tokens]) == ("Eat", [1, 2])
