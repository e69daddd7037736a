"""What reports/overlaps.json holds: the gold items that are like something trained on, each with both places.

Written by the validate stage, read by whoever shows scores with and without these items. An item at or over
`validate.max_overlap` stops the pipeline, so a list that is read holds only those between that limit and the level from
which an overlap is worth a look.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from lal.errors import DataError
from lal.files import read_json, write_json
from lal.records import Id, Record

Method = Literal["exact", "letter sequences", "near-duplicate"]
"""exact: a training text is the gold text but for casing, spacing and punctuation. letter sequences: most of it stands
there close together, in any spelling. near-duplicate: nearly the same words in any order."""


class ListedOverlap(Record):
    """A gold item and the training text most like it; of a sealed item the texts are left out."""

    item_id: Id
    split: Literal["dev", "sealed"]
    share: float
    """Above 0 and up to 1: of the item's letter sequences, or of the words of either text, by `method`."""
    method: Method
    gold_place: str
    gold_text: str
    place: str
    """`file:line` of the training text."""
    training_text: str
    num_places: int


_LIST = TypeAdapter(list[ListedOverlap])


def write_overlaps(path: Path, overlaps: Sequence[ListedOverlap]) -> None:
    """Writes reports/overlaps.json, largest share first."""
    worst_first = sorted(overlaps, key=lambda overlap: (-overlap.share, overlap.item_id))
    write_json(path, [overlap.model_dump(mode="json") for overlap in worst_first])


def read_overlaps(path: Path) -> list[ListedOverlap]:
    """Reads reports/overlaps.json.

    Raises:
        DataError: The file is missing or holds something else.
    """
    try:
        return _LIST.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}", "run `dvc repro validate`") from error
