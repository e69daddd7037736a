"""Ctrl-C and `kill` as a wish to stop, granted at the next step's end instead of in the middle of one."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Whether, and with which signal, this process has been asked to stop.

    Args:
        may_insist: Whether a second signal ends the process at once.

    Attributes:
        signal_number: The signal, or 0 before there is one.
    """

    def __init__(self, may_insist: bool) -> None:
        self.signal_number = 0
        self._may_insist = may_insist

    def receive(self, signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the handler's signature
        """Remembers the first signal; the second one of its kind ends the process at once, if it may."""
        self.signal_number = signal_number
        if self._may_insist:
            signal.signal(signal_number, signal.SIG_DFL)


@contextlib.contextmanager
def stop_requests(may_insist: bool = True) -> Iterator[StopRequest]:
    """Listens for SIGINT and SIGTERM inside the block; in another thread than the main one, Python hears nothing.

    Args:
        may_insist: Whether a second signal ends the process at once. Not under torchrun: it passes on a Ctrl-C that the
            terminal has sent to its processes already, and kills them itself after a while.
    """
    request = StopRequest(may_insist)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
