"""What a process that trains should set before its first step. Loads no TensorFlow.

The setting belongs to the whole process, so it is made where the process is kseg's own: by `kseg train` and
`kseg demo`. A program of yours may call `kseg.machine.prepare_to_train()` on its first line.
"""

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # <malloc.h> of glibc
_NEVER = (1 << 31) - 1


def prepare_to_train():
    """Have the C library keep freed memory, which makes training steps on a CPU faster.

    glibc returns each large array to the system when it is freed, so that every training step asks for the same
    gigabytes again, zeroed page by page. Told to keep them, it saved 15 to 20 % of a step of DeepLabV3Plus on two
    cores. The process then holds the most memory that it once had. Set a variable `MALLOC_...` or `GLIBC_TUNABLES` in
    the environment to decide yourself; other C libraries are left alone.

    oneDNN is left as TensorFlow has it (on where the processor has AVX512-VNNI or better), because turning it on
    elsewhere helps one half and hurts the other: limited to AVX2, a training step took 0.83 times as long for a U-Net
    on EfficientNet-Lite0 and 0.85 for a PSPNet on ResNet50, but a prediction of DeepLabV3Plus 20 times as long (its
    convolutions with batch normalisation and ReLU6 fused into them), and each validation with it. Where steps are what
    counts, set `TF_ENABLE_ONEDNN_OPTS=1` and measure.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    _keep_freed_memory()


def processor_name() -> str:
    """Return the model of the processor as its maker calls it where Linux tells, else its kind, such as "arm64"."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def _keep_freed_memory():
    """Have glibc keep freed memory for the next allocation; other C libraries have no such switch, or need none."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in ((_MMAP_THRESHOLD, _NEVER), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1)):
        mallopt(option, value)
