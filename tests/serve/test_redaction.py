"""What is personal is taken out in whatever company it stands; what Shakespeare wrote stays to the letter."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.gold_items import GoldItem
from lal.records import read_records
from lal.serve.redaction import adds_up_as_card, adds_up_as_iban, redact

ROOT = Path(__file__).parents[2]

PERSONAL = [
    ("will@globe.example", "email"),
    ("w.shakespeare+plays@mail.stratford.co.uk", "email"),
    ("anne.hathaway@xn--strae-oqa.example", "email"),
    ("+44 20 7946 0958", "phone"),
    ("+1 (555) 010-9999", "phone"),
    ("0049 30 901820", "phone"),
    ("(020) 7946 0958", "phone"),
    ("555-010-9999", "phone"),
    ("030/901820-11", "phone"),
    ("07911123456", "phone"),
    ("4111 1111 1111 1111", "card"),
    ("5500-0000-0000-0004", "card"),
    ("340000000000009", "card"),
    ("DE89 3704 0044 0532 0130 00", "iban"),
    ("GB82WEST12345698765432", "iban"),
    ("NO93 8601 1117 947", "iban"),
    ("192.168.178.1", "ip"),
    ("2001:db8::8a2e:370:7334", "ip"),
    ("fe80::1ff:fe23:4567:890a", "ip"),
    ("sk-proj-abcdefghij0123456789", "key"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "key"),
    ("AKIAIOSFODNN7EXAMPLE", "key"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "key"),
]
KINDS = dict(PERSONAL)


@pytest.mark.parametrize(("piece", "kind"), PERSONAL)
def test_each_kind_is_replaced_by_its_name(piece: str, kind: str) -> None:
    assert redact(piece).text == f"[{kind}]"
    assert redact(f"Write to {piece}, and soon.").text == f"Write to [{kind}], and soon."
    assert redact(f"({piece})").text == f"([{kind}])"
    assert redact(f"{piece}\n").count == 1


def test_the_credentials_of_an_address_go_and_the_address_stays() -> None:
    assert redact("see https://will:secret@globe.example/plays?q=1").text == (
        "see https://[credentials]@globe.example/plays?q=1"
    )
    assert redact("Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345").text == "Authorization: Bearer [key]"


@given(st.lists(st.sampled_from([piece for piece, _ in PERSONAL]), min_size=1, max_size=5), st.data())
def test_several_are_all_found_between_words(pieces: list[str], data: st.DataObject) -> None:
    words = [data.draw(st.sampled_from(["and", "of the", "or,", "Thou", "sayes:"])) for _ in pieces]
    text = " ".join(f"{word} {piece}" for word, piece in zip(words, pieces, strict=True))
    done = redact(text)
    assert done.text == " ".join(f"{word} [{KINDS[piece]}]" for word, piece in zip(words, pieces, strict=True))
    assert done.count == len(pieces)


@given(st.text(max_size=200))
def test_a_second_time_finds_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once.text) == (once if once.count == 0 else redact(once.text))
    assert redact(redact(once.text).text).count == 0


@given(st.integers(0, 10**15 - 1))
def test_a_number_is_a_card_only_with_its_check_digit(number: int) -> None:
    body = f"4{number:015d}"[:-1]
    fitting = [digit for digit in "0123456789" if adds_up_as_card(body + digit)]
    assert len(fitting) == 1
    assert redact(f"no {body}{fitting[0]} it").text == "no [card] it"


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=11, max_size=26))
def test_an_iban_has_one_pair_of_check_digits(account: str) -> None:
    fitting = [check for check in range(2, 99) if adds_up_as_iban(f"DE{check:02d}{account}")]
    assert len(fitting) == 1


def test_no_line_of_the_gold_set_and_no_number_of_a_playbook_is_touched() -> None:
    for item in read_records(ROOT / "gold" / "gold.jsonl", GoldItem):
        for text in (item.prompt, item.expected):
            assert redact(text).count == 0, text
    for text in (
        "Enter 2. or 3. Gentlemen, with 1000. Markes",
        "Anno Domini 1623. Feb. 8. 1600, fol. 23. col. 2",
        "3. Henry VI. Act I. Scene i, ll. 120-134, 136-140",
        "he hath 3000 Duckats a yeere :: and 20, 30, 40 more",
        "1564-04-26 to 1616-04-23; 12:30:45",
        "10 000 000 times",
        "1 2 3 4 5 6 7 8 9 10 11 12",
    ):
        assert redact(text).count == 0, text


def test_a_long_hostile_text_takes_no_time() -> None:
    draw = random.Random(0)  # noqa: S311
    for alphabet in ("0 ", "a@.", "0123456789-", ":a1", "://:@", "DE89 ", "+0("):
        text = "".join(draw.choice(alphabet) for _ in range(20_000))
        redact(text)
        redact(alphabet * 5_000)
