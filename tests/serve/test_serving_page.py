"""The examples of docs/serving.md run as they stand, against a real server."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lal.serve import limits
from tests.serve.conftest import Client

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
ADDRESS = "http://127.0.0.1:8000"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_each_curl_is_answered(client: Client) -> None:
    assert len(examples("sh")) == 3
    for example in examples("sh"):
        done = subprocess.run(
            ["sh", "-c", example.replace(ADDRESS, client.address)], capture_output=True, text=True, check=True
        )
        assert done.stdout
        assert "error" not in done.stdout


@pytest.mark.slow
def test_the_python_example_runs(client: Client) -> None:
    (example,) = examples("python")
    code = example.replace(ADDRESS, client.address)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout


def test_the_limits_on_the_page_are_those_of_the_server() -> None:
    text = PAGE.read_text()
    for row in (
        f"| requests written at once | {limits.ROWS} |",
        f"| in line | {limits.MAX_WAITING} |",
        f"| one request | {limits.REQUEST_SECONDS:.0f} s |",
        f"| body | {limits.MAX_BODY_BYTES // 2**20} MiB |",
        f"| a request's arrival, head and body | {limits.RECEIVE_SECONDS:.0f} s |",
        f"| a client that does not read its answer | {limits.SEND_SECONDS:.0f} s |",
        f"| connections | {limits.MAX_CONNECTIONS} |",
    ):
        assert row in text
