"""`kseg train --adversarial`: two networks and their optimisers."""

import os

from tests.campaigns import jobs


def prepare(inputs):
    jobs.save_trained(os.path.join(inputs, "trained.keras"))


def work(inputs, output):
    jobs.small()
    return jobs.train(os.path.join(output, "run"), *jobs.SHORT, "--adversarial", os.path.join(inputs, "trained.keras"),
                      "--discriminator", "SmallFOV-light", "--alternate-every", "3",
                      "--pretrain-discriminator-steps", "4", "--epochs", "2")
