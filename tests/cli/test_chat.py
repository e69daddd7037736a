"""The commands that let a model speak, run as a person runs them, on a model small enough to build here."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lal import cli
from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.hybrid import write_sure_words
from tests.tiny_model import write_speaking_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_speaking_model(folder)
    return folder


class Terminal:
    """Runs `lal` in process: arguments and standard input in, exit code and what was printed out."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        self.patch, self.capture, self.folder = patch, capture, folder

    def __call__(self, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
        self.patch.setattr(sys, "argv", ["lal", *arguments])
        self.patch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8", errors="surrogateescape")
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self.capture.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err


@pytest.fixture
def lal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Terminal:
    monkeypatch.delenv("LAL_DEBUG", raising=False)
    return Terminal(monkeypatch, capsys, folder)


def test_chat_answers_each_line_and_a_question_too_long_does_not_end_it(lal: Terminal) -> None:
    question = b"giue vs loue. " * 60
    code, out, err = lal("chat", "--model", str(lal.folder), given=b"giue\n" + question + b"\nhaue \xff\n")
    assert code == 0
    assert len(out.splitlines()) >= 2
    assert err.count("error:") == 1
    assert "the model reads 96" in err


def test_modernise_of_nothing_is_nothing_and_of_a_file_a_line_a_line(lal: Terminal, tmp_path: Path) -> None:
    assert lal("modernise", "--model", str(lal.folder)) == (0, "", "")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfgiue vs\r\n\r\n  loue\r\n")
    code, out, _ = lal("modernise", str(tmp_path / "a.txt"), "--model", str(lal.folder))
    assert code == 0
    assert len(out.splitlines()) == 3


def test_hybrid_takes_words_from_the_models_table_and_without_one_says_what_is_missing(
    lal: Terminal, tmp_path: Path
) -> None:
    code, out, err = lal("modernise", "--hybrid", "--model", str(lal.folder), given=b"giue vs\n")
    assert (code, out) == (1, "")
    assert "no lexicon.json, which --hybrid needs" in err
    shutil.copytree(lal.folder, tmp_path / "model")
    write_sure_words(tmp_path / "model" / "lexicon.json", Lexicon({}, {"giue": "give", "vs": "us"}))
    code, out, _ = lal("modernise", "--hybrid", "--model", str(tmp_path / "model"), given=b"Giue, giue vs!\n")
    assert (code, out) == (0, "Give, give us!\n")


def test_a_file_that_is_not_utf8_and_one_that_is_missing_are_named(lal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    code, _, err = lal("modernise", str(tmp_path / "a.txt"), "--model", str(lal.folder))
    assert code == 1
    assert "a.txt: not UTF-8: byte 0xe9 at position 3" in err
    code, _, err = lal("modernise", str(tmp_path / "b.txt"), "--model", str(lal.folder))
    assert code == 1
    assert "b.txt: cannot be read" in err


def test_generate_goes_on_from_the_prompt_and_repeats_itself_with_a_seed(lal: Terminal) -> None:
    arguments = ("generate", "giue vs", "--model", str(lal.folder), "--seed", "7", "--max-new-tokens", "8")
    first, second = lal(*arguments), lal(*arguments)
    assert first == second
    assert first[1].startswith("giue vs")


def test_next_shows_the_odds_as_a_table(lal: Terminal) -> None:
    code, out, _ = lal("next", "giue", "--model", str(lal.folder), "--most", "3")
    assert code == 0
    assert [line.split()[0] for line in (out.splitlines()[0], out.splitlines()[-1])] == ["token", "all"]
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize(
    "arguments", [("--temperature", "-1"), ("--top-p", "0"), ("--seed", "9" * 20), ("--max-new-tokens", "0")]
)
def test_a_setting_out_of_range_is_refused_by_its_name(lal: Terminal, arguments: tuple[str, str]) -> None:
    code, _, err = lal("generate", "x", "--model", str(lal.folder), *arguments)
    assert code == 2
    assert arguments[0] in err


def test_a_missing_model_is_one_message_without_a_traceback(lal: Terminal) -> None:
    code, _, err = lal("chat", "--model", "nowhere")
    assert code == 1
    assert err == "error: nowhere: no such model folder\n  -> make it with `dvc repro`, or name another with --model\n"


def test_params_explain_writes_values_as_the_file_does(lal: Terminal) -> None:
    file = str(Path(__file__).parents[2] / "params.yaml")
    _, out, _ = lal("params", "explain", "pretrain", "--file", file)
    assert "pretrain.weight_decay = 0.0\n" in out
    assert "pretrain.compile = true\n" in out
    code, _, err = lal("params", "explain", "nothing", "--file", file)
    assert code == 1
    assert "there is no 'nothing'" in err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device is a Linux file")
def test_a_full_disk_is_told_of_without_a_traceback() -> None:
    code = "import sys; from lal.cli import main; sys.argv = ['lal', 'params', 'markdown']; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
