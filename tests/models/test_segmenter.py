"""What `Segmenter` does of its own, on a graph of two convolutions."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.layers import NormalizePixels, ResizeTo
from kseg.losses import CrossEntropy
from kseg.models.segmenter import Segmenter
from tests.conftest import structured_image


def sparse(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@pytest.mark.parametrize("loss", [sparse, "mean_squared_error",
                                  keras.losses.SparseCategoricalCrossentropy(from_logits=True)])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_keras_loss_trains_the_auxiliary_output(loss, weighted):
    pixels = keras.Input((None, None, 1))
    model = Segmenter(pixels, [keras.layers.Conv2D(3, 1)(pixels), keras.layers.Conv2D(3, 1)(pixels)], aux_weight=0.25)
    model.compile("sgd", loss)
    x = np.linspace(0, 1, 24, dtype="float32").reshape(2, 3, 4, 1)
    labels = (x * 2.9).astype("int32")
    y = np.repeat(x, 3, axis=-1) if loss == "mean_squared_error" else labels[..., 0]
    weights = (x[..., 0] > 0.3).astype("float32") if weighted else None

    def by_hand(outputs):
        outputs = np.asarray(outputs, "float64")
        if loss == "mean_squared_error":
            values = ((outputs - y) ** 2).mean(-1)
        else:
            values = np.log(np.exp(outputs).sum(-1)) - np.take_along_axis(outputs, labels, -1)[..., 0]
        return (values if weights is None else values * weights).mean()

    logits, aux = model(x, training=True)
    found = model.compute_loss(x, y, [logits, aux], weights)
    np.testing.assert_allclose(found, by_hand(logits) + 0.25 * by_hand(aux), rtol=1e-5)
    model.train_on_batch(x, y, sample_weight=weights)


def resizing_segmenter():
    """Stride 2 on 65 pixels gives 33, and half-pixel coordinates that are whole."""
    pixels = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(3, 3, strides=2, padding="same")(NormalizePixels([127.5] * 3, [63.75] * 3)(pixels))
    return Segmenter(pixels, ResizeTo(dtype="float32")(features, pixels))


def test_xla_predicts_and_scores_alike():
    model, image = resizing_segmenter(), structured_image(65, 65)[None].astype("float32")
    labels = (image[..., 0] > 127).astype("int32")
    wanted = model(image).numpy()
    losses = []
    for jit in (False, True):
        model.compile("sgd", CrossEntropy(), jit_compile=jit)
        np.testing.assert_allclose(model.predict(image, verbose=0), wanted, atol=1e-4)
        losses.append(model.evaluate(image, labels, verbose=0))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_half_precision_goes_on_after_loading(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = resizing_segmenter()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", CrossEntropy())
    image = structured_image(32, 32)[None].astype("float32")
    model.fit(image, (image[..., 0] > 127).astype("int32"), epochs=3, verbose=0)
    model.save(tmp_path / "m.keras")
    again = kseg.load_model(tmp_path / "m.keras")
    assert isinstance(again.optimizer, keras.optimizers.LossScaleOptimizer)
    for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kseg.losses import CrossEntropy
from kseg.models.segmenter import Segmenter
x = np.linspace(0, 1, 48, dtype="float32").reshape(4, 3, 4, 1)
logged = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        pixels = keras.Input((None, None, 1))
        model = Segmenter(pixels, [keras.layers.Conv2D(3, 1)(pixels), keras.layers.Conv2D(3, 1)(pixels)])
        model.compile(keras.optimizers.SGD(0.0), CrossEntropy())
    logged.append(model.fit(x, (x[..., 0] * 2.9).astype("int32"), verbose=0).history)
for name in ("loss", "aux_loss"):
    np.testing.assert_allclose(logged[0][name], logged[1][name], rtol=1e-4)
"""


@pytest.mark.slow
def test_replicas_log_the_auxiliary_loss_of_one():
    subprocess.run([sys.executable, "-c", REPLICAS], check=True)


def compiled():
    model = resizing_segmenter()
    model.compile("sgd", CrossEntropy(), metrics=[kseg.metrics.MeanIoU(3)])
    return model


def test_compile_keeps_nothing_of_the_last_one():
    model, image = compiled(), structured_image(32, 32)[None].astype("float32")
    one_hot = np.eye(3)[(image[..., 0] > 127).astype("int32")]
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert set(model.fit(image, one_hot, verbose=0).history) == {"loss"}


def test_a_loss_left_out_is_no_loss():
    model, image = compiled(), structured_image(32, 32)[None].astype("float32")
    model.compile("sgd")
    assert model.loss is None
    with pytest.raises(ValueError, match="No loss to compute"):
        model.fit(image, (image[..., 0] > 127).astype("int32"), verbose=0)


def test_a_loaded_model_trains_on_as_the_saved_one(tmp_path):
    model, image = compiled(), structured_image(32, 32)[None].astype("float32")
    labels = (image[..., 0] > 127).astype("int32")
    model.compile(keras.optimizers.SGD(0.0), model.loss, metrics=[kseg.metrics.MeanIoU(3)])
    assert set(model.fit(image, labels, verbose=0).history) == {"loss", "mean_iou"}
    model.save(tmp_path / "m.keras")
    again = kseg.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.fit(image, labels, verbose=0).history["loss"],
                               model.fit(image, labels, verbose=0).history["loss"], rtol=1e-4)


def test_class_weights_belong_to_the_loss():
    image = structured_image(32, 32)[None].astype("float32")
    with pytest.raises(ValueError) as caught:
        compiled().fit(image, (image[..., 0] > 127).astype("int32"), class_weight={0: 1.0, 1: 2.0}, verbose=0)
    assert str(caught.value) == (
        "`class_weight` must be None for label maps, got class_weight={0: 1.0, 1: 2.0}. Compile with "
        "kseg.losses.CrossEntropy(class_weights=[...]), see kseg.data.class_weights.")


def test_a_list_of_one_loss_trains_the_auxiliary_output_too():
    pixels = keras.Input((None, None, 1))
    model = Segmenter(pixels, [keras.layers.Conv2D(3, 1)(pixels), keras.layers.Conv2D(3, 1)(pixels)])
    model.compile("sgd", [CrossEntropy()])
    x = np.linspace(0, 255, 12, dtype="float32").reshape(1, 3, 4, 1)
    assert model.fit(x, (x[..., 0] / 88).astype("int32"), verbose=0).history["aux_loss"][0] > 0


def small_segmenter():
    pixels = keras.Input((None, None, 3))
    model = Segmenter(pixels, keras.layers.Conv2D(3, 1)(pixels))
    model.compile(keras.optimizers.AdamW(), CrossEntropy(), metrics=[kseg.metrics.MeanIoU(3)])
    return model


def test_the_training_step_is_traced_once():
    model, traces = small_segmenter(), []
    step = model.train_step
    model.train_step = lambda *arguments: (traces.append(1), step(*arguments))[1]
    model.fit(np.zeros((4, 16, 16, 3), "float32"), np.zeros((4, 16, 16), "int32"), batch_size=2, verbose=0)
    assert len(traces) == 1


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_datasets_run_without_autotuning(method, monkeypatch):
    seen = []
    monkeypatch.setattr(keras.Model, method, lambda self, x=None, y=None, validation_data=None, callbacks=None:
                        seen.append((x, validation_data)))
    data = tf.data.Dataset.from_tensors((np.zeros((1, 16, 16, 3), "float32"), np.zeros((1, 16, 16), "int32")))
    more = {"validation_data": data} if method == "fit" else {}
    getattr(small_segmenter(), method)(data, **more)
    assert [dataset.options().autotune.enabled for dataset in seen[0] if dataset is not None] == [False] * (
        1 + len(more))


def test_a_dataset_fits_without_a_warning():
    """Keras shuffles by default, and warns that it cannot shuffle a dataset; warnings are errors here."""
    pixels = np.arange(2 * 16 * 16 * 3, dtype="float32").reshape(2, 16, 16, 3) % 251
    data = tf.data.Dataset.from_tensor_slices((pixels, (pixels[..., 0] > 125).astype("int32"))).batch(1)
    small_segmenter().fit(data, verbose=0)


def two_convolutions(classes, **options):
    pixels = keras.Input((None, None, 3), name="pixels")
    return Segmenter(pixels, keras.layers.Conv2D(classes, 1)(NormalizePixels([120.0], [60.0])(pixels)), **options)


def test_task_and_threshold_are_saved_with_the_model(tmp_path):
    model = two_convolutions(3, task="multilabel")
    assert (model.task, model.threshold) == ("multilabel", 0.5)
    model.threshold = [0.2, 0.5, 0.75]
    model.save(tmp_path / "m.keras")
    loaded = kseg.load_model(tmp_path / "m.keras")
    assert (loaded.task, loaded.threshold) == ("multilabel", (0.2, 0.5, 0.75))
    copy = Segmenter.from_config(model.get_config())
    assert (copy.task, copy.threshold) == ("multilabel", (0.2, 0.5, 0.75))
    loaded.threshold = None
    assert loaded.threshold == 0.5


def test_a_model_of_before_tasks_is_multiclass():
    config = two_convolutions(3).get_config()
    for name in ("task", "threshold"):
        del config["segmenter"][name]
    old = Segmenter.from_config(config)
    assert (old.task, old.threshold) == ("multiclass", None)


@pytest.mark.parametrize("change, sentence", [
    (lambda: two_convolutions(3, task="multi-label"), "`task` must be one of ('multiclass', 'binary', 'multilabel'), "
     "got task='multi-label'. Did you mean 'multilabel'?"),
    (lambda: setattr(two_convolutions(3), "threshold", 0.4), "`threshold` must be None for task='multiclass', got "
     "threshold=0.4. The class with the largest logit wins there."),
])
def test_wrong_tasks_and_thresholds(change, sentence):
    with pytest.raises(ValueError) as caught:
        change()
    assert str(caught.value) == sentence


def test_a_clone_of_a_binary_model_is_binary():
    """`clone_model` passes no task on: one logit decided by the largest of all would always answer 0."""
    model = kseg.models.SegNetBasic(1, filters=4, task="binary")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    pixels = structured_image(32, 48)
    assert copy.task == "binary" and copy.threshold == 0.5
    np.testing.assert_array_equal(kseg.predict(copy, pixels), kseg.predict(model, pixels))


def test_a_clone_knows_what_the_graph_does_not_say():
    model = kseg.models.SegNetBasic(3, filters=4, task="multilabel")
    model.threshold, model.pixel_range = (0.2, 0.5, 0.7), (0, 4095)
    model.label_set = kseg.LabelSet(("a", "b", "c"))
    copy = keras.models.clone_model(model)
    assert (copy.task, copy.threshold, copy.pixel_range, copy.label_set) == (
        "multilabel", (0.2, 0.5, 0.7), model.pixel_range, model.label_set)
    copy.set_weights(model.get_weights())
    pixels = 16 * structured_image(32, 48).astype("uint16")
    np.testing.assert_array_equal(kseg.predict(copy, pixels), kseg.predict(model, pixels))
