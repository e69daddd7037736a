"""How a registered model is called: `models:/lal@champion` or `models:/lal/3`, as MLflow writes it."""

import re
from dataclasses import dataclass

from lal.errors import RegistryError

PREFIX = "models:/"


@dataclass(frozen=True)
class Address:
    """A version, by its number or by an alias; the other of the two is None."""

    name: str
    number: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}@{self.alias}" if self.alias else f"{PREFIX}{self.name}/{self.number}"


def is_address(text: str) -> bool:
    """Whether a text names a registered model and not a folder."""
    return text.startswith(PREFIX)


def parse_address(uri: str) -> Address:
    """Reads an address.

    Raises:
        RegistryError: It is none.

    Example:
        >>> parse_address("models:/lal@champion").alias
        'champion'
        >>> parse_address("models:/lal/3").number
        3
    """
    found = re.fullmatch(r"models:/([^/@:]+)(?:/(\d+)|@([^/@:]+))", uri)
    if not found:
        raise RegistryError(f"{uri}: no registered model", "write models:/lal@champion or models:/lal/3")
    name, number, alias = found.groups()
    return Address(name, int(number) if number else None, alias)
