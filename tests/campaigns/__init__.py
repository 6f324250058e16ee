"""Campaigns: everything that reads, writes or listens, under thousands of damaged inputs, kills and requests.

They run outside `make test`, by `python -m tests.campaigns` (`--help` lists them); fuzz and kills go on where they were
stopped. What they found stands in `docs/trust.md`, and each fault has a small test of its own in the room it was in.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # as `kseg` has it: a warning of TensorFlow holds Python's traceback
