"""The stage `tokenizer` alone in a process, so that its memory is nobody else's: `python -m bench.tokenizer_stage DIR`.

`bench.data` and `bench.scaling` start it. Reads DIR/corpus and DIR/conversations, writes DIR/tokenizer and DIR/tokens,
and prints what was measured as one line of JSON. Loads no torch.
"""

import json
import sys
import time
from pathlib import Path

from lal.params import load_params
from lal.reporting import NullReporter
from lal.stages.tokenizer import tokenizer


def measure(folder: Path) -> dict[str, float]:
    """Runs the stage; seconds, bytes of text, tokens, and bytes of memory before and at the most."""
    params = load_params(Path("params.yaml"))
    before, start, cpu = _peak_bytes(), time.perf_counter(), time.process_time()
    metrics = tokenizer(
        params=params,
        corpus=folder / "corpus",
        conversations=folder / "conversations",
        tokenizer=folder / "tokenizer",
        tokens=folder / "tokens",
        reporter=NullReporter(),
    )
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "bytes": metrics["train"]["bytes"],
        "tokens": metrics["train"]["tokens"],
        "before_bytes": before,
        "peak_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int:
    """The most memory this process has held. `getrusage` would count what its parent held when it was started."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    [peak] = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
    return peak * 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))) + "\n")
