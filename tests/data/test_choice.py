"""A value of params.yaml is something built in, or a path, or an error that helps."""

from pathlib import Path

import pytest

from lal.data.choice import is_watched, own_path
from lal.errors import ParamsError

BUILT_IN = ("tinyshakespeare", "plays")


def test_a_built_in_word_is_no_path() -> None:
    assert own_path("data.corpus", "plays", BUILT_IN, "folder") is None


def test_an_existing_path_is_taken(tmp_path: Path) -> None:
    assert own_path("data.corpus", str(tmp_path), BUILT_IN, "folder") == tmp_path


def test_a_slip_of_the_pen_is_mended() -> None:
    with pytest.raises(ParamsError) as caught:
        own_path("data.corpus", "tinyshakespear", BUILT_IN, "folder")
    assert "data.corpus" in caught.value.problem
    assert "'tinyshakespear'" in caught.value.problem
    assert "did you mean 'tinyshakespeare'?" in caught.value.remedy


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "texts").mkdir()
    assert own_path("data.corpus", "~/texts", BUILT_IN, "folder") == tmp_path / "texts"


@pytest.mark.parametrize("value", ["", " ", "no/such/folder", "x" * 300, "~nobody-of-that-name/x", "a\0b"])
def test_anything_else_is_told_what_would_do(value: str) -> None:
    with pytest.raises(ParamsError, match="neither 'plays' nor 'tinyshakespeare' nor an existing folder") as caught:
        own_path("data.corpus", value, BUILT_IN, "folder")
    assert "plays or tinyshakespeare" in caught.value.remedy


def test_only_what_lies_in_the_watched_folder_is_watched(tmp_path: Path) -> None:
    watched = tmp_path / "own"
    assert is_watched(watched, watched)
    assert is_watched(watched / "a" / "b.txt", watched)
    assert not is_watched(watched / ".." / "b.txt", watched)
