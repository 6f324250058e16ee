"""Jobs that are killed, or meet a full disk; `tests.campaigns.killing` says what one holds."""

import os
import sys

import numpy as np

from kseg import cli, files


def small():
    """Make the embedded data and the default builder tiny; to be called in each process of a job."""
    from kseg import models
    from kseg.data import shapes
    from tests.training.tiny import tiny_builder

    models.PSPNet = tiny_builder
    shapes.COUNTS = {"train": 20, "validation": 5, "test": 5}


def save_trained(path):
    """Write a model that `kseg` reads as a trained one."""
    import keras

    from tests.training.tiny import tiny_builder

    keras.utils.set_random_seed(0)
    tiny_builder(5).save(path)


def save_batches(folder, batches):
    """Write all that a dataset gives as one array."""
    read = np.stack([np.concatenate([np.ravel(pixels), np.ravel(labels)]) for pixels, labels in batches])
    with files.draft(os.path.join(folder, "batches.npy")) as temporary:
        np.save(temporary, read)


def told(function, *arguments, **keywords):
    """Call a function as the command line does: return 0, or 1 after the sentence of its error."""
    from kseg import data

    try:
        function(*arguments, **keywords)
    except Exception as failure:
        sentence = data.failure_sentence(failure) if "tensorflow" in type(failure).__module__ else str(failure)
        if sentence is None:
            raise
        sys.stderr.write(f"kseg: {sentence}\n")
        return 1
    return 0


def train(folder, *options):
    """Type `kseg train`, or as its messages say `kseg train --resume` where a run was begun."""
    if os.path.exists(os.path.join(folder, "run.json")):
        return cli.main(["train", "--resume", folder, "--verbose", "0"])
    return cli.main(["train", "--output", folder, "--verbose", "0", *options])


SHORT = ("--image-size", "32", "32", "--batch-size", "5", "--epochs", "3", "--learning-rate", "0.01", "--seed", "3")
