"""Takes out of a text what a person would not want kept, before it is written anywhere.

    e-mail addresses       [email]         card numbers that add up (Luhn)      [card]
    telephone numbers      [phone]         IBANs that add up (ISO 7064)         [iban]
    IP addresses           [ip]            keys of programs (sk-..., AKIA...)   [key]
    user:password@ in an address           [credentials]

Names and places stay: no list knows them all, and half of Shakespeare is names. The old spelling, with its `vv`, long
dashes and Roman numerals, has nothing that looks like any of these, and numbers shorter than a telephone's stay.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Redacted:
    """A text with names of kinds in place of what was personal.

    Attributes:
        text: It.
        count: Pieces that were taken out.
    """

    text: str
    count: int


_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
}
"""Characters of an account number, by country. Source: the IBAN registry, https://www.swift.com/standards/iban"""


def redact(text: str) -> Redacted:
    """Takes out what is personal; what is there already, such as `[email]`, stays and is not counted.

    Example:
        >>> redact("Write to will@globe.example or +44 20 7946 0958.")
        Redacted(text='Write to [email] or [phone].', count=2)
        >>> redact("Enter 2. or 3. Gentlemen, with 1000. Markes").count
        0
    """
    total = 0
    for name, pattern, is_one in _KINDS:

        def put(match: re.Match[str], name: str = name, is_one: Callable[[str], bool] = is_one) -> str:
            nonlocal total
            if not is_one(match[0]):
                return match[0]
            total += 1
            return f"[{name}]"

        text = pattern.sub(put, text)
    return Redacted(text, total)


def adds_up_as_card(digits: str) -> bool:
    """Whether 13 to 19 digits, spaces and hyphens between them, pass Luhn's check.

    Source: ISO/IEC 7812-1, annex B

    Example:
        >>> adds_up_as_card("4111 1111 1111 1111"), adds_up_as_card("4111 1111 1111 1112")
        (True, False)
    """
    numbers = [int(digit) for digit in digits if digit.isdecimal()]
    doubled = (sum(divmod(2 * number, 10)) for number in numbers[-2::-2])
    return 13 <= len(numbers) <= 19 and len(set(numbers)) > 1 and (sum(numbers[-1::-2]) + sum(doubled)) % 10 == 0


def adds_up_as_iban(text: str) -> bool:
    """Whether the check digits of an account number fit.

    Source: ISO 13616, with ISO 7064 mod 97-10

    Example:
        >>> adds_up_as_iban("DE89 3704 0044 0532 0130 00"), adds_up_as_iban("DE88 3704 0044 0532 0130 00")
        (True, False)
    """
    compact = re.sub(r"[\s-]", "", text).upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # "::" and its like are punctuation before they are anybody's.
    return len(text) > 4


def _is_phone(text: str) -> bool:
    """9 to 15 digits, written as people write numbers; a row of small numbers or a date is none."""
    groups = re.findall(r"\d+", text)
    count = sum(map(len, groups))
    if not 9 <= count <= 15 or _is_date(text):
        return False
    return text.startswith(("+", "0", "(")) or (len(groups) > 1 and min(map(len, groups)) >= 2)


def _is_date(text: str) -> bool:
    return re.match(r"(?:1\d|20)\d\d[-./]\d{1,2}[-./]\d{1,2}(?!\d)", text) is not None


def _iban_pattern() -> re.Pattern[str]:
    """Account numbers of each country's length, in one piece or in groups."""
    kinds = [
        f"(?:{countries.replace(' ', '|')})\\d\\d(?:[ -]?[A-Z0-9]){{{length - 4}}}"
        for length, countries in _IBAN_LENGTHS.items()
    ]
    return re.compile(rf"\b(?:{'|'.join(kinds)})(?!\w)", re.IGNORECASE)


def _always(_: str) -> bool:
    return True


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "key",
        re.compile(
            r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\b(?:ghp|gho|ghs|ghu|github_pat|glpat|hf|xox[abprs])[-_]"
            r"[A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[A-Za-z0-9_-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
            r"|(?<=Bearer )[A-Za-z0-9._~+/-]{16,}=*"
        ),
        _always,
    ),
    ("credentials", re.compile(r"(?<=://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)"), _always),
    ("email", re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}"), _always),
    ("iban", _iban_pattern(), adds_up_as_iban),
    ("card", re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])"), adds_up_as_card),
    (
        "ip",
        re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?![\w:])"),
        _is_address,
    ),
    (
        "phone",
        re.compile(r"(?<![\w.,/-])(?:\+|\(\+?\d{1,5}\)[ -]?)?\d(?:[ ()./-]{0,2}\d){5,14}(?!\w)"),
        _is_phone,
    ),
)
"""In the order in which they are looked for: a card number is no telephone number."""
