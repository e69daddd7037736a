"""What the server counts, for Prometheus: on a registry of its own, with nothing that names a person or a text."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one server.

    Args:
        running: Tells how many requests are being written.
        waiting: Tells how many are in line.
        failed_switches: Tells how often another model could not be loaded.
    """

    def __init__(
        self, running: Callable[[], int], waiting: Callable[[], int], failed_switches: Callable[[], int]
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "lal_requests", "HTTP requests by address and status", ["path", "status"], registry=registry
        )
        self.ended = Counter("lal_answers", "Answers by how they ended", ["end"], registry=registry)
        self.prompt_tokens = Counter("lal_prompt_tokens", "Tokens read", registry=registry)
        self.answer_tokens = Counter("lal_answer_tokens", "Tokens written", registry=registry)
        self.first_token = Histogram(
            "lal_first_token_seconds", "From arrival to the first text", buckets=_SECONDS, registry=registry
        )
        self.seconds = Histogram(
            "lal_answer_seconds", "From arrival to the end of the answer", buckets=_SECONDS, registry=registry
        )
        self.log_rows = Counter(
            "lal_log_rows", "Rows of the request log by what became of them", ["outcome"], registry=registry
        )
        self.feedback = Counter("lal_feedback", "Feedback by rating", ["rating"], registry=registry)
        self.closed = Counter(
            "lal_connections_closed", "Connections that the server closed, by reason", ["reason"], registry=registry
        )
        self.model = Gauge("lal_model", "1 for the model that is served", ["version", "backend"], registry=registry)
        Gauge("lal_running", "Requests being written", registry=registry).set_function(running)
        Gauge("lal_waiting", "Requests in line", registry=registry).set_function(waiting)
        Gauge("lal_failed_switches", "Times that another model could not be loaded", registry=registry).set_function(
            failed_switches
        )

    def serves(self, version: str, backend: str) -> None:
        """Notes which model is served now."""
        self.model.clear()
        self.model.labels(version, backend).set(1)

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)
