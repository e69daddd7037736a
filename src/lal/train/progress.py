"""What a person sees of a training run: a bar in a terminal, a line a validation everywhere."""

import sys
import time

from tqdm import tqdm

from lal.reporting import Reporter
from lal.train.loop import Step
from lal.train.processes import Processes

REPORT_EVERY = 10
"""Steps between points of the training curve; their mean is what is reported."""


class Progress:
    """Speaks of the steps of one process.

    Args:
        steps: Of the whole run.
        done: Taken in earlier processes.
        reporter: Gets the curve and the lines.
        processes: Of which the first alone draws the bar.
    """

    def __init__(self, steps: int, done: int, reporter: Reporter, processes: Processes) -> None:
        self._steps, self._reporter = steps, reporter
        is_hidden = not (processes.is_first and sys.stderr.isatty())
        self._bar = tqdm(total=steps, initial=done, unit="step", disable=is_hidden, file=sys.stderr)
        self._start = time.perf_counter()
        self._num_steps = self._num_tokens = 0
        self._recent: list[float] = []

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    @property
    def tokens_per_second(self) -> float:
        """Targets learned from a second in this process, validations and start included."""
        return self._num_tokens / max(1e-9, time.perf_counter() - self._start)

    def step(self, step: Step) -> None:
        """Moves the bar; reports the curve every `REPORT_EVERY` steps."""
        self._num_steps += 1
        self._num_tokens += step.num_tokens
        self._recent.append(step.loss)
        if len(self._recent) == REPORT_EVERY or step.number == self._steps:
            self._reporter.numbers(
                {
                    "train_loss": sum(self._recent) / len(self._recent),
                    "learning_rate": step.learning_rate,
                    "grad_norm": step.grad_norm,
                    "tokens_per_second": self.tokens_per_second,
                },
                step.number,
            )
            self._recent.clear()
        self._bar.set_postfix_str(f"loss {step.loss:.3f}, {self.tokens_per_second:,.0f} tokens/s", refresh=False)
        self._bar.update()

    def say(self, message: str) -> None:
        """A line that does not tear the bar."""
        with tqdm.external_write_mode(file=sys.stderr):
            self._reporter.say(message)

    def say_validated(self, row: dict[str, float]) -> None:
        """The line of a validation: where training stands and how long it will take."""
        step = int(row["step"])
        self._reporter.numbers({name: row[name] for name in ("validation_loss", "bits_per_byte")}, step)
        seconds = (time.perf_counter() - self._start) / max(1, self._num_steps) * (self._steps - step)
        loss, validation_loss, bits = row["train_loss"], row["validation_loss"], row["bits_per_byte"]
        self.say(
            f"step {step:,} of {self._steps:,}: training {loss:.4f}, validation {validation_loss:.4f} nats a token "
            f"({bits:.4f} bits a byte), {self.tokens_per_second:,.0f} tokens/s, "
            f"{seconds // 60:.0f}:{seconds % 60:02.0f} left"
        )
