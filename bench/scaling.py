"""How cost grows: seconds against model size, context and corpus size, on a log-log picture with the fitted exponents.

    python -m bench.scaling [--steps 4] [--picture docs/pictures/scaling.svg]

A training step of the loop that trains, a token generated at batch 1 with the cache, and the whole stage `tokenizer`.
An exponent of 1 means twice the cost for twice the size, 0 that size does not matter.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.data import DOCUMENT_CHARACTERS, in_a_process_of_its_own
from bench.log_plot import Curve, draw, short
from bench.table import PAGE, machine, report
from bench.workload import Shape, Training, clean
from lal.files import write_text
from lal.model.generate import stream
from lal.model.sampling import Sampling
from lal.model.transformer import Transformer, count_parameters
from lal.records import Document, stream_records

Row = dict[str, object]

WIDTHS = (64, 96, 128, 192, 256, 384)
CONTEXTS = (64, 128, 256, 512, 1024)
BATCH_TOKENS = 2048
GENERATED_TOKENS = 100
CORPUS_MEGABYTES = (1, 2, 4, 8)


def training_by_size(widths: Sequence[int], num_steps: int) -> Curve:
    """Microseconds a token of a training step, by parameters."""
    points = _measured([Shape(width=width) for width in widths], num_steps)
    return Curve("training, by model", "parameters", "µs a token", points)


def training_by_context(contexts: Sequence[int], num_steps: int) -> Curve:
    """Microseconds a token of a training step of equally many tokens, by context."""
    shapes = [Shape(context_length=each, batch_size=max(1, BATCH_TOKENS // each)) for each in contexts]
    points = _measured(shapes, num_steps)
    costs = [cost for _, cost in points]
    return Curve("training, by context", "positions", "µs a token", tuple(zip(contexts, costs, strict=True)))


def _measured(shapes: Sequence[Shape], num_steps: int) -> tuple[tuple[float, float], ...]:
    """(parameters, microseconds a token) of each; the shapes take turns, so that a slow minute hits them all."""
    trainings = [Training(shape) for shape in shapes]
    for training in trainings:
        training.run(1)
    seconds: list[list[float]] = [[] for _ in trainings]
    for _ in range(num_steps):
        for training, found in zip(trainings, seconds, strict=True):
            found += training.run(1)
    return tuple(
        (float(count_parameters(training.model)), 1e6 * clean(found) / training.shape.num_tokens)
        for training, found in zip(trainings, seconds, strict=True)
    )


def generation_by_size(widths: Sequence[int], num_tokens: int) -> Curve:
    """Microseconds a generated token, by parameters."""
    models = [Transformer(Shape(width=width).config) for width in widths]
    points = tuple((float(count_parameters(model)), _token_cost(model, 1, num_tokens)) for model in models)
    return Curve("generation, by model", "parameters", "µs a token", points)


def generation_by_context(contexts: Sequence[int], num_tokens: int) -> Curve:
    """Microseconds a token generated at the end of a context, by the context before it."""
    model = Transformer(Shape(context_length=max(contexts) + num_tokens).config)
    points = tuple((float(each), _token_cost(model, each, num_tokens)) for each in contexts)
    return Curve("generation, by context", "positions before", "µs a token", points)


def _token_cost(model: Transformer, prompt_length: int, num_tokens: int) -> float:
    """Microseconds, without the first token, which costs what the prompt does."""
    never = model.config.vocabulary_size  # no id ends it
    generated = stream(model, [1] * prompt_length, Sampling(temperature=1.0), num_tokens, never)
    times = [time.perf_counter() for _ in generated]
    return 1e6 * clean(np.diff(times).tolist())


def tokenizing(text: str, megabytes: Sequence[float]) -> tuple[Curve, list[float]]:
    """Seconds of processor time of the stage `tokenizer` by megabytes, and the tokens of each corpus."""
    found = [in_a_process_of_its_own(text, size, DOCUMENT_CHARACTERS) for size in megabytes]
    points = tuple((each["bytes"] / 1e6, each["cpu_seconds"]) for each in found)
    return Curve("tokenizer stage, by corpus", "MB of text", "CPU s", points), [each["tokens"] for each in found]


def epoch(text: Curve, tokens: Sequence[float], microseconds_a_token: float) -> Curve:
    """Seconds of an epoch at the measured cost of a token; the number of tokens is the only thing that grows."""
    points = tuple(
        (size, count * microseconds_a_token / 1e6) for (size, _), count in zip(text.points, tokens, strict=True)
    )
    return Curve("an epoch, by corpus", "MB of text", "s", points)


def rows_of(curves: Sequence[Curve]) -> list[Row]:
    """A row a curve: its ends and its exponent."""
    return [
        {
            "cost": curve.name,
            "from": f"{short(curve.points[0][0])} {curve.size}: {short(curve.points[0][1])} {curve.cost}",
            "to": f"{short(curve.points[-1][0])} {curve.size}: {short(curve.points[-1][1])} {curve.cost}",
            "exponent": round(curve.exponent, 2),
        }
        for curve in curves
    ]


def main() -> None:
    """Measures, prints, writes the table into the page and draws the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/scaling.svg"))
    options = parser.parse_args()
    by_size = training_by_size(WIDTHS, options.steps)
    by_context = training_by_context(CONTEXTS, options.steps)
    written = [generation_by_size(WIDTHS, GENERATED_TOKENS), generation_by_context(CONTEXTS, GENERATED_TOKENS)]
    text = "".join(document.text for document in stream_records(Path("data/corpus/train.jsonl"), Document))
    stage, tokens = tokenizing(text, CORPUS_MEGABYTES)
    default = by_context.points[CONTEXTS.index(Shape().context_length)][1]
    curves = [by_size, by_context, *written, stage, epoch(stage, tokens, default)]
    write_text(options.picture, draw(curves, machine()))
    report("scaling", "How cost grows", rows_of(curves), NOTE, PAGE)


NOTE = (
    "Four layers, eager, 25th percentile of the steps, the sizes in turn; widths 64 to 384, contexts 64 to 1,024 with "
    "2,048 tokens a batch; generation at batch 1 with the cache, 100 tokens. The stage has a fixed part, and learns "
    "the vocabulary from all of a small corpus. The epoch is the measured cost of a token times the corpus's tokens. "
    "An exponent of 1 is twice the cost at twice the size.\n\n![Six log-log panels](pictures/scaling.svg)"
)


if __name__ == "__main__":
    main()
