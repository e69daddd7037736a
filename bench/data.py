"""What the text costs before a model sees it: encoding, the memory of a large corpus, batches.

    python -m bench.data [--megabytes 64 256 1000] [--rounds 3]

Encoding is timed beside the bare library on the same texts with the same vocabulary, in turn. The memory is that of the
whole stage `tokenizer` in a process of its own, on a corpus made from the built-in one: copies in which some words are
others each time. Batches are timed beside the training step that learns from them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from bench.table import PAGE, report
from bench.workload import PARAMS, Shape, Training, clean
from lal.files import write_jsonl
from lal.params import load_params
from lal.records import Conversation, Document, stream_records
from lal.stages.sft import Shown, training_batches
from lal.text.batches import ConversationBatches, WindowBatches
from lal.text.chat import render
from lal.text.pieces import cut, encode
from lal.text.tokenizer import Tokenizer

Row = dict[str, object]

DOCUMENT_CHARACTERS = 2**16
CHANGED_WORDS = 20
"""Words of each copy that stand in no other."""


def bare_library(folder: Path) -> tokenizers.Tokenizer:
    """The vocabulary as the library itself loads it."""
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def encoding(texts: dict[str, list[str]], folder: Path, rounds: int) -> list[Row]:
    """Megabytes a second of each way to encode each of the texts, the best of some rounds in turn."""
    ours, bare = Tokenizer.load(folder), bare_library(folder)
    rows: list[Row] = []
    for name, whole in texts.items():
        pieces = [piece.text for piece in cut(whole)]
        ways: dict[str, Callable[[], int]] = {
            "library": partial(_library_tokens, bare, whole),
            "library, pieces": partial(_library_tokens, bare, pieces),
            "ours": partial(_our_tokens, ours, whole),
        }
        size = sum(len(text.encode()) for text in whole) / 1e6
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        counts: set[int] = set()
        for _ in range(rounds):
            for way, run in ways.items():
                start = time.perf_counter()
                counts.add(run())
                speeds[way].append(size / (time.perf_counter() - start))
        assert len(counts) == 1, f"the ways disagree: {counts}"
        ratio = max(speeds["ours"]) / max(max(speeds["library"]), max(speeds["library, pieces"]))
        told = {f"{way}, MB/s": round(max(found), 2) for way, found in speeds.items()}
        rows.append({"text": name, "MB": round(size, 2), **told, "ours / better of the two": round(ratio, 1)})
    return rows


def _library_tokens(bare: tokenizers.Tokenizer, texts: Sequence[str]) -> int:
    return sum(len(found.ids) for found in bare.encode_batch_fast(list(texts)))


def _our_tokens(ours: Tokenizer, texts: Sequence[str]) -> int:
    return sum(len(ids) for _, ids in encode(ours, texts))


def varied_copies(text: str) -> Iterator[str]:
    """The text without end, some words of each copy replaced by words of its own."""
    words = sorted({word for word in text.split() if word.isalpha() and len(word) > 3})
    draw = np.random.default_rng(0)
    number = 0
    while True:
        number += 1
        copy = text
        for word in draw.choice(words, size=min(CHANGED_WORDS, len(words)), replace=False):
            copy = copy.replace(f" {word} ", f" {word}{_letters(number)} ")
        yield copy


def write_corpus(folder: Path, text: str, num_bytes: int, document_characters: int) -> None:
    """A corpus of about that size, and a few conversations, as the stage `data` writes them."""
    about = {"source": "bench", "licence": "public domain"}

    def documents(split: str, limit: int) -> Iterator[dict[str, Any]]:
        written = number = 0
        waiting = ""
        for copy in varied_copies(text):
            waiting += copy
            while len(waiting) >= document_characters:
                number += 1
                yield {"id": f"{split}-{number}", "text": waiting[:document_characters], "split": split, **about}
                waiting = waiting[document_characters:]
                written += document_characters
                if written >= limit:
                    return

    write_jsonl(folder / "corpus" / "train.jsonl", documents("train", num_bytes))
    write_jsonl(folder / "corpus" / "validation.jsonl", documents("validation", document_characters))
    turns = [{"role": "user", "content": "Modernise: Haue you"}, {"role": "assistant", "content": "Have you"}]
    chat = {"id": "chat", "messages": turns, "task": "modernise", "split": "train", **about}
    write_jsonl(folder / "conversations" / "train.jsonl", [chat])


def in_a_process_of_its_own(text: str, megabytes: float, document_characters: int) -> dict[str, float]:
    """`bench.tokenizer_stage` on a corpus that is made for it and taken away again."""
    with tempfile.TemporaryDirectory() as place:
        write_corpus(Path(place), text, round(megabytes * 1e6), document_characters)
        command = [sys.executable, "-m", "bench.tokenizer_stage", place]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  # our own
    measured: dict[str, float] = json.loads(told.splitlines()[-1])
    return measured


def memory(text: str, megabytes: Sequence[float], document_characters: Sequence[int]) -> list[Row]:
    """What the stage needs, by size of the corpus and of its documents."""
    rows: list[Row] = []
    for size in megabytes:
        for characters in document_characters:
            found = in_a_process_of_its_own(text, size, characters)
            rows.append(
                {
                    "corpus, MB": round(found["bytes"] / 1e6),
                    "document, KB": round(characters / 1000),
                    "peak memory, MB": round(found["peak_bytes"] / 1e6),
                    "before the stage, MB": round(found["before_bytes"] / 1e6),
                    "CPU seconds": round(found["cpu_seconds"]),
                    "MB a CPU second": round(found["bytes"] / 1e6 / found["cpu_seconds"], 1),
                }
            )
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    return rows


def loader(window_tokens: np.ndarray[Any, Any], chats: Path, folder: Path, num_steps: int) -> list[Row]:
    """What a batch costs beside the step that learns from it."""
    learned = Tokenizer.load(folder)
    sections = load_params(PARAMS)
    shape = Shape(vocabulary_size=learned.vocabulary_size)
    shown = [Shown(chat, render(chat.messages, learned)) for chat in stream_records(chats, Conversation)]
    fitting = [row for row in shown if row.rendered.fits(shape.context_length)]
    plain = sections.sft.model_copy(update={"bpe_dropout": 0.0})
    kinds: dict[str, WindowBatches | ConversationBatches] = {
        "windows of the corpus": WindowBatches(window_tokens, shape.context_length, sections.pretrain.batch_size, 0),
        "conversations": training_batches(fitting, sections.sft, 0, learned),
        "without BPE-dropout": training_batches(fitting, plain, 0, learned),
    }
    rows: list[Row] = []
    for name, batches in kinds.items():
        training = Training(shape, sections.pretrain.compile, batches)
        training.run(min(5, num_steps))  # compiles each width
        step = clean(training.run(num_steps))
        order = min(_seconds(partial(batches, epoch * batches.steps_per_epoch)) for epoch in (2, 1, 0))
        batch = clean([_seconds(partial(batches, number)) for number in range(num_steps)])
        rows.append(
            {
                "batches": name,
                "ms to begin an epoch": round(1e3 * order, 1),
                "ms a batch": round(1e3 * batch, 3),
                "ms a step": round(1e3 * step, 1),
                "share of an epoch's steps, %": round(100 * (order / batches.steps_per_epoch + batch) / step, 3),
            }
        )
    return rows


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _letters(number: int) -> str:
    """A number as a word: 1 is b, 26 is ba."""
    return (_letters(number // 26) if number >= 26 else "") + chr(ord("a") + number % 26)


def main() -> None:
    """Measures all three, prints, and writes them into the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, nargs="*", default=[64, 256, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", default=["encoding", "memory", "loader"])
    options = parser.parse_args()
    corpus, chats = Path("data/corpus/train.jsonl"), Path("data/conversations/train.jsonl")
    folder = Path("models/tokenizer")
    plays = [document.text for document in stream_records(corpus, Document)]
    if "encoding" in options.parts:
        lines = [message.content for chat in stream_records(chats, Conversation) for message in chat.messages]
        rows = encoding({"corpus, one document": plays, "conversations, line by line": lines}, folder, options.rounds)
        report("data-encoding", "Encoding beside the bare library", rows, ENCODING_NOTE, PAGE)
    if "memory" in options.parts:
        rows = memory("".join(plays), options.megabytes, [DOCUMENT_CHARACTERS])
        report("data-memory", "Memory of the tokenizer stage", rows, MEMORY_NOTE, PAGE)
    if "loader" in options.parts:
        tokens = np.memmap("data/tokens/train.bin", dtype="<u2", mode="r")
        report("data-loader", "Batches beside the step", loader(tokens, chats, folder, 40), LOADER_NOTE, PAGE)


ENCODING_NOTE = (
    "Best of the rounds, taken in turn. `library` is `encode_batch_fast` of `tokenizers` given each text whole, "
    "`library, pieces` the same given our pieces, which keep all cores busy; `ours` merges each word once and looks it "
    "up after that, on one core, starting with an empty memory. All give the same ids."
)
MEMORY_NOTE = (
    "Peak is the process's `VmHWM`, interpreter and libraries included. The vocabulary of a corpus above 32 MiB is "
    "learned from that much of it, drawn evenly. Copies repeat most words, which flatters the speed, not the memory."
)
LOADER_NOTE = (
    "The step is that of the default model with the default params, 25th percentile of 40. An epoch begins by ordering "
    "its rows and, in fine-tuning, by encoding their questions anew with BPE-dropout: the best of three."
)


if __name__ == "__main__":
    main()
