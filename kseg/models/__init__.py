"""Model builders: each returns a functional `keras.Model`, pixels to logits."""

from kseg._lazy import attach

_PUBLIC = {
    "DeepLabV1": "kseg.models.deeplab_v1",
    "DeepLabV2": "kseg.models.deeplab_v2",
    "DeepLabV3": "kseg.models.deeplab",
    "DeepLabV3Plus": "kseg.models.deeplab",
    "FCN16s": "kseg.models.fcn",
    "FCN32s": "kseg.models.fcn",
    "FCN8s": "kseg.models.fcn",
    "PSPNet": "kseg.models.pspnet",
    "RefineNet": "kseg.models.refinenet",
    "SegNet": "kseg.models.segnet",
    "SegNetBasic": "kseg.models.segnet",
    "Segmenter": "kseg.models.segmenter",
    "UNet": "kseg.models.unet",
}
BUILDERS = ("FCN32s", "FCN16s", "FCN8s", "SegNet", "SegNetBasic", "UNet", "DeepLabV1", "DeepLabV2", "DeepLabV3",
            "DeepLabV3Plus", "RefineNet", "PSPNet")
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
