"""`kseg predict FOLDER`."""

import os

from kseg import cli
from tests.campaigns import jobs
from tests.data.conftest import make_folder


def prepare(inputs):
    jobs.save_trained(os.path.join(inputs, "trained.keras"))
    make_folder(os.path.join(inputs, "set"), count=40, splits=("train",))


def work(inputs, output):
    seen = os.path.join(output, "seen")
    if os.path.exists(os.path.join(seen, "sheet.png")) and not os.path.exists(os.path.join(seen, ".begun")):
        return 0  # killed at its very end: a user is told that the files are there
    return cli.main(["predict", os.path.join(inputs, "trained.keras"), os.path.join(inputs, "set", "train", "images"),
                     "--output", seen, "--quiet"])
