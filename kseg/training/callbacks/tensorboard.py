"""TensorBoard event files, written without TensorBoard itself, which TensorFlow no longer brings."""

from collections.abc import Mapping

import numpy as np


class SummaryWriter:
    """Writes scalars and a picture per step into `folder`."""

    def __init__(self, folder: str) -> None:
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(folder)

    def write(self, step: int, scalars: Mapping[str, float], picture: np.ndarray | None = None) -> None:
        """Write scalars by name and a uint8 `[h, w, 3]` picture at `step`."""
        summary = self._tf.compat.v1.Summary
        values = [summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        if picture is not None:
            encoded = self._tf.io.encode_png(picture).numpy()
            values.append(summary.Value(tag="image · truth · prediction", image=summary.Image(
                height=picture.shape[0], width=picture.shape[1], colorspace=3, encoded_image_string=encoded)))
        with self._writer.as_default():
            self._tf.summary.experimental.write_raw_pb(summary(value=values).SerializeToString(), step=step)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
