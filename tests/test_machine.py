"""What a training process sets for its memory."""

import os
import subprocess
import sys

import pytest

from kseg import machine

FAULTS = """
import resource, sys
import numpy as np
from kseg import machine
if sys.argv[1] == "prepared":
    machine.prepare_to_train()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    array = np.ones(12_000_000, np.float32)  # 46 MiB: above the largest size that glibc keeps by itself
    del array
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return int(subprocess.run([sys.executable, "-c", FAULTS, how], env=environment, check=True, capture_output=True,
                              text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
def test_freed_memory_is_used_again():
    assert page_faults("prepared") < page_faults("plain") / 5


@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", None])
def test_the_users_memory_settings_win(monkeypatch, variable):
    for name in [name for name in os.environ if name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", variable)]:
        monkeypatch.delenv(name)
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    calls = []
    monkeypatch.setattr(machine, "_keep_freed_memory", lambda: calls.append(1))
    machine.prepare_to_train()
    assert len(calls) == (variable is None)
