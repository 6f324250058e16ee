"""`kseg export` of a SavedModel over one that is there."""

import os

from kseg import cli
from tests.campaigns import jobs


def prepare(inputs):
    jobs.save_trained(os.path.join(inputs, "trained.keras"))


def work(inputs, output):
    return cli.main(["export", os.path.join(inputs, "trained.keras"), os.path.join(output, "1"), "--overwrite",
                     "--image-size", "32", "32"])
