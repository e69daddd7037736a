"""What a bundle says of itself, in a few words: for the registry's tags, and for whoever looks at a shipped file."""

from pathlib import Path
from typing import Any

from lal.export.manifest import NAME, check_manifest
from lal.files import sha256

WEIGHTS = "model.safetensors"


def bundle_tags(bundle: Path) -> dict[str, str]:
    """The facts of a bundle as tags of a registered version; what its manifest does not say is left out.

    Raises:
        ModelError: The bundle is not what its manifest says.
    """
    manifest = check_manifest(bundle)
    measured = manifest["made_from"].get("measured", {})
    gate = measured.get("gate", {})
    versions = measured.get("gold_versions", {})
    tags = {
        "lal.manifest_sha256": sha256(bundle / NAME),
        "lal.model_sha256": manifest["files"].get(WEIGHTS, {}).get("sha256"),
        "lal.headline": _number(measured.get("headline")),
        "lal.gate": gate.get("sentence"),
        "lal.gate_passed": {True: "yes", False: "no"}.get(gate.get("passed")),
        "lal.gold_versions": ", ".join(f"{count} items of version {number}" for number, count in versions.items()),
    }
    return {key: value for key, value in tags.items() if value}


def _number(value: Any) -> str | None:
    return f"{value:.4f}" if isinstance(value, float) else None
