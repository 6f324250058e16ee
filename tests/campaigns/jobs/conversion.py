"""`kseg data convert`."""

import os

from kseg import cli
from tests.data.conftest import make_folder


def prepare(inputs):
    make_folder(inputs, count=150, size=(60, 80))


def work(inputs, output):
    return cli.main(["data", "convert", "folder", os.path.join(output, "plain"), "--data-dir", inputs,
                     "--data-option", "classes=3", "--quiet"])
