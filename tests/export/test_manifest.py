from pathlib import Path

import pytest

from lal.errors import ModelError
from lal.export.manifest import check_manifest, write_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    write_manifest(tmp_path, {"seed": 1})
    return tmp_path


def test_an_untouched_bundle_passes_and_tells_what_it_was_made_from(bundle: Path) -> None:
    manifest = check_manifest(bundle)
    assert manifest["made_from"] == {"seed": 1}
    assert manifest["files"]["model.safetensors"]["bytes"] == 7


def test_one_changed_bit_is_noticed(bundle: Path) -> None:
    (bundle / "model.safetensors").write_bytes(b"weightt")
    with pytest.raises(ModelError, match=r"model\.safetensors: sha256 is"):
        check_manifest(bundle)


def test_missing_and_foreign_files_are_named_together(bundle: Path) -> None:
    (bundle / "config.json").unlink()
    (bundle / "virus.py").write_text("")
    with pytest.raises(ModelError) as raised:
        check_manifest(bundle)
    assert "config.json: missing" in str(raised.value)
    assert "virus.py: not in the manifest" in str(raised.value)


@pytest.mark.parametrize("hidden", [".DS_Store", ".cache/download/lock"])
def test_what_a_file_manager_or_a_downloader_leaves_behind_does_no_harm(bundle: Path, hidden: str) -> None:
    (bundle / hidden).parent.mkdir(parents=True, exist_ok=True)
    (bundle / hidden).write_bytes(b"x")
    listed = check_manifest(bundle)["files"]
    write_manifest(bundle, {})
    assert check_manifest(bundle)["files"] == listed


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"format": 99, "files": {}}',
        '{"format": 1}',
        '{"format": 1, "files": {"config.json": "x"}}',
        '{"format": 1, "files": {"config.json": {}}}',
        '{"format": 1, "files": {"config.json": {"sha256": 7}}}',
    ],
)
def test_another_file_behind_the_name_is_refused(bundle: Path, text: str) -> None:
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="not a manifest of format 1"):
        check_manifest(bundle)
