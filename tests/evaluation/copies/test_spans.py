import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lal.evaluation.copies.spans import WINDOW, Passage, Span, SpanIndex, covered


def index_of(*texts: str) -> SpanIndex:
    return SpanIndex(Passage(f"p{number}", text) for number, text in enumerate(texts))


def longest_by_hand(text: str, body: list[str]) -> int:
    """The longest common substring, by trying all."""
    lengths = [
        end - start
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if any(text[start:end] in passage for passage in body)
    ]
    return max(lengths, default=0)


def covered_by_hand(text: str, body: list[str], least: int) -> int:
    marked: set[int] = set()
    for start in range(len(text) - least + 1):
        if any(text[start : start + least] in passage for passage in body):
            marked |= set(range(start, start + least))
    return len(marked)


def test_the_span_and_its_place_are_told() -> None:
    index = index_of("Who's there?", "To be, or not to be,\nthat is the question:")
    ((span,),) = index.spans(["She said: or not to be, I think"])
    assert span == Span(start=9, length=14, passage=1, offset=6)
    assert index.place(span) == "p1, line 1"
    ((later,),) = index.spans(["is the question"])
    assert index.place(later) == "p1, line 2"


def test_a_span_never_runs_over_the_border_of_two_texts() -> None:
    index = index_of("abcdefghij", "klmnopqrst")
    assert index.spans(["fghijklmno"]) == [[]]
    spans = index.spans(["abcdefghij", "klmnopqrst"])
    assert [[(span.passage, span.length) for span in found] for found in spans] == [[(0, 10)], [(1, 10)]]


def test_a_text_is_found_whole_at_the_very_start_and_end_of_the_body() -> None:
    index = index_of("The quality of mercy")
    ((whole,),) = index.spans(["The quality of mercy"])
    assert (whole.start, whole.length) == (0, 20)
    ((end,),) = index.spans(["x of mercy"])
    assert (end.start, end.length, end.offset) == (1, 9, 11)


def test_of_equal_spans_the_first_passage_is_named() -> None:
    ((span,),) = index_of("nothing", "good my lord", "good my lord").spans(["good my lord"])
    assert span.passage == 1


def test_nothing_in_common_and_nothing_at_all_are_no_error() -> None:
    assert index_of("To be, or not to be").spans(["", "Giue me my Armor", "short"]) == [[], [], []]
    assert index_of("a").spans([]) == []
    assert index_of().spans(["To be, or not to be"]) == [[]]
    assert index_of("", "").num_characters == 0


def test_characters_are_counted_and_not_bytes() -> None:
    text = "Où est l'éléphant \N{GRINNING FACE}?"
    ((span,),) = index_of(f"... {text} ...").spans([text])
    assert span.length == len(text)


@given(
    st.lists(st.text("ab ", max_size=40), max_size=4),
    st.lists(st.text("ab ", max_size=40), min_size=1, max_size=3),
    st.integers(WINDOW, 20),
)
@settings(max_examples=60, deadline=None)
def test_it_finds_what_trying_all_substrings_finds(body: list[str], texts: list[str], least: int) -> None:
    for text, spans in zip(texts, index_of(*body).spans(texts), strict=True):
        longest = max((span.length for span in spans), default=0)
        expected = longest_by_hand(text, body)
        assert longest == (expected if expected >= WINDOW else 0)
        assert covered(spans, least) == covered_by_hand(text, body, least)
        for span in spans:
            there = body[span.passage][span.offset : span.offset + span.length]
            assert text[span.start : span.start + span.length] == there


def test_many_hits_are_followed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    body, texts = ["ab" * 60, "ab" * 45 + "c"], ["ab" * 50, "b" + "ab" * 40 + "c"]
    whole = index_of(*body).spans(texts)
    monkeypatch.setattr("lal.evaluation.copies.spans._PAIRS_AT_ONCE", 7)
    assert index_of(*body).spans(texts) == whole
    assert max(span.length for span in whole[0]) == 100


def test_a_body_of_random_words_holds_no_long_span_and_a_planted_one_is_found() -> None:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=6)) for _ in range(3000)]
    body = " ".join(rng.choice(words, size=20_000))
    planted = body[70_000:70_055]
    text = " ".join(rng.choice(words, size=3)) + planted + " ".join(rng.choice(words, size=3))
    (spans,) = SpanIndex([Passage("body", body)]).spans([text])
    longest = max(spans, key=lambda span: span.length)
    assert longest.offset <= 70_000
    assert longest.length >= len(planted)
    assert covered(spans, 50) == longest.length


def test_overlapping_spans_count_once() -> None:
    spans = [Span(0, 10, 0, 0), Span(5, 10, 0, 0), Span(20, 9, 0, 0), Span(6, 2, 0, 0)]
    assert covered(spans, 10) == 15
    assert covered(spans, 9) == 24
    assert covered([], 9) == 0
