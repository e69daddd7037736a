"""What the server refuses, closes or cuts short: one constant each, so that they can be read at a glance.

They are no options: each is either far beyond what a real client does, or follows from the model's context.
"""

ROWS = 32
"""Requests that are written at once, side by side; more wait."""

MAX_WAITING = 64
"""Requests that may wait for a row; the next one is told to come back (429)."""

REQUEST_SECONDS = 60.0
"""From arrival to the last token; a request that takes longer ends with an error (503)."""

PREFILL_TOKENS = 2048
"""Prompt tokens read between two steps (one prompt always is): newcomers must not stall who is being written."""

MAX_BODY_BYTES = 2**20
"""Of a request; a larger one is refused (413) before it is read."""

RECEIVE_SECONDS = 10.0
"""For a whole request to arrive, head and body, from its first moment; a connection that is slower is closed."""

SEND_SECONDS = 20.0
"""For a client to take some of what has been sent to it; one that stops reading is cut off."""

KEEP_ALIVE_SECONDS = 15
"""For the next request on the same connection."""

MAX_CONNECTIONS = 512
"""Open at once. A newcomer beyond them takes the place of the slowest one that has not yet sent its request whole."""

MAX_CANDIDATES = 20
"""Alternatives of a token (`top_logprobs`)."""

MAX_STOPS = 4
MAX_STOP_CHARACTERS = 200

DRAIN_SECONDS = 65
"""For running requests to end once the server is told to stop."""
