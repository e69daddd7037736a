"""Lal: the small-language-model loop, from a pile of text to a shipped model with a score."""

import os

__version__ = "0.1.0"

# A thread of torch's waits for the others by turning in circles. On a machine that does something else too, it keeps
# the core from the thread it waits for. With 30 times fewer turns (on Linux, libgomp's) a step takes as long on an idle
# machine, and a fraction of the time on a busy one (`bench.busy`). Read once, when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
