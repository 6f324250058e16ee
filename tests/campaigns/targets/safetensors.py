"""Files of safetensors."""

import numpy as np
from safetensors.numpy import save

from kseg.encoders.checkpoint import read_checkpoint
from tests.campaigns import mutations
from tests.encoders.torch_files import GOLDEN


def seeds(folder):
    yield (GOLDEN / "all.safetensors").read_bytes()
    yield save({"encoder.conv1.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
                "encoder.bn1.bias": np.ones(2, "float16"), "steps": np.array(3)})


def damage(content, others, random):
    """Damage the bytes, or the header alone, whose length is then made right."""
    length = int.from_bytes(content[:8], "little")
    if random.random() < 0.4:
        return mutations.damaged(content, others, random)
    header = mutations.damaged_json(content[8:8 + length], [content[8:8 + length]], random)
    return len(header).to_bytes(8, "little") + header + content[8 + length:]


def read(content, folder):
    with open(f"{folder}/m.safetensors", "wb") as file:
        file.write(content)
    return read_checkpoint(f"{folder}/m.safetensors")


def check(answer, content):
    assert answer and sum(array.nbytes for array in answer.values()) <= 2 * len(content)  # halves become float32
