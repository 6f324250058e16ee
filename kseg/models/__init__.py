"""Model builders: each returns a functional `keras.Model`, pixels to logits."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.models.deeplab import DeepLabV3 as DeepLabV3
    from kseg.models.deeplab import DeepLabV3Plus as DeepLabV3Plus
    from kseg.models.deeplab_v1 import DeepLabV1 as DeepLabV1
    from kseg.models.deeplab_v2 import DeepLabV2 as DeepLabV2
    from kseg.models.diagram.draw import draw as draw
    from kseg.models.dilated_fcn import DilatedFCN as DilatedFCN
    from kseg.models.fcn import FCN8s as FCN8s
    from kseg.models.fcn import FCN16s as FCN16s
    from kseg.models.fcn import FCN32s as FCN32s
    from kseg.models.pspnet import PSPNet as PSPNet
    from kseg.models.refinenet import RefineNet as RefineNet
    from kseg.models.segmenter import Segmenter as Segmenter
    from kseg.models.segnet import SegNet as SegNet
    from kseg.models.segnet import SegNetBasic as SegNetBasic
    from kseg.models.unet import UNet as UNet

_PUBLIC = {
    "DeepLabV1": "kseg.models.deeplab_v1",
    "DeepLabV2": "kseg.models.deeplab_v2",
    "DeepLabV3": "kseg.models.deeplab",
    "DeepLabV3Plus": "kseg.models.deeplab",
    "DilatedFCN": "kseg.models.dilated_fcn",
    "FCN16s": "kseg.models.fcn",
    "FCN32s": "kseg.models.fcn",
    "FCN8s": "kseg.models.fcn",
    "PSPNet": "kseg.models.pspnet",
    "RefineNet": "kseg.models.refinenet",
    "SegNet": "kseg.models.segnet",
    "SegNetBasic": "kseg.models.segnet",
    "Segmenter": "kseg.models.segmenter",
    "UNet": "kseg.models.unet",
    "draw": "kseg.models.diagram.draw",
}
BUILDERS = ("FCN32s", "FCN16s", "FCN8s", "SegNet", "SegNetBasic", "UNet", "DeepLabV1", "DeepLabV2", "DeepLabV3",
            "DeepLabV3Plus", "RefineNet", "PSPNet", "DilatedFCN")
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
