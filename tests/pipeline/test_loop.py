"""The whole loop on real data, small, in a clone of its own: what the README promises, kept by a test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

# Python runs a module of this name at start: every connection of every process of the pipeline goes through it.
NO_NETWORK = """
import os, pathlib, socket
connect, look_up = socket.socket.connect, socket.getaddrinfo
def refuse(self, address):
    if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "localhost", "::1")):
        with pathlib.Path(os.environ["REFUSED"]).open("a") as log:
            log.write(f"{address}\\n")
        raise OSError(101, "the network is blocked")
    return connect(self, address)
def refuse_name(host, *rest, **more):
    if host and host != socket.gethostname() and not str(host).startswith(("127.", "localhost", "::1", "192.0.2.")):
        refuse(None, (host, "name"))
    return look_up(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = refuse, refuse_name
"""


class Clone:
    """A copy of the checkout with small params, its own git and DVC, and no network after the data stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
        for name in names:
            # The lock and the scores of the real run are not this clone's; the seed noise is no part of the loop.
            made = name.split("/")[0] in ("dvc.lock", "metrics", "plots") and name != "metrics/noise.json"
            if (ROOT / name).is_file() and not made:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        text = (ROOT / "tests" / "minute.params.yaml").read_text()
        for old, new in [
            ("max_conversations: 2000", "max_conversations: 400"),
            ("steps: 60", "steps: 12"),
            ("validate_every: 30", "validate_every: 6"),
            ("max_new_tokens: 48", "max_new_tokens: 24"),
            # .ci/run makes and checks all of them.
            ("formats: [gguf-f32, gguf-f16, gguf-q8_0, onnx, onnx-int8]", "formats: [gguf-f32]"),
        ]:
            assert old in text
            text = text.replace(old, new)
        (self.folder / "params.yaml").write_text(text)
        if (ROOT / ".lal" / "sources").is_dir():
            shutil.copytree(ROOT / ".lal" / "sources", self.folder / ".lal" / "sources")
        block = folder / "block"
        block.mkdir()
        (block / "sitecustomize.py").write_text(NO_NETWORK)
        self.refused = folder / "refused.txt"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.online = {**os.environ, "PATH": path, "LAL_TRACKING": "on"}
        self.offline = {**self.online, "PYTHONPATH": str(block), "REFUSED": str(self.refused)}
        self.run("git", "init", "--quiet", online=True)

    def prove_the_block(self) -> None:
        """A connection that must be refused and noted, or the absence of others would prove nothing."""
        code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
        assert "the network is blocked" in self.run(sys.executable, "-c", code, check=False).stderr
        assert "192.0.2.1" in self.refused.read_text()
        self.refused.unlink()

    def run(self, *command: str, online: bool = False, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = self.online if online else self.offline
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            )
        return done


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    clone = Clone(tmp_path_factory.mktemp("loop"))
    clone.run("dvc", "repro", "data", online=True)
    clone.prove_the_block()
    clone.run("dvc", "repro")
    yield clone
    shutil.rmtree(clone.folder)


def test_after_the_data_stage_nothing_asks_for_the_network(clone: Clone) -> None:
    assert not clone.refused.exists() or clone.refused.read_text() == ""


def test_a_second_run_has_nothing_to_do(clone: Clone) -> None:
    assert "Data and pipelines are up to date." in clone.run("dvc", "repro").stdout


def test_the_exported_folder_opens_in_transformers_and_answers_as_it_did_in_evaluation(clone: Clone) -> None:
    transformers = pytest.importorskip("transformers")
    folder = clone.folder / "models" / "export"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    rows = [json.loads(line) for line in (clone.folder / "reports" / "gold.jsonl").read_text().splitlines()]
    said = [row for row in rows if row["solver"] == "lal" and row["num_tokens"] > 0][:5]
    assert said
    for row in said:
        prompt = [{"role": "user", "content": row["prompt"]}]
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = model.generate(**ids, max_new_tokens=row["num_tokens"], do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert tokenizer.decode(out, skip_special_tokens=True) == row["text"]


def test_a_changed_rate_runs_only_what_depends_on_it(clone: Clone) -> None:
    params = clone.folder / "params.yaml"
    before = params.read_text()
    head, _, tail = before.partition("pretrain:")
    params.write_text(head + "pretrain:" + tail.replace("learning_rate: 0.02", "learning_rate: 0.019", 1))
    plan = clone.run("dvc", "repro", "--dry").stdout
    params.write_text(before)
    running = [line.split("'")[1] for line in plan.splitlines() if line.startswith("Running stage")]
    assert running[0] == "pretrain"
    assert not {"data", "validate", "tokenizer"} & set(running)


def test_a_changed_scorer_runs_what_scores_and_no_training(clone: Clone) -> None:
    scorers = clone.folder / "src" / "lal" / "evaluation" / "scores" / "scorers.py"
    before = scorers.read_text()
    scorers.write_text(before + "\n# changed\n")
    status = json.loads(clone.run("dvc", "status", "--json").stdout)
    scorers.write_text(before)
    changed = {stage for stage, changes in status.items() if "scorers.py" in json.dumps(changes)}
    assert changed == {"evaluate", "parity"}


def test_promoting_a_model_runs_the_gate_and_what_follows_it_again_and_nothing_else(clone: Clone) -> None:
    clone.run("lal", "promote", "--reason", "the first one", online=True)
    said = clone.run("dvc", "repro").stdout
    running = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]
    assert running == ["gate", "export", "parity", "register", "monitor"]
    assert "against champion" in (clone.folder / "models" / "export" / "README.md").read_text()
    assert "is the champion already" in clone.run("lal", "promote", online=True).stdout
    assert "Data and pipelines are up to date." in clone.run("dvc", "repro").stdout


def test_a_typo_in_params_stops_everything_with_one_clear_line(clone: Clone) -> None:
    params = clone.folder / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("  steps:", "  stepz:"))
    done = clone.run(
        sys.executable,
        "-m",
        "pipeline.validate",
        "--corpus",
        "a",
        "--conversations",
        "b",
        "--gold",
        "c",
        "--report",
        "d",
        "--overlaps",
        "e",
        check=False,
    )
    params.write_text(before)
    assert done.returncode == 1
    assert "pretrain.stepz: unknown key, did you mean 'steps'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_killed_in_the_middle_of_training_the_next_run_goes_on(clone: Clone) -> None:
    params = clone.folder / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("  steps: 12", "  steps: 400"))
    running = subprocess.Popen(
        ["dvc", "repro", "pretrain"],
        cwd=clone.folder,
        env=clone.offline,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(clone.folder.glob(".lal/checkpoints/pretrain/*/*.checkpoint")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    said = clone.run("dvc", "repro", "pretrain").stdout
    params.write_text(before)
    clone.run("dvc", "repro")
    assert "pretrain: continuing after step" in said


@pytest.mark.parametrize(
    "command",
    [
        ["summary"],
        ["gold", "table"],
        ["next", "To be or not to"],
        ["generate", "--seed", "1", "--max-new-tokens", "5", "ROMEO:"],
    ],
)
def test_the_commands_of_the_readme_run(clone: Clone, command: list[str]) -> None:
    assert clone.run("lal", *command).stdout.strip()


def test_modernise_keeps_the_lines_of_a_file(clone: Clone) -> None:
    (clone.folder / "scene.txt").write_text("Giue me my Armor\n\n    Haue you had quiet Guard?\n")
    lines = clone.run("lal", "modernise", "scene.txt").stdout.split("\n")
    assert len(lines) == 4
    assert lines[1] == ""
    assert lines[2].startswith("    ")


def test_a_forgotten_play_is_in_nothing_that_is_learned_from_and_the_ledger_says_what_that_took_away(
    clone: Clone,
) -> None:
    said = clone.run("lal", "forget", "richard-iii", "--yes").stdout
    rows = (clone.folder / "data" / "conversations" / "train.jsonl").read_text()
    assert '"source":"richard-iii"' not in rows
    assert '"source":"hamlet"' in rows
    corpus = (clone.folder / "data" / "corpus" / "train.jsonl").read_text()
    assert "Now is the winter of our discontent" not in corpus
    manifest = json.loads((clone.folder / "data" / "corpus" / "manifest.json").read_text())
    assert "forgotten/001.jsonl" in manifest["sources"]
    [entry] = [json.loads(line) for line in (clone.folder / "ledger" / "forgotten.jsonl").read_text().splitlines()]
    kinds = {(row["of"], row["which"]) for row in entry["likelihoods"]}
    assert ("text", "forgotten") in kinds
    assert ("text", "never seen") in kinds
    assert entry["lifts"]
    assert entry["before_run"] != entry["after_run"]
    assert "text, forgotten" in said
    assert clone.run("lal", "forget").stdout.splitlines()[0] in said
    assert not list((clone.folder / ".lal" / "forgetting").iterdir())
