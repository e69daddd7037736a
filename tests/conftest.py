"""What every test shares: one thread, no telemetry, no tracking, the network left alone."""

import os
import signal

from hypothesis import settings

# Before torch is imported: small tensors are slower on many threads, and results are the same from run to run.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LAL_TRACKING", "off")
os.environ.pop("MLFLOW_TRACKING_URI", None)  # Nobody's server gets the runs of tests.

# Tests on several cores run in processes that were started deaf to Ctrl-C, and so would be all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes longer than 200 ms for an example now and then, which is no defect.
settings.register_profile("lal", deadline=None)
settings.load_profile("lal")
