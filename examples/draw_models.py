"""Draw every family as its builder makes it, into docs/architectures.

    python examples/draw_models.py            # all
    python examples/draw_models.py UNet FCN8s

Each picture is of the graph that the builder returns, for the 21 classes of PASCAL VOC.
"""

import pathlib
import sys

import keras

import kseg

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "architectures"
# picture -> builder, title, and arguments that differ from the defaults, where these are not the paper's figure
PICTURES = {
    "fcn32s": ("FCN32s", "FCN-32s on VGG-16", {}),
    "fcn16s": ("FCN16s", "FCN-16s on VGG-16", {}),
    "fcn8s": ("FCN8s", "FCN-8s on VGG-16", {}),
    "segnet": ("SegNet", "SegNet on VGG-16", {}),
    "segnet_basic": ("SegNetBasic", "SegNet-Basic", {}),
    "unet": ("UNet", "U-Net of 2015", {}),
    "unet_resnet34": ("UNet", "U-Net on ResNet-34", {"encoder_name": "resnet34"}),
    "deeplab_v1": ("DeepLabV1", "DeepLab v1 (LargeFOV) on VGG-16", {}),
    "deeplab_v2": ("DeepLabV2", "DeepLab v2 on ResNet-101", {}),
    "deeplab_v3": ("DeepLabV3", "DeepLab v3 on ResNet-50", {}),
    "deeplab_v3_plus": ("DeepLabV3Plus", "DeepLab v3+ on ResNet-50", {}),
    "refinenet": ("RefineNet", "RefineNet on ResNet-101", {}),
    "pspnet": ("PSPNet", "PSPNet on ResNet-50", {"aux": True}),
    "dilated_fcn": ("DilatedFCN", "Dilated FCN on ResNet-50", {"aux": True}),
}


def main():
    """Draw the pictures whose builders are named on the command line, or all."""
    for picture, (builder, title, arguments) in PICTURES.items():
        if len(sys.argv) == 1 or builder in sys.argv[1:]:
            model = getattr(kseg.models, builder)(21, compile=False, **arguments)
            print(kseg.models.draw(model, FOLDER / f"{picture}.svg", title=title))
            del model
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
