"""What a training process sets: each case in a process of its own."""

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
VARIABLE = "import os; from kseg import machine; machine.prepare_to_train(); print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"


def run(code, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "TF_ENABLE"))}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env={**environment, **variables}, check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
def test_freed_memory_is_used_again():
    plain, prepared = int(run(FAULTS, "plain")), int(run(FAULTS, "prepared"))
    assert prepared < plain / 5


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


@pytest.mark.parametrize("given, found", [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(given, found):
    assert run(VARIABLE, **given) == found
