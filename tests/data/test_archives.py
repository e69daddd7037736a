"""Archives are read member by member; whatever is odd about one is refused by name."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lal.data.archives import MAX_MEMBER_BYTES, read_members
from lal.errors import SourceError


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


Maker = Callable[[Path, dict[str, bytes]], Path]

MAKERS = [pytest.param(make_zip, "a.whl", id="wheel"), pytest.param(make_tar, "a.tar.gz", id="sdist")]


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_members_that_match_come_in_name_order(make: Maker, name: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, {"x/b.md": b"B", "x/y/a.md": b"A", "x/c.py": b"C"})
    assert list(read_members(archive, "x/*.md").items()) == [("x/b.md", b"B"), ("x/y/a.md", b"A")]


@pytest.mark.parametrize(("make", "name"), MAKERS)
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_archive_is_refused_by_name(make: Maker, name: str, keep: float, tmp_path: Path) -> None:
    archive = make(tmp_path / name, {"a.md": bytes(range(256)) * 200, "b.md": bytes(range(255)) * 300})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(SourceError, match=name):
        read_members(archive, "*.md")


@pytest.mark.parametrize(("make", "name"), MAKERS)
@pytest.mark.parametrize(
    "member", ["../evil.md", "/etc/evil.md", "a/../../evil.md", "C:\\evil.md", "a\\..\\..\\evil.md"]
)
def test_a_member_that_climbs_out_is_refused(make: Maker, name: str, member: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, {"fine.md": b"", member: b"evil"})
    with pytest.raises(SourceError, match="climbs out"):
        read_members(archive, "*.md")


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_a_member_of_too_many_bytes_is_refused_before_it_is_read(make: Maker, name: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, {"bomb.md": bytes(MAX_MEMBER_BYTES + 1)})
    with pytest.raises(SourceError, match=r"bomb\.md"):
        read_members(archive, "*.md")


def test_a_zip_that_lies_about_a_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.whl", {"bomb.md": b"x" * 5000})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(SourceError, match="damaged"):
        read_members(archive, "*.md")


def test_a_changed_byte_in_a_member_is_noticed(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.whl", {"a.md": b""})
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as stored:
        stored.writestr("a.md", b"truth")
    archive.write_bytes(archive.read_bytes().replace(b"truth", b"trash"))
    with pytest.raises(SourceError, match="damaged"):
        read_members(archive, "*.md")


def test_links_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("passwd.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(SourceError, match="no file that matches"):
        read_members(path, "*.md")


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.whl"):
        read_members(tmp_path / "none.whl", "*")
