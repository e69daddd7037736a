"""The model that answers now, and how another one takes its place without losing a request."""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lal.errors import LalError, ModelError
from lal.export.manifest import NAME as MANIFEST
from lal.runtime import Runtime
from lal.serve.engine import TorchEngine
from lal.serve.jobs import Engine
from lal.serve.llama import LlamaEngine, gguf_file

_log = logging.getLogger(__name__)

Backend = Literal["torch", "llama.cpp"]

NAME = "lal"
"""What clients call whatever model is served; `lal-<digest>` is one version of it."""

POLL_SECONDS = 2.0
"""Between two looks at whether another model is to be served."""


@dataclass(frozen=True)
class Served:
    """A model at work.

    Attributes:
        runtime: Its folder, tokenizer and default settings.
        engine: What writes.
        digest: The first twelve letters of the SHA-256 of its manifest: its version.
        backend: Which engine.
        created: When the manifest was written, in seconds since 1970.
        longest_token: Bytes of the longest token.
    """

    runtime: Runtime
    engine: Engine
    digest: str
    backend: Backend
    created: int
    longest_token: int

    @property
    def version(self) -> str:
        """The name of this very model."""
        return f"{NAME}-{self.digest}"

    @property
    def names(self) -> list[str]:
        """What it may be asked for by."""
        return [NAME, self.version]

    @property
    def context_length(self) -> int:
        """Most tokens of a prompt."""
        return self.runtime.model.config.context_length

    def describe(self) -> str:
        """One line for the terminal."""
        return f"{self.runtime.describe()}, version {self.digest}, {self.backend}"


def load_served(folder: Path, backend: Backend) -> Served:
    """Loads a model folder and starts its engine.

    Raises:
        ModelError: It is missing, incomplete or damaged, or has no file for the backend.
    """
    digest = folder_digest(folder)
    runtime = Runtime.load(folder)
    tokenizer = runtime.tokenizer
    if folder_digest(folder) != digest:
        raise ModelError(f"{folder}: changed while it was read", "wait until the export has ended")
    engine: Engine
    if backend == "torch":
        engine = TorchEngine(runtime.model, tokenizer.end_id, tokenizer.token_bytes)
    else:
        engine = LlamaEngine(gguf_file(folder), runtime.model.config.context_length, tokenizer.token_bytes)
    created = int(_version_file(folder).stat().st_mtime)
    longest = max(len(tokenizer.token_bytes(token_id)) for token_id in range(tokenizer.vocabulary_size))
    return Served(runtime, engine, digest, backend, created, longest)


def folder_digest(folder: Path) -> str:
    """The version of a model folder: of its manifest, or of lal.json where there is none, as in models/instruct.

    Raises:
        ModelError: It has neither.
    """
    try:
        return hashlib.sha256(_version_file(folder).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ModelError(f"{folder}: no such model folder", "make it with `dvc repro`, or name another") from error


def _version_file(folder: Path) -> Path:
    manifest = folder / MANIFEST
    return manifest if manifest.is_file() else folder / "lal.json"


class Switch:
    """Holds the model that is served, and looks every few seconds whether it should be another one.

    The new model is loaded beside the old one; then new requests go to it, while those that run end on the old one.

    Args:
        find: The folder to serve now; called again and again.
        backend: Which engine.
        on_switch: Told of each model that begins to serve.

    Raises:
        LalError: There is no model to begin with.
    """

    def __init__(
        self, find: Callable[[], Path], backend: Backend, on_switch: Callable[[Served], None] = lambda _: None
    ) -> None:
        self._find, self._backend, self._on_switch = find, backend, on_switch
        folder = find()
        self.current = load_served(folder, backend)
        self.num_failures = 0
        self._seen = (folder, self.current.digest)
        self._complaint = ""
        on_switch(self.current)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lal-switch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops looking, and ends what is being written."""
        self._stop.set()
        self._thread.join()
        self.current.engine.close()

    def look(self) -> None:
        """Looks once, and changes over if there is another model; a broken one is told of, and the old one stays."""
        try:
            folder = self._find()
            if (folder, folder_digest(folder)) == self._seen:
                return
            served = load_served(folder, self._backend)
        except (LalError, OSError) as error:
            self.num_failures += 1
            if str(error) != self._complaint:
                _log.warning("the model is not changed: %s", error)
            self._complaint = str(error)
            return
        old, self.current = self.current, served
        self._seen, self._complaint = (folder, served.digest), ""
        _log.warning("now serving %s", served.describe())
        self._on_switch(served)
        old.engine.close()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.look()
            except Exception:  # What goes wrong here must not end the looking.
                _log.exception("looking for another model failed")
