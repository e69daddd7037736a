"""Ctrl-C and `kill` as a wish to stop, granted at the next step's end instead of in the middle of one."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Whether, and with which signal, this process has been asked to stop."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def receive(self, signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the handler's signature
        """Remembers the first signal; the second one of its kind ends the process at once."""
        self.signal_number = signal_number
        signal.signal(signal_number, signal.SIG_DFL)

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for `kill`, as shells have it."""
        assert self.signal_number is not None
        return 128 + self.signal_number


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Listens for SIGINT and SIGTERM inside the block; in another thread than the main one, Python hears nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
