"""Make `encoder_*.npz`: what the encoders of torchvision, timm and smp answer on drawn weights and a drawn picture.

Each file holds the names and shapes of the network's arrays, and of its features at each size the shape, the largest
magnitude and a sample; the test draws the same weights. Run in an environment with torch, torchvision, timm and smp
(kseg needs none of them), for all files or some:

    python tests/data/golden/make_encoders.py [FILE ...]

The checked-in files were made with torch 2.13.0, torchvision 0.28.0, timm 1.0.31 and smp 0.6.0 on a CPU.
"""

import json
import os
import sys

import numpy as np
from weights import draw_all, picture, sample

FOLDER = os.path.dirname(os.path.abspath(__file__))
SIZES = ((97, 129), (128, 128), (225, 225))
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
MINUS_ONE_TO_ONE = ((127.5,) * 3, (127.5,) * 3)
GOOGLE_LITE = ((127.0,) * 3, (128.0,) * 3)


def ends(*modules, **more):
    """Return the module at the end of each stage: c1… of `modules`; "relu:" or "silu:" before one is applied to it."""
    return {**{f"c{stage}": module for stage, module in enumerate(modules, 6 - len(modules))}, **more}


def inside(form, *places):
    """Return `ends` of modules that differ in a number."""
    return ends(*(form.format(place) for place in places))


TIMM_EFFICIENTNET = inside("blocks.{}", 0, 1, 2, 4, 6)
TORCHVISION_EFFICIENTNET = inside("features.{}", 1, 2, 3, 5, 7)
TORCHVISION_MOBILENET_V2 = inside("features.{}", 1, 3, 6, 13, 18)
TIMM_V3_LARGE = inside("blocks.{}", 0, 1, 2, 4, 6)
DENSENET = ends("features.relu0", *(f"features.transition{index}.relu" for index in (1, 2, 3)), "relu:features.norm5")
NETWORKS = {  # file -> library, its name, what it reads, the ends of its stages
    "torchvision_mobilenet_v2": ("torchvision", "mobilenet_v2", IMAGENET, TORCHVISION_MOBILENET_V2),
    "timm_mobilenetv2_100": ("timm", "mobilenetv2_100", IMAGENET,
                             ends("blocks.0", "blocks.1", "blocks.2", "blocks.4", "bn2")),
    "smp_mobilenet_v2": ("smp", "mobilenet_v2", IMAGENET, TORCHVISION_MOBILENET_V2),
    "timm_tf_efficientnet_lite0": ("timm", "tf_efficientnet_lite0", MINUS_ONE_TO_ONE, TIMM_EFFICIENTNET),
    "timm_efficientnet_lite0": ("timm", "efficientnet_lite0", IMAGENET, TIMM_EFFICIENTNET),
    "timm_tf_efficientnet_b0": ("timm", "tf_efficientnet_b0", IMAGENET, TIMM_EFFICIENTNET),
    "timm_efficientnet_b0": ("timm", "efficientnet_b0", IMAGENET, TIMM_EFFICIENTNET),
    "smp_efficientnet_b0": ("smp", "efficientnet-b0", IMAGENET,
                            ends("silu:_bn0", *(f"_blocks.{index}" for index in (2, 4, 8, 15)))),
    "torchvision_efficientnet_b0": ("torchvision", "efficientnet_b0", IMAGENET, TORCHVISION_EFFICIENTNET),
    "torchvision_efficientnet_b5": ("torchvision", "efficientnet_b5", IMAGENET, TORCHVISION_EFFICIENTNET),
    "torchvision_vgg16": ("torchvision", "vgg16", IMAGENET, inside("features.{}", 4, 9, 16, 23, 30)),
    "torchvision_vgg19": ("torchvision", "vgg19", IMAGENET, inside("features.{}", 4, 9, 18, 27, 36)),
    "torchvision_vgg16_bn": ("torchvision", "vgg16_bn", IMAGENET, inside("features.{}", 6, 13, 23, 33, 43)),
    "torchvision_vgg19_bn": ("torchvision", "vgg19_bn", IMAGENET, inside("features.{}", 6, 13, 26, 39, 52)),
    "smp_vgg16": ("smp", "vgg16", IMAGENET, inside("features.{}", 8, 15, 22, 29, 30)),
    "smp_vgg16_bn": ("smp", "vgg16_bn", IMAGENET, inside("features.{}", 12, 22, 32, 42, 43)),
    "torchvision_densenet121": ("torchvision", "densenet121", IMAGENET, DENSENET),
    "smp_densenet121": ("smp", "densenet121", IMAGENET, DENSENET),
    "torchvision_mobilenet_v3_large": ("torchvision", "mobilenet_v3_large", IMAGENET,
                                       inside("features.{}", 1, 3, 6, 12, 16)),
    "torchvision_mobilenet_v3_small": ("torchvision", "mobilenet_v3_small", IMAGENET,
                                       inside("features.{}", 0, 1, 3, 8, 12)),
    "timm_mobilenetv3_large_100": ("timm", "mobilenetv3_large_100", IMAGENET, TIMM_V3_LARGE),
    "timm_tf_mobilenetv3_large_100": ("timm", "tf_mobilenetv3_large_100", MINUS_ONE_TO_ONE, TIMM_V3_LARGE),
    "timm_mobilenetv3_small_100": ("timm", "mobilenetv3_small_100", IMAGENET,
                                   ends("bn1", "blocks.0", "blocks.1", "blocks.3", "blocks.5")),
    "torchvision_convnext_tiny": ("torchvision", "convnext_tiny", IMAGENET, inside("features.{}", 1, 3, 5, 7)),
    "timm_convnext_tiny": ("timm", "convnext_tiny", IMAGENET, inside("stages.{}", 0, 1, 2, 3)),
    "smp_xception": ("smp", "xception", MINUS_ONE_TO_ONE,
                     ends("relu:bn2", "relu:block1", "relu:block2", "relu:block11", "relu:bn4")),
    "smp_mit_b0": ("smp", "mit_b0", IMAGENET, inside("norm{}", 1, 2, 3, 4)),
}
# At 1, torch's float32 is off its own float64 by 0.1 in B5, 2e-3 in timm's MobileNetV3, 1e-4 in MobileNetV2.
GAINS = dict.fromkeys(("torchvision_efficientnet_b5", *(
    file for file in NETWORKS if "mobilenetv2" in file or "mobilenet_v2" in file or "v3_large" in file
    or "lite0" in file)), 0.8)


def build(library, name, gain):
    """Return the network with drawn weights, in evaluation mode, and the shapes of its arrays by full name."""
    import torch

    prefix = ""
    if library == "timm":
        import timm

        network = timm.create_model(name, pretrained=False)
    elif library == "smp":
        import segmentation_models_pytorch as smp

        network, prefix = smp.encoders.get_encoder(name, weights=None), "encoder."
    else:
        import torchvision

        network = getattr(torchvision.models, name)(weights=None)
    shapes = {prefix + key: list(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key.removeprefix(prefix): torch.from_numpy(np.asarray(value))
                             for key, value in draw_all(shapes, gain).items()})
    return network.eval(), shapes


def features_of(network, pixels, scale, stages):
    """Return the stages `[H, W, C]` of uint8 `pixels`."""
    import torch

    seen = {}

    def hook(key, activation):
        def keep(_, __, output):
            seen[key] = getattr(torch.nn.functional, activation)(output) if activation else output.clone()
        return keep

    modules, handles = dict(network.named_modules()), []
    for key, place in stages.items():
        activation, _, module = place.rpartition(":")
        handles.append(modules[module].register_forward_hook(hook(key, activation)))
    mean, std = (np.array(values, "float32") for values in scale)
    values = (pixels.astype("float32") - mean) / std
    with torch.no_grad():
        network(torch.from_numpy(values.transpose(2, 0, 1)[None].copy()))
    for handle in handles:
        handle.remove()
    return {key: value[0].numpy().transpose(1, 2, 0) for key, value in seen.items()}


def main(files):
    """Write one file per network."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # torchvision's compiled ones are not needed
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for file in files or NETWORKS:
        origin, name, scale, stages = NETWORKS[file]
        gain = GAINS.get(file, 1.0)
        network, shapes = build(origin, name, gain)
        stages_seen, values = {}, []
        for height, width in SIZES:
            if origin == "smp":  # its forward pass refuses other sizes; its modules do not
                network.check_input_shape = lambda _: None
            for key, value in features_of(network, picture(height, width), scale, stages).items():
                stages_seen[f"{height}x{width}/{key}"] = (value.shape, float(np.abs(value).max()))
                values.append(sample(value, 4))
        facts = json.dumps({"arrays": shapes, "gain": gain, "stages": stages_seen})
        np.savez_compressed(os.path.join(FOLDER, f"encoder_{file}.npz"), facts=np.frombuffer(facts.encode(), "uint8"),
                            values=np.stack(values))


if __name__ == "__main__":
    main(sys.argv[1:])
