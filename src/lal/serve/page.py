"""The chat page: one file, and the policy that lets a browser run what stands in it and nothing else."""

import base64
import hashlib
import re
from importlib import resources


def load() -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy: its own script and style by their digests, requests to this server."""
    text = resources.files("lal.serve").joinpath("page.html").read_text(encoding="utf-8")
    script, style = _digest(text, "script"), _digest(text, "style")
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), policy


def _digest(text: str, element: str) -> str:
    found = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
    assert len(found) == 1, f"the page has {len(found)} <{element}>"
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()}'"
