"""What a process that trains should set before TensorFlow starts. Loads no TensorFlow.

Both settings belong to the whole process, so they are made where the process is kseg's own: by `kseg train` and
`kseg demo`. A program of yours may call `kseg.machine.prepare_to_train()` on its first line.
"""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # <malloc.h> of glibc
_NEVER = (1 << 31) - 1


def prepare_to_train():
    """Set what makes training steps faster on a CPU; what the user's environment says wins.

    oneDNN: TensorFlow turns it on by itself only for processors with AVX512-VNNI or better. It helps the others too:
    on two cores with AVX2, a training step took 0.83 times as long for a U-Net on EfficientNet-Lite0 and 0.85 for a
    PSPNet on ResNet50, and about the same for DeepLabV3Plus. Set `TF_ENABLE_ONEDNN_OPTS=0` to keep it off.

    Memory: glibc returns each large array to the system when it is freed, so that every training step asks for the
    same gigabytes again, zeroed page by page. Told to keep them, it saved 15 to 20 % of a step of DeepLabV3Plus. The
    process then holds the most memory that it once had. Set a variable `MALLOC_…_` or `GLIBC_TUNABLES` to decide
    yourself.
    """
    if "tensorflow" not in sys.modules:  # later TensorFlow no longer asks
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        _keep_freed_memory()


def _keep_freed_memory():
    """Have glibc keep freed memory for the next allocation; other C libraries have no such switch, or need none."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in ((_MMAP_THRESHOLD, _NEVER), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1)):
        mallopt(option, value)
