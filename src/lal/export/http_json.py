"""JSON to and from a server on this machine."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from lal.errors import ExportError

TIMEOUT_SECONDS = 300.0
"""For one answer; several dozen may be waiting in line."""


def ask_json(url: str, body: Any = None, key: str | None = None) -> Any:
    """The reply to a POST of `body`, or to a GET without one; no proxy is asked, whatever the environment says.

    Raises:
        ExportError: The server cannot be reached, refuses, or answers something else.
    """
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=content, headers=headers)  # noqa: S310 - http only
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(300).decode("utf-8", "replace").strip()
        raise ExportError(f"{url}: {error.code} {error.reason}: {said}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ExportError(f"{url}: no answer: {error}") from error
