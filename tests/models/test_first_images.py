"""`fit` and `predict` look at the first images, whatever gives them, and read nothing twice."""

import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.models.first_images import ENOUGH, FirstImages
from tests.conftest import structured_image
from tests.training.tiny import tiny_builder

BATCH = 3
PIXELS = np.stack([np.roll(structured_image(16, 16), step, axis=1) for step in range(12)])
LABELS = (PIXELS[..., 0] > 127).astype(np.int32)
WRONG = {"divided by 255": (PIXELS.astype("float32") / 255, LABELS),
         "normalised": (PIXELS.astype("float32") / 127.5 - 1, LABELS),
         "no other class than 0": (PIXELS, LABELS * 255)}


class Sequence(keras.utils.PyDataset):
    def __init__(self, pixels, labels):
        super().__init__()
        self.pair = pixels, labels

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return tuple(part[index * BATCH:(index + 1) * BATCH] for part in self.pair)


def arrays(pixels, labels):
    return {"x": pixels, "y": labels, "batch_size": BATCH}


def dataset(pixels, labels):
    return {"x": tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(BATCH)}


def weighted(pixels, labels):
    return {"x": tf.data.Dataset.from_tensor_slices((pixels, labels, np.ones_like(labels))).batch(BATCH)}


def generator(pixels, labels):
    sequence = Sequence(pixels, labels)
    return {"x": (sequence[index] for index in range(8)), "steps_per_epoch": 4}


def sequence(pixels, labels):
    return {"x": Sequence(pixels, labels)}


KINDS = [arrays, dataset, weighted, generator, sequence]


@pytest.mark.parametrize(("give", "text"), [*((give, "divided by 255") for give in KINDS),
                                            *((dataset, text) for text in WRONG if text != "divided by 255")])
def test_fit_warns_once(give, text):
    model = tiny_builder(2)
    with pytest.warns(kseg.DataWarning, match=text) as caught:
        model.fit(**give(*WRONG[text]), shuffle=False, verbose=0)
    assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(**give(*WRONG[text]), shuffle=False, verbose=0)


@pytest.mark.parametrize("give", KINDS)
def test_nothing_is_said_of_sound_data_and_training_is_the_same(give):
    first, second = tiny_builder(2), tiny_builder(2)
    second.set_weights(first.get_weights())
    for one in (first, second):
        one.compile("sgd", one.loss)
        one.get_layer("dropout").rate = 0.0
    first.fit(**give(PIXELS, LABELS), shuffle=False, verbose=0)
    keras.Model.fit(second, **give(PIXELS, LABELS), shuffle=False, verbose=0)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_warning_may_be_an_error():
    with warnings.catch_warnings(), pytest.raises(kseg.DataWarning, match="divided by 255"):
        warnings.simplefilter("error")
        tiny_builder(2).fit(**dataset(*WRONG["divided by 255"]), shuffle=False, verbose=0)


def test_a_dataset_is_passed_over_once_an_epoch_and_in_order():
    read = []

    def examples():
        for index in range(12):
            read.append(index)
            yield PIXELS[index], LABELS[index]

    data = tf.data.Dataset.from_generator(examples, output_signature=(
        tf.TensorSpec((16, 16, 3), tf.uint8), tf.TensorSpec((16, 16), tf.int32))).batch(BATCH)
    tiny_builder(2).fit(data.apply(tf.data.experimental.assert_cardinality(4)), epochs=2, shuffle=False, verbose=0)
    assert read == [*range(12), *range(12)]


def test_small_batches_are_gathered():
    """A single image of background and void says nothing; the class in the last of those looked at does."""
    labels = np.zeros((12, 16, 16), np.int32)
    labels[:, :8] = 255
    shown = labels.copy()
    shown[ENOUGH - 1, 8] = 1
    sound = tf.data.Dataset.from_tensor_slices((PIXELS, shown)).batch(1)
    tiny_builder(2).fit(sound, shuffle=False, verbose=0)
    with pytest.warns(kseg.DataWarning, match=f"the first {ENOUGH} images hold no other class than 0"):
        tiny_builder(2).fit(tf.data.Dataset.from_tensor_slices((PIXELS, labels)).batch(1), shuffle=False, verbose=0)


@pytest.mark.parametrize("give", KINDS)
def test_predict_warns_once(give):
    model = tiny_builder(2)
    options = {name.replace("steps_per_epoch", "steps"): value
               for name, value in give(*WRONG["divided by 255"]).items() if name != "y"}
    with pytest.warns(kseg.DataWarning, match="divided by 255") as caught:
        model.predict(**options, verbose=0)
    assert [one.filename for one in caught] == [__file__]


def test_a_class_of_the_label_set_that_never_occurs_is_told_after_the_first_epoch():
    model = tiny_builder(3)
    model.label_set = kseg.LabelSet(("left", "right", "sky"))
    epochs = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    absent = LABELS.copy()  # of the validation set no class is asked
    absent[0, 0, 0] = 2
    with pytest.warns(kseg.DataWarning, match=r"got classes=\['2 \(sky\)'\]") as caught:
        model.fit(PIXELS, LABELS, validation_data=(PIXELS, absent), epochs=2, verbose=0, callbacks=[watch])
    assert [one.category for one in caught].count(kseg.DataWarning) == 1 and epochs == [0, 1]
    tiny_builder(3).fit(PIXELS, LABELS, shuffle=False, verbose=0)  # numbered classes may be more than the data's
    whole = tiny_builder(3)
    whole.label_set = model.label_set
    whole.fit(PIXELS, absent, validation_data=(PIXELS, LABELS), shuffle=False, verbose=0)


def test_other_structures_are_left_alone():
    seen = FirstImages(tiny_builder(2))
    named = tf.data.Dataset.from_tensors(({"pixels": PIXELS}, LABELS))
    for data in (named, [PIXELS], {"pixels": PIXELS}, "a path", None, PIXELS[0], tf.data.Dataset.range(3)):
        watched = seen.watched(data)
        assert watched is data or (data is not named and next(iter(watched)) == 0)
    assert not seen.images


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["default", "pspnet", "unet"])
def test_shapes_as_they_are_augmented_draw_no_warning(recipe):
    train = kseg.data.load("shapes", "train", image_size=(48, 48), batch_size=4, augment=recipe, seed=1)
    model = tiny_builder(5)
    model.label_set = kseg.data.label_set("shapes")
    model.fit(train, shuffle=False, verbose=0)


def test_several_workers_get_the_dataset_itself():
    """They share out its files, which TensorFlow cannot do with what counts batches."""
    data = tf.data.Dataset.from_tensors((np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8), np.int32)))
    alone, several = (types.SimpleNamespace(distribute_strategy=types.SimpleNamespace(cluster_resolver=resolver))
                      for resolver in (None, object()))
    assert FirstImages(several).watched(data) is data and FirstImages(alone).watched(data) is not data
