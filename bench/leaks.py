"""How many planted leaks are found, and how fast: 100,000 training rows, 1,000 gold items, eleven disguises.

    python -m bench.leaks [--data data] [--rounds 3]

Items are lines of the held-out plays. In each round every item is planted once, in a disguise that changes from round
to round; items that are like a training text by nature are counted first, as what would be called a leak by mistake,
and not planted. `blocks` is a share of 0.7, where the pipeline stops, `shows` is what the report lists. Beside it stand
the rule of 13 words in a row (shorter texts as a whole), and, if datasketch is installed, its MinHash of character
5-grams, which takes minutes a round.
"""

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from lal.data.overlap import SHORT, GoldText, TrainingText, find_overlaps, skeleton
from lal.records import MODERNISE_PREFIX, Conversation, Document, read_records

NUM_ROWS, NUM_ITEMS = 100_000, 1_000
BLOCKS = 0.7
GRAM_WORDS = 13

Found = set[int]
Detector = Callable[[Sequence[GoldText], Sequence[TrainingText]], dict[str, Found]]


def upset(line: str, _: random.Random) -> list[str]:
    """Other casing, punctuation and characters."""
    return ["\N{EM DASH}".join(line.upper().split()).replace("S", "\N{LATIN SMALL LETTER LONG S}") + "?!"]


def respelled(line: str, draw: random.Random) -> list[str]:
    """A spelling that stands nowhere: u for v, i for j, letters doubled, e at the end of words."""
    words = [word.replace("v", "u").replace("j", "i").replace("y", "ie") for word in line.split()]
    return [" ".join(word + "e" if word[-1:].isalpha() and draw.random() < 0.5 else word for word in words)]


def replaced(count: int) -> Callable[[str, random.Random], list[str]]:
    """Some words exchanged for others."""

    def replace(line: str, draw: random.Random) -> list[str]:
        words = line.split()
        for place in draw.sample(range(len(words)), min(count, len(words))):
            words[place] = draw.choice(("kingdom", "sorrow", "gentle", "windows", "purpose"))
        return [" ".join(words)]

    return replace


def shuffled(line: str, draw: random.Random) -> list[str]:
    """The words in another order."""
    return [" ".join(draw.sample(line.split(), len(line.split())))]


def halves(line: str) -> tuple[str, str]:
    """A line cut in the middle, between words."""
    words = line.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def embedded(line: str, _: random.Random) -> list[str]:
    """In the middle of a longer text."""
    return [f"Then said he, as I do well remember me, {line} and so he went away and was not seen that night."]


DISGUISES: dict[str, Callable[[str, random.Random], list[str]]] = {
    "exact": lambda line, _: [line],
    "case, marks, characters": upset,
    "embedded in longer text": embedded,
    "one word changed": replaced(1),
    "two words changed": replaced(2),
    "words shuffled": shuffled,
    "halves swapped": lambda line, _: [" ".join(reversed(halves(line)))],
    "another old spelling": respelled,
    "split over two rows": lambda line, _: list(halves(line)),
    "answer without prompt": lambda line, _: [line],
    "another instruction": lambda line, _: [f"Put this line into the English of today: {line}"],
}
"""Name -> the rows that are planted for a line. The answer is planted as a text of its own, in modern spelling."""


def ours(items: Sequence[GoldText], training: Sequence[TrainingText]) -> dict[str, Found]:
    """The detector of the validate stage."""
    shares = [overlap.share if overlap else 0.0 for overlap in find_overlaps(items, training)]
    return {
        "blocks": {number for number, share in enumerate(shares) if share >= BLOCKS},
        "shows": {number for number, share in enumerate(shares) if share > 0},
    }


def words_in_a_row(items: Sequence[GoldText], training: Sequence[TrainingText]) -> dict[str, Found]:
    """Any 13 words in a row, without casing and punctuation; a shorter text as a whole."""
    wanted: dict[int, dict[tuple[str, ...], set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, item in enumerate(items):
        for text in (item.prompt, *item.answers):
            words = _plain_words(text)
            size = min(GRAM_WORDS, len(words))
            for start in range(len(words) - size + 1):
                wanted[size][tuple(words[start : start + size])].add(number)
    found: Found = set()
    for row in training:
        words = _plain_words(row.text)
        for size, grams in wanted.items():
            for start in range(len(words) - size + 1):
                found |= grams.get(tuple(words[start : start + size]), set())
    return {"13 words": found}


def datasketch_minhash(items: Sequence[GoldText], training: Sequence[TrainingText]) -> dict[str, Found]:
    """MinHash by datasketch, 128 permutations over character 5-grams, threshold 0.7; nothing if not installed."""
    try:
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]
    except ImportError:
        return {}

    def sketch(text: str) -> object:
        letters = " ".join(_plain_words(text))
        made = MinHash(num_perm=128)
        made.update_batch([letters[start : start + 5].encode() for start in range(max(1, len(letters) - 4))])
        return made

    index = MinHashLSH(threshold=BLOCKS, num_perm=128)
    for number, item in enumerate(items):
        for which, text in enumerate((item.prompt, *item.answers)):
            index.insert((number, which), sketch(text))
    return {"datasketch": {number for row in training for number, _ in index.query(sketch(row.text))}}


def _plain_words(text: str) -> list[str]:
    letters = "".join(character if character.isalnum() else " " for character in text.removeprefix(MODERNISE_PREFIX))
    return letters.casefold().split()


def read_training(data: Path) -> list[TrainingText]:
    """100,000 rows: the training pairs, prompt and answer, and the corpus cut into its lines."""
    rows: list[list[TrainingText]] = []
    for number, chat in enumerate(read_records(data / "conversations" / "train.jsonl", Conversation), start=1):
        place = f"train.jsonl:{number}"
        rows.append([TrainingText(place, message.content, message.role == "user") for message in chat.messages])
    for document in read_records(data / "corpus" / "train.jsonl", Document):
        lines = filter(str.strip, document.text.split("\n"))
        rows += [[TrainingText(f"corpus:{number}", line)] for number, line in enumerate(lines, start=1)]
    return [text for row in rows[:NUM_ROWS] for text in row]


def read_items(data: Path) -> list[GoldText]:
    """Lines of the held-out plays, drawn; each with its modern form."""
    chats = read_records(data / "conversations" / "test.jsonl", Conversation)
    long = [chat for chat in chats if len(skeleton(chat.prompt.removeprefix(MODERNISE_PREFIX))) >= SHORT]
    drawn = random.Random(1623).sample(long, min(NUM_ITEMS, len(long)))  # noqa: S311 - a draw, not a secret
    return [GoldText(chat.id, chat.prompt, (chat.answer,)) for chat in drawn]


def plant(
    items: Sequence[GoldText], training: Sequence[TrainingText], turn: int, seed: int
) -> tuple[list[TrainingText], dict[str, Found]]:
    """Training texts with every item put in somewhere; and which items wear which disguise."""
    draw = random.Random(seed)  # noqa: S311 - a draw, not a secret
    names = list(DISGUISES)
    worn: dict[str, Found] = {name: set() for name in names}
    planted = []
    for number, item in enumerate(items):
        name = names[(number + turn) % len(names)]
        worn[name].add(number)
        line = item.answers[0] if name == "answer without prompt" else item.prompt.removeprefix(MODERNISE_PREFIX)
        disguised = enumerate(DISGUISES[name](line, draw))
        planted.append([TrainingText(f"planted:{number}-{part}", text) for part, text in disguised])
    mixed: list[TrainingText] = []
    step = len(training) // len(planted)
    for number, rows in enumerate(planted):
        mixed += [*training[number * step : (number + 1) * step], *rows]
    return mixed + list(training[len(planted) * step :]), worn


def main() -> None:
    """Counts what is found by nature, then what is found of the planted, and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    training, items = read_training(arguments.data), read_items(arguments.data)
    sys.stdout.write(f"{len(training):,} training texts, {len(items):,} items\n\nfound by nature, nothing planted:\n")
    detectors: list[Detector] = [ours, words_in_a_row, datasketch_minhash]
    natural: Found = set()
    for detect in detectors[:2]:
        begin, processor = time.perf_counter(), time.process_time()
        found = detect(items, training)
        natural = natural.union(*found.values())
        seconds = f"{time.perf_counter() - begin:.1f} s, {time.process_time() - processor:.1f} s of processor"
        for name, numbers in found.items():
            sys.stdout.write(f"  {name:<12} {len(numbers):>4} of {len(items):,} items ({seconds})\n")
    items = [item for number, item in enumerate(items) if number not in natural]
    hits: dict[tuple[str, str], int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    columns: list[str] = []
    for turn in range(arguments.rounds):
        mixed, worn = plant(items, training, turn, seed=turn)
        found = {name: numbers for detect in detectors for name, numbers in detect(items, mixed).items()}
        columns = list(found)
        for disguise, numbers in worn.items():
            totals[disguise] += len(numbers)
            for name in columns:
                hits[disguise, name] += len(numbers & found[name])
    sys.stdout.write("\n" + f"{'planted':<26}{'n':>5}" + "".join(f"{name:>12}" for name in columns) + "\n")
    for disguise, total in totals.items():
        shares = "".join(f"{hits[disguise, name] / total:>12.1%}" for name in columns)
        sys.stdout.write(f"{disguise:<26}{total:>5}{shares}\n")


if __name__ == "__main__":
    main()
