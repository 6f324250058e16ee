"""A set of TensorFlow Datasets that is kept in a folder, by TensorFlow's own cache."""

import os

import numpy as np

from tests.campaigns import jobs

MOCKED = True  # no set of TensorFlow Datasets lies in the repository


def prepare(inputs):
    pass


def work(inputs, output):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from kseg import data

    def stored():
        random = np.random.default_rng(0)
        for _ in range(40):
            mask = random.integers(1, 4, (20, 30, 1), dtype=np.uint8)
            yield {"image": np.repeat(mask * 50, 3, -1), "segmentation_mask": mask}

    def as_dataset(self, *args, **kwargs):
        return tf.data.Dataset.from_generator(stored, output_signature={
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "segmentation_mask": tf.TensorSpec((None, None, 1), tf.uint8)})

    def read(part):  # an epoch
        jobs.save_batches(os.path.join(output, part), data.load(
            "tfds:oxford_iiit_pet", "train", image_size=(20, 30), seed=5, batch_size=8, augment=True,
            cache=os.path.join(output, "cache")))

    with tfds.testing.mock_data(num_examples=40, as_dataset_fn=as_dataset):
        return jobs.told(read, "first") or jobs.told(read, "second")
