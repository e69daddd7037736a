"""Documents that cannot go stale: generated pages are fresh, commands are documented, links lead somewhere."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lal.cli import app
from lal.cli.params import reference

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("gold/*.md"), *ROOT.glob("data/*.md")]


def command_names() -> list[str]:
    group = typer.main.get_command(app)
    return sorted(getattr(group, "commands", {}))


def test_the_page_of_params_is_fresh() -> None:
    assert (ROOT / "docs" / "params.md").read_text() == reference(), "run: lal params markdown > docs/params.md"


@pytest.mark.parametrize("name", command_names())
def test_every_command_is_in_the_readme_and_helps(name: str) -> None:
    assert f"lal {name}" in (ROOT / "README.md").read_text()
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_the_readme_names_every_stage_and_top_folder() -> None:
    text = (ROOT / "README.md").read_text()
    for word in (
        "data",
        "validate",
        "tokenizer",
        "pretrain",
        "sft",
        "evaluate",
        "export",
        "gold/",
        "pipeline/",
        "params.yaml",
        "dvc.yaml",
    ):
        assert word in text
