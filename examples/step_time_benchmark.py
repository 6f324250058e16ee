"""Seconds a step of the default PSPNet, beside KerasHub's DeepLabV3+ and segmentation_models.pytorch, in one run.

    python examples/step_time_benchmark.py --peer-python /path/to/python-with-torch-and-smp

The networks are not the same: kseg's PSPNet runs its encoder at output stride 8 as the paper does, KerasHub's
DeepLabV3+ at 32, and smp's PSPNet stops at the third stage. smp's DeepLabV3 (output stride 8) is the nearest to ours.
KerasHub is timed if it is installed. All have a ResNet50 and 21 classes; weights are random.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np

TORCH_PROGRAM = r"""
import json, sys, time, warnings
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import segmentation_models_pytorch as smp
warnings.filterwarnings("ignore")
size, batch, repeats = (int(value) for value in sys.argv[1:4])
torch.set_num_threads(2)
results = {}
for name in ("PSPNet", "DeepLabV3", "DeepLabV3Plus", "Unet"):
    model = getattr(smp, name)("resnet50", encoder_weights=None, classes=21).to(memory_format=torch.channels_last)
    pixels = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 21, (batch, size, size))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loss = torch.nn.CrossEntropyLoss(ignore_index=255)
    def step():
        optimizer.zero_grad()
        loss(model(pixels), labels).backward()
        optimizer.step()
    model.train()
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter(); step(); times.append(time.perf_counter() - start)
    model.eval()
    single, inference = pixels[:1], []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            start = time.perf_counter(); model(single); inference.append(time.perf_counter() - start)
    results["smp " + name] = [times[1:], inference[2:]]
print(json.dumps(results))
"""


def time_keras(model, size, batch, repeats):
    """Return (seconds of each training step, seconds of each single-image inference)."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    pixels = tf.constant(random.integers(0, 255, (batch, size, size, 3)).astype("float32"))
    labels = tf.constant(random.integers(0, 21, (batch, size, size)).astype("int32"))
    model.make_train_function()
    training = _timed(lambda: model.train_function(iter([(pixels, labels)])), repeats, 1)
    predict = tf.function(lambda values: model(values, training=False))
    return training, _timed(lambda: np.asarray(predict(pixels[:1])), repeats, 2)


def _timed(function, repeats, warm):
    times = []
    for _ in range(repeats + warm):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times[warm:]


def keras_hub_model():
    """Return KerasHub's DeepLabV3+ on ResNet50, compiled as ours, or None where KerasHub is not installed."""
    try:
        import keras_hub
    except ImportError:
        return None
    import keras

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3], stackwise_num_strides=[1, 2, 2, 2], block_type="bottleneck_block",
        use_pre_activation=False, image_shape=(256, 256, 3))
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder, spatial_pyramid_pooling_key="P5", low_level_feature_key="P2", upsampling_size=8,
        dilation_rates=[6, 12, 18], projection_filters=48, image_shape=(256, 256, 3))
    model = keras_hub.models.DeepLabV3ImageSegmenter(backbone=backbone, num_classes=21, activation=None)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3),
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255), metrics=[])
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="python that has torch and segmentation_models_pytorch")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    from kseg.models import PSPNet

    results = {"kseg PSPNet": time_keras(PSPNet(21), arguments.size, arguments.batch, arguments.repeats)}
    peer = keras_hub_model() if arguments.size == 256 else None
    if peer is not None:
        results["KerasHub DeepLabV3Plus"] = time_keras(peer, arguments.size, arguments.batch, arguments.repeats)
    if arguments.peer_python:
        command = [arguments.peer_python, "-c", TORCH_PROGRAM, str(arguments.size), str(arguments.batch),
                   str(arguments.repeats)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.update(json.loads(output.splitlines()[-1]))
    ours = [statistics.median(times) for times in results["kseg PSPNet"]]
    print(f"{arguments.size}x{arguments.size}; training: batch {arguments.batch}, inference: one image; median "
          f"(least-greatest) of {arguments.repeats}; ratio = kseg PSPNet / the other")
    for name, pair in results.items():
        shown = [f"{statistics.median(times) * 1e3:7.0f} ms ({min(times) * 1e3:.0f}-{max(times) * 1e3:.0f})  "
                 f"ratio {own / statistics.median(times):5.2f}" for times, own in zip(pair, ours)]
        print(f"{name:24s} training {shown[0]}   inference {shown[1]}")


if __name__ == "__main__":
    sys.exit(main())
