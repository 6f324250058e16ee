"""A set of TensorFlow Datasets without a network."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds


def pets(count=6):
    """Images and trimaps of different sizes, as the Oxford pets have them."""
    random = np.random.default_rng(0)
    for index in range(count):
        size = (20 + index, 30)
        mask = random.integers(1, 4, (*size, 1), dtype=np.uint8)
        yield {"image": np.repeat(mask * 50, 3, -1), "segmentation_mask": mask, "label": index % 2, "species": 0,
               "file_name": f"{index}", "head_bbox": np.zeros(4, np.float32)}


@pytest.fixture
def mocked():
    def as_dataset(self, *args, **kwargs):
        signature = {"image": tf.TensorSpec((None, None, 3), tf.uint8),
                     "segmentation_mask": tf.TensorSpec((None, None, 1), tf.uint8)}
        return tf.data.Dataset.from_generator(
            lambda: ({key: example[key] for key in signature} for example in pets()), output_signature=signature)

    with tfds.testing.mock_data(num_examples=6, as_dataset_fn=as_dataset):
        yield
