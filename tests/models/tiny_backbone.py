"""A backbone of a few thousand weights, plugged in as a keras_cv or KerasHub one would be."""

import keras


def tiny_backbone(levels=(1, 2, 3, 4, 5), in_channels=3, normalized=True, width=1):
    """Return a functional model with `pyramid_outputs` of `width` x 8, 12, 16, 20, 24 channels at strides 2 to 32."""
    pixels = keras.Input((None, None, in_channels))
    features, outputs = pixels, {}
    for level in range(1, 6):
        features = keras.layers.Conv2D(width * (4 + 4 * level), 3, strides=2, padding="same", use_bias=not normalized,
                                       kernel_initializer="he_normal")(features)
        if normalized:
            features = keras.layers.BatchNormalization(momentum=0.9)(features)
        features = keras.layers.ReLU()(features)
        if level in levels:
            outputs[f"P{level}"] = features
    model = keras.Model(pixels, features)
    model.pyramid_outputs = outputs
    return model
