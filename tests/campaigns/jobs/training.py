"""`kseg train`, plain, with everything that has a state: moving averages, early stopping, dropout, augmentation."""

import os

from tests.campaigns import jobs


def prepare(inputs):
    pass


def work(inputs, output):
    jobs.small()
    return jobs.train(os.path.join(output, "run"), *jobs.SHORT, "--ema", "0.5", "--early-stopping", "9",
                      "--augment", "deeplab")
