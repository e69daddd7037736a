"""Which bundle a file is from, by its bytes; and what its manifest says the bundle was made from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lal.export.manifest import NAME


@dataclass(frozen=True)
class Bundle:
    """A bundle that is known.

    Attributes:
        place: `models:/lal/3`, or the folder that it lies in.
        manifest_sha256: What tells one bundle from another.
        manifest: What its manifest.json says.
    """

    place: str
    manifest_sha256: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Match:
    """A bundle that has such a file.

    Attributes:
        bundle: It.
        name: What the file is called there; empty for the bundle as a whole.
        sha256: What it is there.
    """

    bundle: Bundle
    name: str
    sha256: str


def find_bytes(digest: str, bundles: Sequence[Bundle]) -> list[Match]:
    """The bundles that have a file with this SHA-256, whatever it is called; a manifest stands for its bundle."""
    return [Match(bundle, name, digest) for bundle in bundles for name, known in _digests(bundle) if known == digest]


def find_likely(name: str, size: int, bundles: Sequence[Bundle]) -> list[Match]:
    """Files that an unknown one was perhaps meant to be: of the same name, else of the same number of bytes.

    Args:
        name: Of the unknown file, without folders.
        size: Bytes of it.
        bundles: To look in, best first.
    """
    listed = [(bundle, path, entry) for bundle in bundles for path, entry in bundle.manifest["files"].items()]
    named = [Match(bundle, path, entry["sha256"]) for bundle, path, entry in listed if path.rpartition("/")[2] == name]
    return named or [Match(bundle, path, entry["sha256"]) for bundle, path, entry in listed if entry["bytes"] == size]


def origin(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle was made from, by its manifest alone.

    Returns:
        `measured` and `data` as the export wrote them (None in a bundle from before it did), `sources` (name ->
        SHA-256), and `stages`: of each training its params, the digests of what it read, and how it ended.
    """
    made_from = manifest["made_from"]
    data = made_from.get("data")
    sources = {name: digest for part in (data or {}).values() for name, digest in part["manifest"]["sources"].items()}
    return {
        "measured": made_from.get("measured"),
        "data": data,
        "sources": sources,
        "stages": {node["stage"]: _stage(node) for node in _chain(made_from.get("model"))},
        "export": made_from.get("export"),
        "inputs": made_from.get("inputs"),
    }


def _digests(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for name, entry in bundle.manifest["files"].items():
        yield name, entry["sha256"]
    yield NAME, bundle.manifest_sha256


def _chain(node: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The fine-tuned model, then what it was trained from."""
    while node:
        yield node
        node = node.get("parent")


def _stage(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: node.get(key) for key in ("params", "inputs", "training")}
