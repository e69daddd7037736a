"""Tests of `lal ui`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from lal.cli.ui import check_port, server, ui, wait_until_ready
from lal.errors import LalError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_without_runs_it_says_how_to_make_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with pytest.raises(LalError, match=r"mlflow\.db: not there[^\n]*\n  -> run `dvc repro` first"):
        ui(free_port())
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_named_with_another_one_to_try() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LalError, match=rf"port {port}: Address already in use\n  -> [^\n]*--port {port + 1}"):
            check_port(port)


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "ui.log"
    with (
        server([sys.executable, "-c", "print('no'); raise SystemExit(3)"], dict(os.environ), log) as process,
        pytest.raises(LalError, match=r"exit code 3\n  -> see .*ui\.log"),
    ):
        wait_until_ready(process, free_port(), log)
    assert log.read_text() == "no\n"


def test_a_server_goes_with_its_children_when_the_block_ends(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    log = tmp_path / "ui.log"
    with server([sys.executable, "-c", code], dict(os.environ), log):
        while not log.read_text():
            time.sleep(0.01)
    child = int(log.read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline


@pytest.mark.slow
def test_it_serves_the_leaderboard_until_it_is_told_to_stop(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"}
    make = f"from pathlib import Path; from lal.tracking.store import open_store; open_store(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", make], env=environment, check=True)
    port = free_port()
    show = f"from lal.cli.ui import ui; ui({port})"
    with subprocess.Popen(
        [sys.executable, "-c", show], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("ready: "))
        link = re.fullmatch(rf"ready: (http://127\.0\.0\.1:{port}/)#/experiments/1/runs\?.*Key=leaderboard\n", line)
        assert link is not None
        with urllib.request.urlopen(link[1], timeout=10) as page:  # noqa: S310
            assert b"MLflow" in page.read()
        servers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().endswith("stopped\n")
        assert process.wait(timeout=20) == 0
        assert psutil.wait_procs(servers, timeout=10)[1] == []
