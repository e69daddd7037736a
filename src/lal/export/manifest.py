"""The manifest: what each file of a bundle is, to the bit, and what the bundle was made from."""

from pathlib import Path
from typing import Any, TypeGuard

from lal.errors import ModelError
from lal.files import read_json, sha256, write_json

NAME = "manifest.json"
FORMAT = 1


def write_manifest(folder: Path, made_from: dict[str, Any]) -> None:
    """Writes `manifest.json`: size and SHA-256 of every other file of the folder, and the bundle's lineage.

    Args:
        folder: The finished bundle; nothing may be written to it afterwards.
        made_from: What the model was made from, JSON-able: digests of inputs, params, the parent models.
    """
    entries = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in _files_of(folder)
    }
    write_json(folder / NAME, {"format": FORMAT, "files": entries, "made_from": made_from})


def check_manifest(folder: Path) -> dict[str, Any]:
    """Demands that a bundle is what its manifest says, and returns the manifest.

    Raises:
        ModelError: A file is missing, is not in the manifest, or has other bytes; all of them are named.
    """
    manifest = read_manifest(folder)
    listed = manifest["files"]
    present = set(_files_of(folder))
    problems = [f"{folder / name}: missing" for name in sorted(listed.keys() - present)]
    problems += [f"{folder / name}: not in the manifest" for name in sorted(present - listed.keys())]
    for name in sorted(listed.keys() & present):
        digest = sha256(folder / name)
        if digest != (expected := listed[name]["sha256"]):
            problems.append(f"{folder / name}: sha256 is {digest[:12]}..., the manifest says {expected[:12]}...")
    if problems:
        raise ModelError.of(problems, "this is not the model that was measured: export it again")
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a manifest says, without a look at the files.

    Raises:
        ModelError: It is none.
    """
    manifest = read_json(folder / NAME)
    if not _is_manifest(manifest):
        raise ModelError(f"{folder / NAME}: not a manifest of format {FORMAT}", "export the model again")
    return manifest


def trained_on(folder: Path) -> str | None:
    """SHA-256 of the training conversations that a bundle was made from; None if it does not say.

    Raises:
        ModelError: Its manifest is damaged.
    """
    if not (folder / NAME).is_file():
        return None
    made_from = read_manifest(folder).get("made_from", {})
    told = made_from.get("data", {}).get("conversations", {}).get("files", {}).get("train.jsonl")
    return told if isinstance(told, str) else None


def _files_of(folder: Path) -> list[str]:
    """What a manifest lists: all but itself, and but what file managers and downloaders leave behind (`.DS_Store`)."""
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    shown = [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]
    return sorted(name for name in shown if name != NAME)


def _is_manifest(tree: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(tree, dict)
        and tree.get("format") == FORMAT
        and isinstance(tree.get("files"), dict)
        and all(isinstance(entry, dict) and isinstance(entry.get("sha256"), str) for entry in tree["files"].values())
    )
