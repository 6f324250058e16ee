"""A runner of a plain function, for tests that need a network they can compute by hand."""

from kseg.inference.runners import Runner


class FunctionRunner(Runner):
    """`call`: float32 pixels `[B, H, W, channels]` → float32 logits `[B, H, W, classes]`."""

    def __init__(self, call, classes, channels, label_set=None, image_size=(None, None), task=None):
        super().__init__((*image_size, channels), classes, label_set=label_set, task=task)
        self.run = call

    def run(self, batch):
        raise NotImplementedError
