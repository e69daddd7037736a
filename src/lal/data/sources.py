"""The pinned source files: read the lock, fetch what is missing, check every digest before a file is used.

The lock is a pip requirements file with hashes, so the machine's own client fetches it through the mirrors and proxies
it knows. Nothing fetched is installed, imported or run: pip prepares a source distribution's metadata even for
`download`, which by default executes its setup.py, so it is handed a build backend that only copies PKG-INFO.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lal.errors import SourceError
from lal.files import sha256, write_bytes, write_text

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)\s+--hash=sha256:(?P<sha256>[0-9a-f]{64})"
)

# Stands in for setuptools, the backend of every distribution without a pyproject.toml. (All pinned ones have none; a
# distribution that brings its own backend would run that, after its hash was checked.)
_BACKEND = """\
import pathlib, re, shutil

class __legacy__:
    def get_requires_for_build_wheel(config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        about = pathlib.Path("PKG-INFO").read_text("utf-8", "replace")
        fields = dict(re.findall(r"^(Name|Version): *(.*)$", about, re.M))
        folder = pathlib.Path(metadata_directory, "{Name}-{Version}.dist-info".format(**fields))
        folder.mkdir()
        shutil.copyfile("PKG-INFO", folder / "METADATA")
        return folder.name
"""

_OPTIONS = (
    "--quiet", "--no-input", "--disable-pip-version-check", "--retries=2",
    "--no-deps", "--require-hashes", "--use-pep517", "--no-build-isolation",
)  # fmt: skip

_NO_NETWORK = re.compile(
    "Failed to establish a new connection|Connection refused|Network is unreachable|name resolution|timed out|"
    "ProxyError|SSLError|Max retries"
)


@dataclass(frozen=True)
class Source:
    """One pinned file of the package registry."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The line pip reads."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def read_lock(path: Path) -> dict[str, Source]:
    """Reads `sources.lock`: `name==version --hash=sha256:...` lines, blank lines and `#` comments.

    Raises:
        SourceError: The file is missing or has lines of another form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read: {error}", "restore it with `git checkout`") from error
    sources, problems = {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _REQUIREMENT.fullmatch(line.strip()):
            sources[match["name"]] = Source(**match.groupdict())
        else:
            problems.append(f"{path}:{number}: expected `name==version --hash=sha256:...`, got {line.strip()!r:.80}")
    if problems:
        raise SourceError("\n".join(problems), "restore it with `git checkout`")
    return sources


def fetch(sources: Iterable[Source], cache: Path) -> dict[str, Path]:
    """The verified file of each source, by name; fetches those that the cache folder lacks.

    Args:
        sources: What is wanted.
        cache: Folder that keeps the files, so that a second run needs no network.

    Raises:
        SourceError: A file cannot be fetched or has another digest than the one pinned.
    """
    wanted = list(sources)
    found = _cached(wanted, cache)
    missing = [source for source in wanted if source.name not in found]
    if missing:
        _download(missing, cache)
        found = _cached(wanted, cache)
    for source in wanted:
        if source.name not in found:
            raise SourceError(
                f"{source.name}=={source.version}: the fetched file is not the one pinned as {source.sha256}",
                f"empty {cache} and run again",
            )
    return found


def pick(lock: Mapping[str, Source], names: Iterable[str], path: Path) -> list[Source]:
    """The named sources of a lock.

    Raises:
        SourceError: The lock lacks one.
    """
    wanted = sorted(set(names))
    if lacking := [name for name in wanted if name not in lock]:
        raise SourceError(f"{path}: no line for {', '.join(lacking)}", "restore it with `git checkout`")
    return [lock[name] for name in wanted]


def _cached(sources: list[Source], cache: Path) -> dict[str, Path]:
    """Files of the cache by source name, recognised by digest: what a file is called proves nothing."""
    by_digest = {sha256(path): path for path in sorted(cache.glob("*")) if path.is_file()}
    return {source.name: by_digest[source.sha256] for source in sources if source.sha256 in by_digest}


def _download(sources: list[Source], cache: Path) -> None:
    """Lets pip fetch files into a scratch folder and moves them into the cache."""
    with tempfile.TemporaryDirectory(prefix="lal-sources-") as scratch:
        requirements, backend, landed = (
            Path(scratch, "requirements.txt"),
            Path(scratch, "backend"),
            Path(scratch, "landed"),
        )
        write_text(requirements, "".join(f"{source.requirement}\n" for source in sources))
        write_text(backend / "setuptools" / "__init__.py", "")
        write_text(backend / "setuptools" / "build_meta.py", _BACKEND)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            *_OPTIONS,
            "--dest",
            str(landed),
            "--requirement",
            str(requirements),
        ]
        environment = os.environ | {"PYTHONPATH": str(backend)}
        finished = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if finished.returncode:
            raise _explain(sources, cache, finished.stdout + finished.stderr)
        for path in sorted(landed.iterdir()):
            write_bytes(cache / path.name, path.read_bytes())


def _explain(sources: list[Source], cache: Path, said: str) -> SourceError:
    """Pip's many words as one error with a remedy."""
    names = ", ".join(f"{source.name}=={source.version}" for source in sources)
    by_hand = f"or put the files into {cache} by hand"
    if "DO NOT MATCH THE HASHES" in said:
        wrong = re.findall(r"(\S+==\S+)[^\n]*:\s+Expected sha256 (\w+)\s+Got\s+(\w+)", said)
        detail = "; ".join(f"{name}: expected sha256 {expected}, got {got}" for name, expected, got in wrong) or names
        return SourceError(
            f"{detail}: this is not the file that was pinned",
            "do not use it; check the lock and the mirror that pip asks",
        )
    if "No module named pip" in said:
        return SourceError(
            f"{names}: {sys.executable} has no pip to fetch with", f"run `{sys.executable} -m ensurepip`, {by_hand}"
        )
    if _NO_NETWORK.search(said):
        return SourceError(
            f"{names}: no network: the registry could not be reached",
            f"connect, set PIP_INDEX_URL to a mirror, {by_hand}",
        )
    return SourceError(f"{names}: pip could not fetch them:\n{said.strip()[-1000:]}", f"mend what pip names, {by_hand}")
