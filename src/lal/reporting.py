"""How a stage tells the outside what it is doing, without knowing who listens.

A stage receives a `Reporter`. The pipeline hands it one that writes to MLflow (`lal.tracking`); tests and notebooks
hand it the `NullReporter`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Reporter(Protocol):
    """Receives what a stage has to say. No method may raise: a lost log line must not cost a trained model."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves, e.g. `{"train_loss": 1.9}` at a training step."""

    def attach(self, path: Path) -> None:
        """A file worth keeping with the run, such as a report."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with the same keys, e.g. one a gold item, that can be compared between runs."""

    def say(self, message: str) -> None:
        """A line for the person at the terminal."""


class Registry(Protocol):
    """Keeps exported models, each a numbered version of one name."""

    def register(self, name: str, bundle: Path, tags: Mapping[str, str]) -> int:
        """Keeps a whole bundle, once: the version that has it already, or a new one.

        Args:
            name: Of the registered model.
            bundle: The exported folder.
            tags: What is known of it; see `lal.export.facts.bundle_tags`.

        Raises:
            RegistryError: Nothing was registered.
        """


class NullReporter:
    """Listens to nothing."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Does nothing."""

    def attach(self, path: Path) -> None:
        """Does nothing."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Does nothing."""

    def say(self, message: str) -> None:
        """Does nothing."""
