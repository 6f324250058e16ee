"""FCN, SegNet, U-Net and RefineNet learn four images by heart: mean IoU above 0.95 in bounded steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.data import shapes
from kseg.losses import BinaryCrossEntropy, CrossEntropy
from kseg.metrics import MeanIoU
from kseg.models import FCN8s, FCN32s, RefineNet, SegNet, SegNetBasic, UNet
from tests.models.tiny_backbone import tiny_backbone

OPTIONS = {"classes": 5, "image_size": (64, 64), "compile": False}
# builder, learning rate, steps
CASES = {
    "FCN32s": (lambda: FCN32s(encoder_name=wide(), upsampling="learned", **OPTIONS), 5e-3, 250),
    "FCN8s": (lambda: FCN8s(encoder_name=wide(), upsampling="learned", **OPTIONS), 5e-3, 150),
    "SegNet": (lambda: SegNet(filters=(16, 24, 32, 32, 32), **OPTIONS), 8e-3, 110),
    "SegNetBasic": (lambda: SegNetBasic(filters=16, **OPTIONS), 1e-2, 120),
    "UNet": (lambda: UNet(filters=16, dropout=0.0, **OPTIONS), 2e-3, 200),
    "RefineNet": (lambda: RefineNet(encoder_name=wide(), filters=32, dropout=0.0, **OPTIONS), 2e-3, 200),
}


def wide():
    return tiny_backbone(width=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_overfits_four_images(name):
    build, learning_rate, steps = CASES[name]
    pixels, labels = (np.stack(arrays) for arrays in zip(*(shapes.generate("train", index, (64, 64))
                                                           for index in range(4)), strict=True))
    labels = labels.astype("int32")
    model, score = build(), MeanIoU(5)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), loss=CrossEntropy())
    # One epoch of `steps` batches: an epoch a batch spends most of its time between them.
    model.fit(tf.data.Dataset.from_tensors((pixels, labels)).repeat(steps), shuffle=False, verbose=0)
    score.update_state(labels, model.predict(pixels, verbose=0))
    assert float(score.result()) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_every_task_overfits_four_images(task):
    """A U-Net on an encoder. Foreground is any shape; of the two classes, which overlap, one is any, one the round."""
    pixels, ids = (np.stack(arrays) for arrays in zip(*(shapes.generate("train", index, (64, 64))
                                                        for index in range(4)), strict=True))
    labels = (ids > 0).astype("int32") if task == "binary" else np.stack([ids > 0, ids == 1], -1).astype("int32")
    model = UNet(1 if task == "binary" else 2, encoder_name=wide(), decoder_filters=(32, 32, 24, 16, 16), task=task)
    assert type(model.loss) is BinaryCrossEntropy
    model.optimizer.learning_rate = 1e-2
    model.fit(tf.data.Dataset.from_tensors((pixels, labels)).repeat(120), shuffle=False, verbose=0)
    for images in (pixels, [pixels[0]]):  # a batch, a list
        found = np.asarray(kseg.predict(model, images))
        union = ((found == 1) | (labels[:len(found)] == 1)).sum()
        assert ((found == 1) & (labels[:len(found)] == 1)).sum() / union > 0.9
    scores = kseg.evaluate(model, [(pixels, labels)])
    assert scores.mean_iou > 0.9 and set(scores.per_class_iou) == (
        {"foreground"} if task == "binary" else {"class 0", "class 1"})
