"""Tokens a second at batch 1 and 32, greedily: ours against transformers and llama.cpp on the same exported weights.

    python -m bench.sampling [--model models/export] [--new-tokens 200] [--rounds 5]

All engines read the same folder and take turns, and each row is the best of its rounds: other work on the machine only
ever makes a round slower. What they write is compared, too: a row may differ where two tokens are equally likely to the
last digits, but most must be the same from first to last. llama.cpp runs each GGUF file of the folder with its own
defaults, which round and never write the token that ends a text: there the share is told, not demanded.
"""

import argparse
import importlib
import importlib.util
import itertools
import multiprocessing
import secrets
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers

from bench.table import PAGE, report
from lal.errors import LalError
from lal.export.extra import INSTALL
from lal.export.formats import FILES, write_formats
from lal.export.http_json import ask_json
from lal.model.folder import load_model, save_model
from lal.model.generate import CompiledStep, generate_batch
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import load_params
from lal.text.tokenizer import Tokenizer

PROMPT_TOKENS = 16
BATCHES = (1, 32)
LEAST_SAME = 0.9
"""Share of rows that must be those of transformers; among 200 tokens of random weights a tie is not rare."""

Engine = Callable[[list[list[int]]], list[list[int]]]
"""Prompts to their continuations, all of the same number of tokens."""


@dataclass(frozen=True)
class Contestant:
    """An engine at one number of rows.

    Attributes:
        name: Of the engine.
        generate: Continues that many prompts.
        num_rows: Prompts side by side.
        compile_seconds: What it cost to make ready; 0 for eager ones.
        must_agree: Whether it has to write what transformers writes.
    """

    name: str
    generate: Engine
    num_rows: int
    compile_seconds: float = 0.0
    must_agree: bool = True


def ours(model: Transformer, num_new: int, num_rows: int, is_compiled: bool) -> Contestant:
    """Lal's own, with a cache that is allocated once."""
    begun = time.perf_counter()
    step = CompiledStep(model, num_rows) if is_compiled else None
    seconds = time.perf_counter() - begun if is_compiled else 0.0

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        return [answer.ids for answer in generate_batch(model, prompts, num_new, -1, num_rows, step)]

    return Contestant("lal, compiled" if is_compiled else "lal", generate, num_rows, seconds)


def theirs(model: Any, num_new: int, num_rows: int) -> Contestant:
    """transformers.generate as its documentation shows it; its cache grows."""

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            whole = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=num_new,
                do_sample=False,
                eos_token_id=None,
                pad_token_id=0,
            )
        continuations: list[list[int]] = whole[:, ids.shape[1] :].tolist()
        return continuations

    return Contestant("transformers", generate, num_rows)


def llama_cpp(path: Path, num_new: int, num_rows: int) -> Contestant:
    """A GGUF file in llama.cpp's server, with as many requests at once as there are rows.

    In a process of its own: its workers and torch's, in one process, slow each other down to a quarter.
    """
    key = secrets.token_hex()
    spawning = multiprocessing.get_context("spawn")
    told, tells = spawning.Pipe(duplex=False)
    num_threads = torch.get_num_threads()
    spawning.Process(target=_serve, args=(path, num_new, num_rows, num_threads, key, tells), daemon=True).start()
    tells.close()
    try:
        address = told.recv()
    except EOFError:
        raise LalError(f"{path}: llama.cpp does not serve it", "its own words stand above") from None

    def write(prompt: list[int]) -> list[int]:
        wanted = {"n_predict": num_new, "ignore_eos": True, "return_tokens": True, "cache_prompt": False}
        body = {"prompt": prompt, "temperature": 0.0, "repeat_penalty": 1.0} | wanted
        ids: list[int] = ask_json(f"{address}/completion", body, key)["tokens"]
        return ids

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(write, prompts))

    return Contestant(f"llama.cpp, {path.name}", generate, num_rows, must_agree=False)


def _serve(path: Path, num_new: int, num_rows: int, num_threads: int, key: str, tells: Connection) -> None:
    """Serves until the process that asked for it ends."""
    llama = importlib.import_module("xllamacpp")
    settings = llama.CommonParams()
    settings.model.path = str(path)
    settings.n_parallel, settings.n_ctx = num_rows, num_rows * (PROMPT_TOKENS + num_new + 1)
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = num_threads
    settings.n_threads_http = num_rows + 1
    settings.cache_ram_mib = settings.verbosity = 0
    settings.ui = False
    settings.api_keys = [key]
    server = llama.Server(settings)
    tells.send(server.listening_address)
    threading.Event().wait()


def gguf_files(folder: Path) -> list[Path]:
    """The GGUF files of a bundle, if there is something here to run them; what is missing is said."""
    files = [path for path in sorted(folder.glob("*.gguf")) if path.name in FILES.values()]
    if not files:
        sys.stdout.write(f"no GGUF files in {folder}: llama.cpp does not take part\n")
    elif importlib.util.find_spec("xllamacpp") is None:
        sys.stdout.write(f"xllamacpp is not installed: llama.cpp does not take part; {INSTALL}\n")
        return []
    return files


def race(contestants: Sequence[Contestant], vocabulary_size: int, num_new: int, rounds: int) -> list[dict[str, object]]:
    """A row a contestant: the best of its rounds, and how many times the tokens of transformers that is.

    Args:
        contestants: For each number of rows transformers first.
        vocabulary_size: Prompts are drawn from all ids below it.
        num_new: Tokens each contestant writes after a prompt.
        rounds: Turns of each.

    Raises:
        LalError: A contestant continues more than a few prompts otherwise than transformers.
    """
    generator = torch.Generator().manual_seed(0)
    best, num_same = [0.0] * len(contestants), [0] * len(contestants)
    for _ in range(rounds):
        prompts = torch.randint(0, vocabulary_size, (max(BATCHES), PROMPT_TOKENS), generator=generator).tolist()
        expected: dict[int, list[list[int]]] = {}
        for number, each in enumerate(contestants):
            begun = time.perf_counter()
            written = each.generate(prompts[: each.num_rows])
            best[number] = max(best[number], each.num_rows * num_new / (time.perf_counter() - begun))
            assert all(len(row) == num_new for row in written), each.name
            wanted = expected.setdefault(each.num_rows, written)
            num_same[number] += sum(row == other for row, other in zip(written, wanted, strict=True))
    same = [count / (each.num_rows * rounds) for count, each in zip(num_same, contestants, strict=True)]
    for share, each in zip(same, contestants, strict=True):
        if each.must_agree and share < LEAST_SAME:
            raise LalError(f"{each.name} continues {1 - share:.0%} of the prompts otherwise than transformers")
    peers = {each.num_rows: best[number] for number, each in enumerate(contestants) if each.name == "transformers"}
    return [
        {
            "engine": each.name,
            "rows": each.num_rows,
            "tokens a second": round(best[number]),
            "times transformers": round(best[number] / peers[each.num_rows], 2),
            "seconds to compile": round(each.compile_seconds, 1),
            "rows written alike": round(same[number], 3),
        }
        for number, each in enumerate(contestants)
    ]


def make_model(folder: Path) -> Path:
    """A folder with a model of the shape of params.yaml, its weights drawn: the speed does not depend on them."""
    params = load_params(Path("params.yaml"))
    alphabet = "".join(map(chr, range(32, 127)))
    pairs = " ".join("".join(pair) for pair in itertools.product(alphabet[33:90], repeat=2))
    tokenizer = Tokenizer.train([pairs], params.tokenizer.vocabulary_size)
    model = Transformer(Config.from_params(params.model, tokenizer.vocabulary_size), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            scale = 0.1 if weight.ndim == 1 else weight.shape[1] ** -0.5
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=scale)
    save_model(folder, model, tokenizer, {"stage": "bench.sampling"})
    write_formats(folder, model, ["gguf-f32", "gguf-f16", "gguf-q8_0"])
    return folder


def measure(folder: Path, num_new: int, rounds: int, is_compiled: bool = True) -> tuple[list[dict[str, object]], str]:
    """The table's rows, and a line on the model.

    Args:
        folder: An exported model.
        num_new: Tokens to write after each prompt of `PROMPT_TOKENS`.
        rounds: Turns that each engine gets.
        is_compiled: Whether the compiled step takes part.
    """
    model = load_model(folder).model
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    contestants = []
    files = gguf_files(folder)
    for num_rows in BATCHES:
        contestants += [theirs(reference, num_new, num_rows), ours(model, num_new, num_rows, is_compiled=False)]
        if is_compiled:
            contestants.append(ours(model, num_new, num_rows, is_compiled=True))
        contestants += [llama_cpp(path, num_new, num_rows) for path in files]
    rows = race(contestants, model.config.vocabulary_size, num_new, rounds)
    config = model.config
    return rows, (
        f"{config.num_layers} layers, {config.width} wide, context {config.context_length}, "
        f"{count_parameters(model):,} parameters, float32; {PROMPT_TOKENS} tokens read, {num_new} written, best of "
        f"{rounds} rounds taken in turns."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/export"))
    parser.add_argument("--new-tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    warnings.filterwarnings("ignore")  # torch's compiler imports deprecated parts of itself
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        is_made = not given.model.is_dir()
        if is_made:
            sys.stdout.write(
                f"{given.model} is not there: a model of params.yaml's shape with random weights instead\n"
            )
        folder = make_model(Path(scratch) / "model") if is_made else given.model
        rows, note = measure(folder, given.new_tokens, given.rounds)
    report("sampling", "Tokens a second when writing", rows, note + (" Random weights." if is_made else ""), page=PAGE)


if __name__ == "__main__":
    main()
