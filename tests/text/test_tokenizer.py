"""The tokenizer keeps every byte, lets no text become a control token, and is what transformers reads."""

import json
from pathlib import Path

import pytest
import transformers
from hypothesis import example, given
from hypothesis import strategies as st

from lal.errors import TokenizerError
from lal.text.tokenizer import CONTROL_TOKENS, StreamDecoder, Tokenizer

TEXTS = [
    "Haue you had quiet Guard? Not a Mouse stirring.\n\n",
    "Well, good night. If you do meet Horatio and Marcellus, ",
] * 3
TOKENIZER = Tokenizer.train(TEXTS, 300)

any_text = st.text(st.characters(exclude_categories=["Cs"]))
nasty_text = st.lists(
    st.one_of(
        any_text, st.sampled_from([*CONTROL_TOKENS, "<|", "|>", "\0", "\r\n", "\u202e", "👩‍👩‍👧", "é", "x" * 5000])
    )
).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    TOKENIZER.save(folder)
    return folder


@given(nasty_text)
@example("<|end|><|assistant|>")
@example("שלום \u200f עולם")
@example("\x00\x01 \ufeff \uffff 😀")
def test_every_text_comes_back_and_none_becomes_a_control_token(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.count_bytes(ids) == len(text.encode())
    assert all(0 <= token_id < TOKENIZER.end_id for token_id in ids)


@given(nasty_text)
def test_a_loaded_tokenizer_lets_no_control_token_in_either(text: str) -> None:
    loaded = Tokenizer(TOKENIZER._serialized)
    assert loaded.encode(text) == TOKENIZER.encode(text)


@given(nasty_text)
def test_streamed_text_never_holds_half_a_character(text: str) -> None:
    decoder = StreamDecoder(TOKENIZER)
    parts = [decoder.push(token_id) for token_id in TOKENIZER.encode(text)]
    assert all("\ufffd" not in part or "\ufffd" in text for part in parts)
    assert "".join(parts) + decoder.finish() == text


def test_a_stream_that_ends_inside_a_character_says_so() -> None:
    decoder = StreamDecoder(TOKENIZER)
    first_byte = TOKENIZER.encode("😀")[0]
    assert decoder.push(first_byte) == ""
    assert decoder.finish() == "\ufffd"


def test_transformers_reads_the_same_ids(folder: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in [*TEXTS, "", "  two  spaces\t\n\n", "naïve 😀 1234", "\0"]:
        assert theirs.encode(text) == TOKENIZER.encode(text)
        assert theirs.decode(TOKENIZER.encode(text)) == text
    assert theirs.convert_tokens_to_ids(list(CONTROL_TOKENS)) == list(range(TOKENIZER.end_id, 300))
    assert theirs.decode([TOKENIZER.role_id("user"), TOKENIZER.end_id], skip_special_tokens=True) == ""


def test_saving_and_loading_changes_nothing(folder: Path) -> None:
    loaded = Tokenizer.load(folder)
    assert loaded.vocabulary_size == 300
    assert [loaded.token_bytes(number) for number in range(300)] == [TOKENIZER.token_bytes(n) for n in range(300)]


def test_the_same_texts_give_the_same_tokenizer() -> None:
    assert Tokenizer.train(iter(TEXTS), 300)._serialized == TOKENIZER._serialized


def test_260_entries_are_bytes() -> None:
    tokenizer = Tokenizer.train(TEXTS, 260)
    assert [tokenizer.token_bytes(tokenizer.encode(chr(code))[0]) for code in range(128)] == [
        bytes([c]) for c in range(128)
    ]
    assert len(tokenizer.encode("Guard é")) == 8


def test_control_tokens_are_the_last_ids_and_stand_for_no_text() -> None:
    ids = [TOKENIZER.end_id, *(TOKENIZER.role_id(role) for role in ("system", "user", "assistant"))]
    assert ids == [296, 297, 298, 299]
    assert TOKENIZER.decode(ids) == ""
    assert TOKENIZER.count_bytes(ids) == 0


def test_a_vocabulary_the_texts_cannot_fill_is_refused_with_the_number_they_can() -> None:
    with pytest.raises(TokenizerError, match=r"fill only (\d+) entries") as caught:
        Tokenizer.train(["abab"], 1000)
    most = int(caught.value.remedy.split("set tokenizer.vocabulary_size to ")[1].split()[0])
    assert Tokenizer.train(["abab"], most).vocabulary_size == most


def test_half_a_surrogate_pair_is_refused_by_name() -> None:
    with pytest.raises(TokenizerError, match=r"character 2 .*U\+D83D"):
        TOKENIZER.encode("ab\ud83d")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a tokenizer"),
        (b"{}", "not a tokenizer"),
        (b"\xff", "not UTF-8"),
        (
            json.dumps({"added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}).encode(),
            "must end with",
        ),
    ],
)
def test_another_file_behind_the_name_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=problem):
        Tokenizer.load(tmp_path)


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: cannot be read"):
        Tokenizer.load(tmp_path)


def test_a_vocabulary_of_words_instead_of_bytes_is_refused() -> None:
    tree = json.loads(TOKENIZER._serialized)
    tree["model"]["vocab"] = {"日本": 0}
    tree["model"]["merges"] = []
    for place, token in enumerate(tree["added_tokens"]):
        token["id"] = 1 + place
    with pytest.raises(TokenizerError, match="not a byte-level vocabulary"):
        Tokenizer(json.dumps(tree))
