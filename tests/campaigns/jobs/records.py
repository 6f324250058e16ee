"""`kseg.data.write_records`."""

from tests.campaigns import jobs
from tests.data.conftest import make_folder


def prepare(inputs):
    make_folder(inputs, count=300, size=(120, 160), splits=("train",))


def work(inputs, output):
    from kseg import data

    return jobs.told(data.write_records, "folder", output, "train", shards=30, data_dir=inputs, classes=3)
