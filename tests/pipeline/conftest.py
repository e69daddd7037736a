"""A small project with a real git and DVC repository, the real tracking, and three stages that take no time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

DVC_YAML = """
stages:
  data:
    cmd: python -m pipeline.data --corpus data/corpus
    deps: [pipeline/data.py, gold]
    params: [seed, data]
    outs: [data/corpus, runs/data.json]
    metrics: [metrics/data.json: {cache: false}]
  pretrain:
    cmd: python -m pipeline.pretrain --corpus data/corpus --base models/base
    deps: [pipeline/pretrain.py, data/corpus]
    params: [seed, pretrain]
    outs: [models/base, runs/pretrain.json]
    metrics: [metrics/pretrain.json: {cache: false}]
  evaluate:
    cmd: python -m pipeline.evaluate --gold gold --base models/base --report reports/gold.html
    deps: [pipeline/evaluate.py, gold, models/base]
    params: [evaluate]
    outs: [reports/gold.html, runs/evaluate.json]
    metrics: [metrics/evaluate.json: {cache: false}]
"""

STAGES = {
    "data": """
        def main(corpus: Place) -> None:
            with stage("data") as running:
                write_text(corpus / "train.txt", f"to be or not {running.params.seed} {running.params.data.corpus}")
                running.metrics = {"documents": 3}
        """,
    "pretrain": """
        def main(corpus: Place, base: Place) -> None:
            with stage("pretrain") as running:
                if os.environ.get("TEST_FAIL"):
                    raise TrainingError("the loss is not a number", "lower pretrain.learning_rate")
                kept = running.scratch / "step"
                start = int(kept.read_text()) if kept.exists() else 0
                for step in range(start, 40):
                    loss = 4 / (1 + running.params.pretrain.learning_rate * step)
                    running.reporter.numbers({"train_loss": loss}, step)
                    if step % 10 == 0:
                        write_text(kept, str(step))
                    time.sleep(float(os.environ.get("TEST_PAUSE", 0)))
                running.reporter.say(f"started at step {start}")
                kept.unlink()
                write_text(base / "model.txt", f"{loss} {(corpus / 'train.txt').read_text()}")
                running.metrics = {"parameters": 1000, "train_loss": loss, "validation": {"bits_per_byte": loss}}
        """,
    "evaluate": """
        def main(gold: Place, base: Place, report: Place) -> None:
            with stage("evaluate") as running:
                score = 1 / (1 + float((base / "model.txt").read_text().split()[0]))
                answers = [{"id": "macbeth-1", "prompt": "haue", "answer": "have", "exact": score > 0.5}]
                running.reporter.table("gold", answers)
                write_text(report, f"<h1>{score}</h1>")
                running.reporter.attach(report)
                running.metrics = {"headline": {"lal": score, "lexicon+rules": 0.5}, "exact": {"lal": {"keep": 0.9}}}
        """,
}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person who activated this Python, without settings of the machine."""
    home = tmp_path_factory.mktemp("home")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_", "LAL_", "MLFLOW_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """The project before its first `dvc repro`; copy it, never run in it."""
    project = tmp_path_factory.mktemp("fresh") / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    modules = sorted(path.name for path in (CHECKOUT / "src" / "lal").glob("*.py"))
    for name in [*modules, "tracking"]:
        source, target = CHECKOUT / "src" / "lal" / name, project / "src" / "lal" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    (project / "pipeline").mkdir()
    for name in ("pipeline/__init__.py", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(CHECKOUT / name, project / name)
    for name, body in STAGES.items():
        lines = [line.removeprefix(" " * 8) for line in body.strip("\n").splitlines()]
        imports = "import os\nimport time\n\nfrom lal.errors import TrainingError\nfrom lal.files import write_text\n"
        text = (
            f"from pipeline import Place, run, stage\n{imports}\n"
            + "\n".join(lines)
            + '\n\nif __name__ == "__main__":\n    run(main)\n'
        )
        (project / "pipeline" / f"{name}.py").write_text(text)
    (project / "gold").mkdir()
    (project / "gold" / "gold.jsonl").write_text('{"id": "macbeth-1"}\n')
    (project / "dvc.yaml").write_text(DVC_YAML)
    for command in (
        "git init -q -b main",
        "dvc init -q",
        "dvc config core.analytics false",
        "dvc config core.autostage true",
    ):
        subprocess.run(command.split(), cwd=project, env=environment, check=True)
    commit(project, environment)
    return project


@pytest.fixture(scope="session")
def reproduced(fresh: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after its first `dvc repro`, committed; copy it, never run in it."""
    project = tmp_path_factory.mktemp("reproduced") / "project"
    shutil.copytree(fresh, project, symlinks=True)
    done = subprocess.run(["dvc", "repro"], cwd=project, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    commit(project, environment)
    return project


def commit(project: Path, environment: dict[str, str]) -> None:
    """Commits everything."""
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=project, env=environment, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "state"], cwd=project, env=environment, check=True)
