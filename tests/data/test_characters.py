"""Characters: every line end becomes one, and no control character comes through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.characters import CONTROL_CHARACTER, letters_only, mend_line_ends


@given(st.text(alphabet="ab\r\n\t", max_size=40))
def test_a_mended_text_has_its_letters_and_line_feeds_alone(text: str) -> None:
    mended = mend_line_ends(text)
    assert not CONTROL_CHARACTER.search(mended)
    assert mended.replace("\n", "") == text.replace("\r", "").replace("\n", "")
    assert mend_line_ends(mended) == mended


@pytest.mark.parametrize("character", ["\0", "\f", "\x1b", "\x7f", "\x85"])
def test_a_control_character_is_refused_with_its_line(character: str) -> None:
    with pytest.raises(ValueError, match=rf"control character U\+{ord(character):04X} in line 2: 'one\\ntwo"):
        mend_line_ends(f"one\r\ntwo{character}")


def test_casing_spacing_and_punctuation_make_no_other_text_but_spelling_does() -> None:
    assert letters_only("My Lord,") == letters_only("my  lord!")
    assert letters_only("heere") != letters_only("here")
    assert letters_only(" ... ") == "..."
