"""Image files through the signature `serve_bytes` of an exported SavedModel: as `kseg.predict` has them, or refused."""

import pathlib

import numpy as np
import tensorflow as tf

import kseg
from kseg.serving.encoding import from_png
from tests.campaigns import coded_images

refusals = (tf.errors.InvalidArgumentError,)  # TensorFlow Serving answers status 400 and their text
_made = {}


def seeds(folder):
    _made["model"] = coded_images.model()
    kseg.export.saved_model(_made["model"], pathlib.Path(folder) / "coded" / "1", warm_up_requests=False,
                            images=np.zeros((1, 8, 8, 3), np.uint8))
    _made["served"] = tf.saved_model.load(str(pathlib.Path(folder) / "coded" / "1")).signatures["serve_bytes"]
    labels = coded_images.coded(1)[1]
    for kind in ("png", "jpeg", "turned", "bmp", "gif"):
        yield coded_images.encoded(labels, kind)


def read(content, folder):
    answer = _made["served"](image_bytes=tf.constant([content]))["labels_png_bytes"].numpy()
    labels = from_png(answer[0])
    (pathlib.Path(folder) / "image").write_bytes(content)
    try:
        return labels, kseg.predict(_made["model"], pathlib.Path(folder) / "image")
    except ValueError:
        return labels, None


def check(answer, content):
    labels, wanted = answer
    if content.startswith(b"GIF") and wanted is not None and labels.shape != wanted.shape:
        return  # a frame larger than its screen: TensorFlow cuts it, Pillow makes the screen larger
    assert labels.ndim == 2 and labels.dtype == np.uint8 and labels.max() < 8, (labels.shape, labels.dtype)
    if wanted is not None:
        assert labels.shape == wanted.shape, (labels.shape, wanted.shape)
        assert (labels == wanted).mean() >= 0.98, (labels == wanted).mean()  # decoders round differently
