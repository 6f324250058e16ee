"""The table of trained segmentation models that can be had by name."""

import dataclasses

_TORCHVISION = "https://download.pytorch.org/models/"
_MMSEGMENTATION = "https://download.openmmlab.com/mmsegmentation/v0.5/"


@dataclasses.dataclass(frozen=True)
class Published:
    """One trained model.

    Args:
        name: str, "LIBRARY/NETWORK".
        url: str, its checkpoint, the end of whose name is the beginning of its SHA-256; or the address of a preset of
            KerasHub ("kaggle://…"), which keras_hub downloads.
        data: str, what it was trained on and scored on.
        label_set: str, the `LabelSet` of its classes, a name of `kseg.data.label_set`.
        classes: int.
        mean_iou: float, mean intersection over union as its authors publish it, at one scale.
        licence: str, of the weights as published.
    """

    name: str
    url: str
    data: str
    label_set: str
    classes: int
    mean_iou: float
    licence: str


def _torchvision(network, file, mean_iou):
    # Trained on the images of COCO that show one of PASCAL VOC's classes; scored on those of its validation set.
    return Published(f"torchvision/{network}", f"{_TORCHVISION}{file}.pth", "COCO, VOC's classes", "voc2012", 21,
                     mean_iou, "BSD-3-Clause")


def _mmsegmentation(family, depth, schedule, stamp, mean_iou, data="cityscapes"):
    size, classes = ("512x1024", 19) if data == "cityscapes" else ("512x512", 150)
    run = f"{family}_r{depth}-d8_{size}_{schedule}_{data}"
    return Published(f"mmsegmentation/{family}_r{depth}_{data}", f"{_MMSEGMENTATION}{family}/{run}/{run}_{stamp}.pth",
                     {"cityscapes": "Cityscapes", "ade20k": "ADE20K"}[data], data, classes, mean_iou, "Apache-2.0")


_ROWS = (
    _torchvision("deeplabv3_resnet50", "deeplabv3_resnet50_coco-cd0a2569", 0.664),
    _torchvision("deeplabv3_resnet101", "deeplabv3_resnet101_coco-586e9e4e", 0.674),
    _torchvision("deeplabv3_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large-fc3c493d", 0.603),
    _torchvision("fcn_resnet50", "fcn_resnet50_coco-1167a1af", 0.605),
    _torchvision("fcn_resnet101", "fcn_resnet101_coco-7ecb50ca", 0.637),
    _mmsegmentation("pspnet", 50, "80k", "20200606_112131-2376f12b", 0.7855),
    _mmsegmentation("pspnet", 101, "80k", "20200606_112211-e1e1100f", 0.7976),
    _mmsegmentation("deeplabv3", 50, "80k", "20200606_113404-b92cfdd4", 0.7932),
    _mmsegmentation("deeplabv3", 101, "80k", "20200606_113503-9e428899", 0.8020),
    _mmsegmentation("deeplabv3plus", 50, "80k", "20200606_114049-f9fb496d", 0.8009),
    _mmsegmentation("deeplabv3plus", 101, "80k", "20200606_114143-068fcfe9", 0.8097),
    _mmsegmentation("fcn", 50, "80k", "20200606_113019-03aa804d", 0.7361),
    _mmsegmentation("fcn", 101, "80k", "20200606_113038-3fb937eb", 0.7513),
    _mmsegmentation("pspnet", 50, "160k", "20200615_184358-1890b0bd", 0.4248, "ade20k"),
    _mmsegmentation("pspnet", 101, "160k", "20200615_100650-967c316f", 0.4439, "ade20k"),
    _mmsegmentation("deeplabv3", 50, "160k", "20200615_123227-5d0ee427", 0.4266, "ade20k"),
    _mmsegmentation("deeplabv3", 101, "160k", "20200615_105816-b1f72b3b", 0.4500, "ade20k"),
    _mmsegmentation("deeplabv3plus", 50, "160k", "20200615_124504-6135c7e0", 0.4395, "ade20k"),
    _mmsegmentation("deeplabv3plus", 101, "160k", "20200615_123232-38ed86bb", 0.4547, "ade20k"),
    _mmsegmentation("fcn", 50, "160k", "20200615_100713-4edbc3b4", 0.3610, "ade20k"),
    _mmsegmentation("fcn", 101, "160k", "20200615_105816-fd192bd5", 0.3991, "ade20k"),
    Published("kerashub/deeplab_v3_plus_resnet50_pascalvoc",
              "kaggle://keras/deeplabv3plus/keras/deeplab_v3_plus_resnet50_pascalvoc/4", "VOC 2012 and SBD", "voc2012",
              21, 0.63, "see its page on Kaggle"),
)
PUBLISHED = {row.name: row for row in _ROWS}
