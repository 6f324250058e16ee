"""Warm-up requests: TensorFlow Serving answers them while it loads a version, so that no user waits for the first run.

The file is a TFRecord of `PredictionLog` messages. Three nested messages with string keys are written here byte by
byte, so that exporting needs no `tensorflow-serving-api`.
"""

import os
from typing import Any

import tensorflow as tf

FILE_NAME = "tf_serving_warmup_requests"


def write(folder: str, model_name: str, requests: list[tuple[str, dict[str, Any]]]) -> None:
    """Write `assets.extra/tf_serving_warmup_requests` into the SavedModel at `folder`.

    Args:
        folder: str, the SavedModel.
        model_name: str, the name under which it will be served.
        requests: list of (signature name, dict of input name -> array or bytes list).
    """
    target = os.path.join(folder, "assets.extra")
    os.makedirs(target, exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(target, FILE_NAME)) as writer:
        for signature, inputs in requests:
            # ModelSpec: name = 1, signature_name = 3. PredictRequest: model_spec = 1, inputs = 2 (map: key = 1,
            # value = 2). PredictLog: request = 1. PredictionLog: predict_log = 6.
            request = _field(1, _field(1, model_name.encode()) + _field(3, signature.encode()))
            for name, value in inputs.items():
                tensor = tf.make_tensor_proto(value).SerializeToString()
                request += _field(2, _field(1, name.encode()) + _field(2, tensor))
            writer.write(_field(6, _field(1, request)))


def _field(number, content):
    """Return `content` (bytes) as a length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
