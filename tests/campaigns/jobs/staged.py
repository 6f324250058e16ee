"""`kseg train --in-stages`, which is typed anew as it was."""

import os

from kseg import cli
from tests.campaigns import jobs


def prepare(inputs):
    pass


def work(inputs, output):
    from kseg import models
    from kseg.training import staged
    from tests.models.tiny_backbone import tiny_backbone

    jobs.small()
    staged.STAGES = ("FCN32s", "FCN16s")
    defaults = staged.train_fcn_in_stages.__defaults__
    staged.train_fcn_in_stages.__defaults__ = (staged.STAGES, (1.0, 0.1), *defaults[2:])
    for stage in staged.STAGES:
        builder = getattr(models, stage)
        setattr(models, stage, lambda classes, builder=builder, **options: builder(classes, named(tiny_backbone()), **{
            name: value for name, value in options.items() if name not in ("encoder_name", "encoder_weights")}))
    return cli.main(["train", "--in-stages", "--output", os.path.join(output, "run"), "--verbose", "0", "--model",
                     "FCN8s", *jobs.SHORT, "--epochs", "2", "--option", "at_once=False", "--option",
                     "upsampling=learned"])


def named(backbone):
    """Return the backbone with names that do not tell how many networks the process has built before."""
    for number, layer in enumerate(backbone.layers):
        layer.name = f"tiny_{number}"
    return backbone
