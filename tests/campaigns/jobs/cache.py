"""A training set whose decoded pairs are kept in a folder: what is read must be right, and the folder whole."""

import os
import pathlib

from tests.campaigns import jobs
from tests.data.conftest import make_folder


def prepare(inputs):
    make_folder(inputs, count=240, size=(60, 80), splits=("train",))


def work(inputs, output):
    from kseg import data

    for draft in pathlib.Path(output).glob("cache/*/.*.part.npy"):
        os.utime(draft, (0, 0))  # hours lie between a kill and the next start
    return jobs.told(lambda: jobs.save_batches(output, data.load(
        "folder", "train", data_dir=inputs, classes=3, image_size=(20, 30), seed=5, batch_size=8, augment=True,
        cache=os.path.join(output, "cache"))))
