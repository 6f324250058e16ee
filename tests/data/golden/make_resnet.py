"""Make `resnet_*.npz`: what the ResNets of torchvision and timm answer on drawn weights and a drawn picture.

Each file holds the network's names and shapes, and a sample of its features at each size; the test draws the same
weights. Run once, in an environment with torch, torchvision and timm (kseg needs none of them):

    python tests/data/golden/make_resnet.py

The checked-in files were made with torch 2.13.0, torchvision 0.28.0 and timm 1.0.31 on a CPU.
"""

import json
import os

import numpy as np
from weights import draw_all, picture, sample

FOLDER = os.path.dirname(os.path.abspath(__file__))
SIZES = ((97, 129), (128, 128), (225, 225))
DILATED = {"replace_stride_with_dilation": [False, True, True]}
NETWORKS = {  # kseg's name -> library, its name, options; the output stride follows "_at_"
    "resnet18": ("torchvision", "resnet18", {}),
    "resnet34": ("torchvision", "resnet34", {}),
    "resnet50": ("torchvision", "resnet50", {}),
    "resnet101": ("torchvision", "resnet101", {}),
    "resnet152": ("torchvision", "resnet152", {}),
    "resnet50_at_8": ("torchvision", "resnet50", DILATED),
    "resnet101_at_8": ("torchvision", "resnet101", DILATED),
    "resnet50deep": ("timm", "resnet50s", {}),
    "resnet50v1c": ("timm", "resnet50c", {}),
}
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def build(library, name, options):
    """Return the network with drawn weights, in evaluation mode, and the shapes of its arrays."""
    import torch

    if library == "timm":
        import timm

        network = timm.create_model(name, pretrained=False, **options)
    else:
        import torchvision

        network = getattr(torchvision.models, name)(weights=None, **options)
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in draw_all(shapes).items()})
    return network.eval(), shapes


def features_of(network, pixels):
    """Return c1…c5 `[H, W, C]` of uint8 `pixels`, read at the modules that end the stages."""
    import torch

    seen = {}
    ends = {"c1": network.act1 if hasattr(network, "act1") else network.relu,
            **{f"c{stage + 1}": getattr(network, f"layer{stage}") for stage in (1, 2, 3, 4)}}
    hooks = [module.register_forward_hook(lambda _, __, output, key=key: seen.update({key: output.clone()}))
             for key, module in ends.items()]
    values = (pixels.astype("float32") - np.array(MEAN, "float32")) / np.array(STD, "float32")
    with torch.no_grad():
        network(torch.from_numpy(values.transpose(2, 0, 1)[None].copy()))
    for hook in hooks:
        hook.remove()
    return {key: value[0].numpy().transpose(1, 2, 0) for key, value in seen.items()}


def main():
    """Write one file per network."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # torchvision's compiled ones are not needed
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name, source in NETWORKS.items():
        network, shapes = build(*source)
        answers = {"shapes": np.frombuffer(json.dumps(shapes).encode(), "uint8")}
        for height, width in SIZES:
            for key, value in features_of(network, picture(height, width)).items():
                answers[f"{height}x{width}/{key}/shape"] = np.array(value.shape, "int32")
                answers[f"{height}x{width}/{key}"] = sample(value)
        np.savez_compressed(os.path.join(FOLDER, f"resnet_{name}.npz"), **answers)


if __name__ == "__main__":
    main()
