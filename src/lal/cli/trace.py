"""`lal trace`: from a shipped file, by its bytes, back to its run, params, commit, data and sources."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lal.errors import LalError, ModelError
from lal.files import read_json, sha256, size_bytes
from lal.lineage import file_at, file_history, project_root

if TYPE_CHECKING:
    from lal.export.trace import Bundle, Match
    from lal.tracking.registry import Version

EXPORT, SOURCES, FACTS = Path("models/export"), "data/sources.lock", "champion/champion.json"

CHANGED = "it is not what was shipped: export it again, or take the file from the place named above"


def trace(
    file: Annotated[
        Path, typer.Argument(help="A shipped file, wherever it is and whatever it is called; or a bundle.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say which model a file is of, and what that was made from: run, params, commit, data, sources, verdict."""
    from lal.export.trace import find_bytes

    known = _Known()
    bundles = known.bundles(file)
    digest = _digest(file)
    matches = find_bytes(digest, bundles)
    if not matches:
        _refuse(file, digest, bundles, known.notes, as_json)
    reports = [_report(match, known) for match in matches]
    if as_json:
        print(json.dumps(_frame(file, digest, known.notes) | {"matches": reports}, indent=2, ensure_ascii=False))
        return
    from lal.cli.trace_text import render

    print(render(file, digest, reports, known.notes))


class _Known:
    """All bundles that can be reached: registered ones, the exported one, and the one that the file lies in."""

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {}
        self.notes: list[str] = []

    def bundles(self, file: Path) -> "list[Bundle]":
        """Champion first, then the newest; what is out of reach becomes a note."""
        from lal.export.trace import Bundle
        from lal.tracking.registry import CHAMPION, ModelRegistry

        registry = ModelRegistry(project_root())
        found: list[Bundle] = []
        try:
            versions = registry.versions()
        except LalError as error:
            self.notes.append(error.problem)
            versions = []
        for version in sorted(versions, key=lambda each: (CHAMPION in each.aliases, each.number), reverse=True):
            place = f"models:/{version.name}/{version.number}"
            try:
                found.append(Bundle(place, version.manifest_sha256, read_json(registry.manifest(version))))
                self.versions[place] = version
            except LalError as error:
                self.notes.append(error.problem)
        beside = file if file.is_dir() else file.parent
        return [*found, *self._local(EXPORT), *(self._local(beside) if beside.resolve() != EXPORT.resolve() else [])]

    def _local(self, folder: Path) -> "list[Bundle]":
        from lal.export.manifest import NAME, read_manifest
        from lal.export.trace import Bundle

        path = folder / NAME
        if not path.is_file():
            return []
        try:
            return [Bundle(folder.as_posix(), sha256(path), read_manifest(folder))]
        except LalError as error:
            self.notes.append(error.problem)
            return []


def _digest(file: Path) -> str:
    """The SHA-256 of a file; of a bundle that of its manifest, after all of it was looked at.

    Raises:
        ModelError: A folder is no bundle, or a file of it is not what its manifest says.
    """
    from lal.export.manifest import NAME, check_manifest

    if not file.is_dir():
        return sha256(file)
    if not (file / NAME).is_file():
        raise ModelError(f"{file}: no {NAME} in it, so it is no bundle", "name one of its files")
    check_manifest(file)
    return sha256(file / NAME)


def _refuse(file: Path, digest: str, bundles: "list[Bundle]", notes: list[str], as_json: bool) -> None:
    """Raises: ModelError: Always: no bundle has such a file; with the digests it perhaps should have."""
    from lal.export.trace import find_likely

    likely = find_likely(file.name, size_bytes(file), bundles)
    if as_json:
        names = [{"bundle": each.bundle.place, "name": each.name, "sha256": each.sha256} for each in likely]
        print(json.dumps(_frame(file, digest, notes) | {"matches": [], "likely": names}, indent=2, ensure_ascii=False))
        raise typer.Exit(1)
    expected = list(dict.fromkeys((each.name, each.sha256) for each in likely))
    problems = [f"{file}: no known bundle has such a file (sha256 {digest})", *notes]
    for name, known in expected:
        places = ", ".join(each.bundle.place for each in likely if (each.name, each.sha256) == (name, known))
        problems.append(f"  {name} has sha256 {known} in {places}")
    if not bundles:
        problems.append(
            "  no bundle is known here: nothing is registered or exported, and no manifest.json lies beside it"
        )
    raise ModelError.of(problems, CHANGED if likely else "run it in the project that made the file")


def _report(match: "Match", known: _Known) -> dict[str, Any]:
    """All that is known of a bundle, as JSON can say it."""
    from lal.export.facts import WEIGHTS
    from lal.export.trace import origin

    bundle, version = match.bundle, known.versions.get(match.bundle.place)
    made = origin(bundle.manifest)
    commit = version.tags.get("lal.commit") if version else None
    weights = bundle.manifest["files"].get(WEIGHTS, {}).get("sha256")
    return {
        "bundle": bundle.place,
        "name": match.name,
        "manifest_sha256": bundle.manifest_sha256,
        "registered": _registered(version),
        "champion": _champion(version, weights),
        **made,
        "sources": _pinned(made["sources"], commit),
    }


def _registered(version: "Version | None") -> dict[str, Any] | None:
    """What the registry knows of a version."""
    if version is None:
        return None
    return {
        "name": version.name,
        "version": version.number,
        "aliases": list(version.aliases),
        "run": version.run_id,
        "runs": {key.removeprefix("lal.run."): run for key, run in version.tags.items() if key.startswith("lal.run.")},
        "commit": version.tags.get("lal.commit"),
        "uncommitted": version.tags.get("lal.uncommitted"),
        "dvc": json.loads(version.tags.get("lal.dvc", "{}")),
    }


def _champion(version: "Version | None", weights: str | None) -> dict[str, Any]:
    """Whether it is or was the champion: by the registry's log, and by the commits of champion/."""
    from lal.tracking.champions import Champions, succession
    from lal.tracking.registry import ModelRegistry

    turns: list[dict[str, Any]] = []
    now, same_weights = False, None
    if version:
        champions = Champions(ModelRegistry(project_root()), version.name)
        log = champions.log()
        turns = [asdict(turn) for turn in log if turn.version == version.number]
        if held := succession(log):
            now = held[-1].version == version.number
            is_same = champions.version(held[-1].version).tags.get("lal.model_sha256") == weights
            same_weights = held[-1].version if is_same and not now else None
    commits = [commit for commit, text in file_history(Path.cwd(), FACTS) if weights and f'"{weights}"' in text]
    return {"now": now, "turns": turns, "same_weights_as": same_weights, "commits": commits}


def _pinned(sources: dict[str, str], commit: str | None) -> dict[str, dict[str, str | None]]:
    """Each source with its line in data/sources.lock as it was then, or else as it is now."""
    here = Path(SOURCES).read_text(encoding="utf-8") if Path(SOURCES).is_file() else ""
    lock = (file_at(Path.cwd(), commit, SOURCES) if commit else None) or here
    lines = {digest: line for line in lock.splitlines() for digest in sources.values() if f"sha256:{digest}" in line}
    return {name: {"sha256": digest, "pinned": lines.get(digest)} for name, digest in sources.items()}


def _frame(file: Path, digest: str, notes: list[str]) -> dict[str, Any]:
    return {"file": str(file), "sha256": digest, "notes": notes}
