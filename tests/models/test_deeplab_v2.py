"""DeepLab v2: summed branches against loops, several scales against one, counts of the paper."""

import keras
import numpy as np
import pytest

from kseg.layers.multi_scale import ScaleImages
from kseg.models import DeepLabV2
from tests.conftest import structured_image, without_values
from tests.models.test_deeplab import counts, tiny_encoder


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr("kseg.models.assembly.build_encoder", tiny_encoder)


@pytest.mark.parametrize("encoder_name, expected", [
    ("vgg16", (37_877_652, 0)),
    ("resnet101", (44_048_532, 105_344)),
])
def test_counts(encoder_name, expected):
    assert counts(without_values(DeepLabV2, 21, encoder_name, compile=False)) == expected


def test_resnet_is_dilated_as_in_the_paper():
    encoder = without_values(DeepLabV2, 2, "kerasresnet50", compile=False).encoder
    assert {encoder.get_layer(f"conv4_block{unit}_2_conv").dilation_rate[0] for unit in range(1, 7)} == {2}
    assert {encoder.get_layer(f"conv5_block{unit}_2_conv").dilation_rate[0] for unit in range(1, 4)} == {4}
    assert encoder.get_layer("conv3_block1_1_conv").strides == (2, 2)  # on the first 1x1, as MSRA trained it


def test_scores_are_the_sum_of_four_convolutions(tiny):
    head = DeepLabV2(3, "resnet18", rates=(1, 2, 3, 6)).get_layer("head")
    features = np.random.RandomState(0).standard_normal((9, 11, 8)).astype("float32")
    for index in range(1, 5):
        head.get_layer(f"aspp{index}").bias.assign([index, 0.5, -1])
    expected = np.zeros((9, 11, 3))
    for index, rate in enumerate((1, 2, 3, 6), 1):
        kernel, bias = head.get_layer(f"aspp{index}").get_weights()
        expected += bias
        for row in range(9):
            for column in range(11):
                for i in range(3):
                    for j in range(3):
                        y, x = row + (i - 1) * rate, column + (j - 1) * rate
                        if 0 <= y < 9 and 0 <= x < 11:
                            expected[row, column] += features[y, x] @ kernel[i, j]
    np.testing.assert_allclose(head(features[None])[0], expected, atol=1e-5)


def test_several_scales_are_the_maximum_of_one(tiny, tmp_path):
    import tensorflow as tf

    single = DeepLabV2(3, "resnet18", compile=False)
    several = DeepLabV2(3, "resnet18", scales=(0.5, 0.75, 1.0), compile=False)
    several.set_weights(single.get_weights())
    pixels = structured_image(97, 130)[None].astype("float32")
    encoder, head = single.encoder, single.get_layer("head")
    maps = [head(encoder(tf.image.resize(pixels, size))["c5"]) for size in ((97, 130), (73, 98), (49, 65))]
    fused = np.maximum.reduce([tf.image.resize(scores, maps[0].shape[1:3]).numpy() for scores in maps])
    expected = tf.image.resize(fused, (97, 130))
    np.testing.assert_allclose(several(pixels), expected, atol=1e-4)
    np.testing.assert_allclose(several.predict(pixels, verbose=0), expected, atol=1e-4)
    assert np.abs(several(pixels) - single(pixels)).max() > 1e-3
    several.save(tmp_path / "several.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "several.keras")(pixels), several(pixels))


def test_several_scales_train(tiny):
    model = DeepLabV2(2, "resnet18", scales=(0.5, 1.0))
    pixels = structured_image(40, 56)[None].repeat(2, axis=0)
    labels = (pixels[..., 0] > 128).astype("int32")
    before = [weight.numpy().copy() for weight in model.trainable_variables]
    model.fit(pixels, labels, batch_size=2, verbose=0)
    assert all(np.abs(weight.numpy() - old).max() > 0 for weight, old in zip(model.trainable_variables, before))


def test_each_scale_has_a_loss_of_its_own(tiny):
    model = DeepLabV2(2, "resnet18", scales=(0.5, 0.75, 1.0))
    pixels = structured_image(40, 56)[None].astype("float32")
    labels = (pixels[..., 0] > 128).astype("int32")
    fused, *each = (outputs.numpy() for outputs in model(pixels, training=True))
    assert len(each) == 3
    np.testing.assert_allclose(fused, model(pixels), atol=1e-4)

    def cross_entropy(logits):
        probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return -np.log(np.take_along_axis(probabilities, labels[..., None], -1)).mean()

    expected = cross_entropy(fused) + sum(map(cross_entropy, each))
    np.testing.assert_allclose(model.train_on_batch(pixels, labels, return_dict=True)["loss"], expected, rtol=1e-5)
    fused_alone = DeepLabV2(2, "resnet18", scales=(0.5, 1.0), scale_losses=False, compile=False)
    assert len(fused_alone.outputs) == 1


def test_vgg_branches_are_fully_connected_layers():
    model = DeepLabV2(3, "vgg16", filters=8, compile=False)
    head = model.get_layer("head")
    assert [head.get_layer(f"fc6_{index}").dilation_rate[0] for index in (1, 2, 3, 4)] == [6, 12, 18, 24]
    assert model(structured_image(33, 50)[None]).shape == (1, 33, 50, 3)


@pytest.mark.parametrize("size, scale, expected", [((97, 129), 0.75, (73, 97)), ((97, 130), 0.5, (49, 65)),
                                                   ((3, 3), 0.1, (1, 1)), ((64, 48), 1.25, (80, 60))])
def test_scaled_size(size, scale, expected):
    import tensorflow as tf

    layer = ScaleImages(scale)
    image = structured_image(*size)[None].astype("float32")
    assert layer(image).shape == (1, *expected, 3) == layer.compute_output_shape((1, *size, 3))
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    np.testing.assert_allclose(unknown(image), tf.image.resize(image, expected), atol=1e-4)
    assert ScaleImages.from_config(layer.get_config()).scale == scale


@pytest.mark.parametrize("options, message", [
    ({"scales": ()}, "`scales` must be a tuple of at least one number, got scales=(). "
                     "The paper's is scales=(0.5, 0.75, 1.0)."),
    ({"scales": (0, 1)}, "`scales` must be a number between 0.1 and 4, got scales=0. "
                         "The paper's are scales=(0.5, 0.75, 1.0)."),
    ({"rates": 6}, "`rates` must be a tuple of at least one number, got rates=6. "
                   "The paper's is rates=(6, 12, 18, 24)."),
    ({"encoder_name": "vgg16", "output_stride": 16},
     "`output_stride` must be one of (8,) for encoder 'vgg16' of DeepLab v1 and v2, got output_stride=16. "
     "Use 8, or another encoder."),
    pytest.param({"encoder_name": "mitb0", "output_stride": 32, "image_size": (64, 64), "scales": (0.5, 1.0)},
                 "`scales` must be (1,) for an encoder of one image size, got scales=(0.5, 1.0). "
                 "Average over scales in kseg.predict instead.", marks=pytest.mark.slow),
])
def test_bad_input(options, message):
    with pytest.raises(ValueError) as caught:
        DeepLabV2(**{"classes": 2, "encoder_name": "resnet18", **options})
    assert str(caught.value) == message


def test_rates_halve_at_16_and_warn(tiny):
    with pytest.warns(UserWarning) as caught:
        model = DeepLabV2(2, "resnet18", output_stride=16, image_size=(160, 320))
    head = model.get_layer("head")
    assert [head.get_layer(f"aspp{index}").dilation_rate[0] for index in (1, 2, 3, 4)] == [3, 6, 9, 12]
    assert [str(warning.message) for warning in caught] == [
        "`rates` must stay smaller than the feature map of 10x20 at output stride 16 (too large: 12), "
        "got rates=(3, 6, 9, 12). Taps beyond it read padding alone: use larger images or smaller rates."]
