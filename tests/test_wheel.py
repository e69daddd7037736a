"""What people install: the wheel holds the whole package, and the command starts outside of the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


START = """
import sys, lal
assert lal.__file__.startswith(sys.argv[1]), lal.__file__
from lal.cli import main
sys.argv = ["lal", "--help"]
main()
"""


def test_the_wheel_installs_and_lal_starts_from_it(tmp_path: Path) -> None:
    source = tmp_path / "source"  # Building writes beside the sources, and a checkout is no place for that.
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lal-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True)
    installed = {path.relative_to(site).as_posix() for path in (site / "lal").rglob("*.py")}
    assert installed == {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "lal").rglob("*.py")}
    command, environment = [sys.executable, "-c", START, str(site)], {"PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "modernise" in done.stdout
