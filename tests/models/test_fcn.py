"""FCN: counts, the two geometries, bilinear kernels, the dense network turned into convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kseg.layers.bilinear_upsampling import bilinear_kernel
from kseg.models import FCN8s, FCN16s, FCN32s
from kseg.models.fcn_weights import copy_dense_layers, copy_torch_dense_layers
from tests.conftest import structured_image, without_values
from tests.models.tiny_backbone import tiny_backbone

BUILDERS = {32: FCN32s, 16: FCN16s, 8: FCN8s}


def counts(model):
    return tuple(sum(int(np.prod(weight.shape)) for weight in weights)
                 for weights in (model.trainable_weights, model.non_trainable_weights))


def pixels(height, width):
    return structured_image(height, width)[None].astype("float32")


def with_random_scores(model):
    for layer in model.layers:
        if layer.name.startswith("score_"):
            layer.set_weights([np.random.default_rng(1).normal(size=value.shape) for value in layer.get_weights()])
    return model


# Shelhamer's released nets; at-once FCN-8s has fixed scales and the same weights.
@pytest.mark.parametrize("stride, options, trainable, frozen", [
    (32, {}, 134_346_581, 1_806_336),
    (16, {"geometry": "paper"}, 134_357_354, 458_640),
    (8, {"at_once": True}, 134_362_751, 127_008),
    (8, {"upsampling": "learned"}, 134_489_759, 0),
])
def test_counts_of_the_published_networks(stride, options, trainable, frozen):
    assert counts(without_values(BUILDERS[stride], 21, compile=False, **options)) == (trainable, frozen)


@pytest.mark.parametrize("upsampling, trained", [("frozen", []), ("learned", [2, 2, 8]), ("intermediate", [2, 2])])
def test_upsampling_is_frozen_or_learned(upsampling, trained):
    model = FCN8s(2, tiny_backbone(), upsampling=upsampling)
    if upsampling == "intermediate":
        expected = [("upsample_to_c4", True), ("upsample_to_c3", True), ("upsample_8", False)]
    else:
        expected = [(name, upsampling == "learned") for name in ("upsample_to_c4", "upsample_to_c3", "upsample_8")]
    assert [(name, model.get_layer(name).trainable) for name, _ in expected] == expected
    kernels = [weight for weight in model.trainable_weights if weight.path.startswith("upsample")]
    assert sorted(kernel.shape[0] // 2 for kernel in kernels) == trained


# 500 pixels: released FCN-8s upsamples to 568 and cuts 31 at the top, 37 at the end.
def test_paper_geometry_has_the_released_sizes():
    model = FCN8s(2, geometry="paper", fc_filters=2, image_size=(500, 500), compile=False)
    assert model.get_layer("upsample_8").output.shape[1] == 568
    assert model.output_shape == (None, 500, 500, 2)


@pytest.fixture(scope="module")
def paper_fcn8s():
    return with_random_scores(FCN8s(2, geometry="paper", fc_filters=8, compile=False))


@pytest.mark.slow
def test_grey_images_get_the_margin_of_grey_colour_images():
    keras.utils.set_random_seed(2)
    grey = with_random_scores(FCN8s(2, geometry="paper", fc_filters=2, in_channels=1, compile=False))
    colour = FCN8s(2, geometry="paper", fc_filters=2, compile=False)
    colour.set_weights(grey.get_weights())
    pixels = np.tile(np.linspace(0, 255, 48, dtype="float32")[None, :, None, None], (1, 1, 64, 1))
    padded = [keras.Model(model.inputs[0], model.get_layer("pad100").output)(image)
              for model, image in ((grey, pixels), (colour, pixels.repeat(3, -1)))]
    np.testing.assert_array_equal(*padded)
    mean = np.asarray(colour.encoder.get_layer("normalize").mean)
    np.testing.assert_allclose(padded[0][0, 0, 0], mean, rtol=1e-6)
    np.testing.assert_array_equal(grey(pixels), colour(pixels.repeat(3, -1)))


def test_paper_geometry_written_out(paper_fcn8s):
    """Caffe's graph by TensorFlow's own operations: pad 100, poolings rounding up, crops at 5, 9 and 31."""
    image = pixels(67, 90)
    encoder = paper_fcn8s.encoder
    weights = lambda name, model=paper_fcn8s: [tf.constant(value) for value in model.get_layer(name).get_weights()]
    features = encoder.get_layer("normalize")(image)
    features, kept = tf.pad(features, [[0, 0], [100, 100], [100, 100], [0, 0]]), {}
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        for index in range(1, count + 1):
            kernel, bias = weights(f"block{stage}_conv{index}", encoder)
            padding = "VALID" if stage == index == 1 else "SAME"
            features = tf.nn.relu(tf.nn.conv2d(features, kernel, 1, padding) + bias)
        features = kept[stage] = tf.nn.max_pool2d(features, 2, 2, "SAME")
    for name in ("fc6", "fc7"):
        kernel, bias = weights(name)
        features = tf.nn.relu(tf.nn.conv2d(features, kernel, 1, "VALID") + bias)
    score = lambda values, stage: tf.nn.conv2d(values, weights(f"score_{stage}")[0], 1, "VALID") + weights(
        f"score_{stage}")[1]
    raised = score(features, "c5")
    for stage, name, offset in ((4, "c4", 5), (3, "c3", 9)):
        raised = transposed(raised, 2)
        height, width = raised.shape[1:3]
        raised = raised + score(kept[stage], name)[:, offset:offset + height, offset:offset + width]
    expected = transposed(raised, 8)[:, 31:31 + 67, 31:31 + 90]
    np.testing.assert_allclose(paper_fcn8s(image), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def transposed(scores, factor):
    batch, height, width, classes = scores.shape
    shape = (batch, (height + 1) * factor, (width + 1) * factor, classes)
    return tf.nn.conv2d_transpose(scores, bilinear_kernel((2 * factor, 2 * factor, classes, classes)), shape, factor,
                                  "VALID")


def test_scores_start_at_zero():
    assert not np.asarray(FCN8s(3, tiny_backbone())(pixels(40, 50))).any()


def test_at_once_scales_the_skips():
    plain, scaled = (with_random_scores(FCN8s(2, tiny_backbone(), at_once=at_once)) for at_once in (False, True))
    scaled.set_weights(plain.get_weights())
    for name, factor in (("score_c4", 0.01), ("score_c3", 0.0001)):
        kernel, bias = scaled.get_layer(name).get_weights()
        scaled.get_layer(name).set_weights([kernel / factor, bias])
    image = pixels(64, 96)
    np.testing.assert_allclose(scaled(image), plain(image), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stride, size", [(32, (33, 66)), (16, (64, 64)), (8, (97, 129))])
def test_any_size_in_the_same_out(stride, size):
    model = with_random_scores(BUILDERS[stride](2, tiny_backbone(), fc_filters=4))
    image = pixels(*size)
    outputs = model(image)
    assert outputs.shape == (1, *size, 2) and outputs.dtype == tf.float32
    np.testing.assert_allclose(model.predict(image, verbose=0), outputs, atol=1e-4)


def test_every_trainable_weight_has_a_gradient():
    model = with_random_scores(FCN8s(2, tiny_backbone(), fc_filters=4, upsampling="learned"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(pixels(64, 64), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_weights)
    assert [weight.path for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
            if gradient is None or not np.abs(gradient).sum() > 0] == []


@pytest.mark.slow
def test_dense_layers_become_convolutions():
    """On 224x224 the middle of the score map sees what VGG16's dense layers see, here of 64 units, and equals them."""
    keras.utils.set_random_seed(0)
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    hidden = keras.layers.Flatten()(base.output)
    for name in ("fc1", "fc2"):
        hidden = keras.layers.Dense(64, activation="relu", name=name)(hidden)
    dense = keras.Model(base.input, keras.layers.Dense(1000, activation="softmax", name="predictions")(hidden))
    model = FCN32s(2, fc_filters=64, compile=False, image_size=(224, 224))
    copy_dense_layers(dense, model)
    for layer in model.encoder.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights(dense.get_layer(layer.name).get_weights())
    image = pixels(224, 224)
    hidden = keras.Model(model.input, model.get_layer("fc7").output)(image)[:, 3, 3]
    normalized = model.encoder.get_layer("normalize")(image)
    expected = dense(normalized)
    np.testing.assert_allclose(dense.get_layer("predictions")(hidden), expected, rtol=1e-4)
    scores = tf.math.log(expected)
    assert np.ptp(scores) > 10 * np.abs(tf.math.log(dense.get_layer("predictions")(hidden)) - scores).max()


def message(call, *arguments, **options):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_error_sentences():
    assert message(FCN8s, 2, "resnet18", geometry="paper") == (
        "`geometry` must be 'same' for another encoder than a VGG, got geometry='paper'. "
        "The paper's crops are those of VGG's poolings.")
    assert message(FCN8s, 2, tiny_backbone((1, 2, 5))) == (
        "`encoder_name` must have the stages c5, c4, c3 for FCN-8s (it lacks c4, c3), got encoder_name='Functional'. "
        "Choose an encoder with five stages, for example 'resnet50'.")
    assert message(FCN8s, 2, "vgg61").endswith("got encoder_name='vgg61'. Did you mean 'vgg19'?")
    assert message(FCN32s, 2, upsampling="none").startswith(
        "`upsampling` must be one of ('frozen', 'intermediate', 'learned'), got upsampling='none'.")
    assert message(FCN32s, 0) == (
        "`classes` must be an integer of at least 2, got classes=0. "
        "Count the classes without the ignore class; background and one kind of object are 2, "
        "or classes=1 with task=\"binary\".")


def test_the_dense_layers_of_torchvision_read_channels_before_rows_and_columns():
    model = FCN32s(2, tiny_backbone(), fc_filters=4, compile=False)
    channels = model.get_layer("fc6").kernel.shape[2]
    random = np.random.default_rng(3)
    arrays = {name: random.standard_normal(shape).astype("float32") for name, shape in {
        "classifier.0.weight": (4, channels * 49), "classifier.0.bias": (4,),
        "classifier.3.weight": (4, 4), "classifier.3.bias": (4,)}.items()}
    copy_torch_dense_layers(arrays, model)
    features = random.standard_normal((1, 7, 7, channels)).astype("float32")
    layer = model.get_layer("fc6")
    found = np.tensordot(features[0], np.asarray(layer.kernel), 3) + np.asarray(layer.bias)
    flat = features[0].transpose(2, 0, 1).reshape(-1)  # as torch.flatten of [C, H, W]
    np.testing.assert_allclose(found, arrays["classifier.0.weight"] @ flat + arrays["classifier.0.bias"], atol=1e-4)
    np.testing.assert_array_equal(model.get_layer("fc7").kernel[0, 0], arrays["classifier.3.weight"].T)
