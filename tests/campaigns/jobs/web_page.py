"""`kseg export --web`: a folder of many files over one that is there."""

import os

from kseg import cli
from tests.campaigns import jobs


def prepare(inputs):
    jobs.save_trained(os.path.join(inputs, "trained.keras"))


def work(inputs, output):
    jobs.small()
    return cli.main(["export", os.path.join(inputs, "trained.keras"), os.path.join(output, "page"), "--web",
                     "--overwrite", "--image-size", "32", "32", "--data", "shapes"])
