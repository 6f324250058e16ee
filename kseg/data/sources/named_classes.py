"""Published classes and the colours or ids of their masks by name: `classes="isprs"`."""

import numpy as np

from kseg import checks
from kseg.data.colours import VOC_BORDER
from kseg.data.label_ids import ILLEGAL, Key
from kseg.data.sources import camvid, cityscapes, voc2012
from kseg.labels import IGNORE_CLASS, LabelSet

# ISPRS's benchmark of Vaihingen and Potsdam; black are the borders that its eroded masks leave out.
_ISPRS = {"impervious surface": (255, 255, 255), "building": (0, 0, 255), "low vegetation": (0, 255, 255),
          "tree": (0, 255, 0), "car": (255, 255, 0), "clutter": (255, 0, 0)}
# Wang et al., LoveDA, NeurIPS 2021, arXiv:2110.08733: stored 0 is no data, all else is shifted by one.
_LOVEDA = {"background": (255, 255, 255), "building": (255, 0, 0), "road": (255, 255, 0), "water": (0, 0, 255),
           "barren": (159, 129, 183), "forest": (0, 255, 0), "agriculture": (255, 195, 128)}
# CamVid's 32 colours, those that SegNet's classes join in one row; black is void.
_CAMVID = {
    "sky": ((128, 128, 128),),  # sky
    "building": ((128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0)),  # archway, bridge, tunnel, wall
    "pole": ((192, 192, 128), (0, 0, 64)),  # column or pole, traffic cone
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),  # lane markings, drivable or not
    "pavement": ((60, 40, 222), (0, 0, 192), (64, 192, 128), (128, 128, 192)),  # SegNet's, sidewalk, parking, shoulder
    "tree": ((128, 128, 0), (192, 192, 0)),  # tree, other vegetation
    "sign": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),  # sign, text, traffic light
    "fence": ((64, 64, 128),),
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),  # pickup, bus, train …
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),  # child, pram or cart, animal
    "bicyclist": ((0, 128, 192), (192, 0, 192)),  # bicyclist, motorcycle
}
# The colours of Cityscapes' void labels; polegroup has the colour of pole, the licence plate that of car.
_CITYSCAPES_VOID = ((0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180),
                    (150, 100, 100), (150, 120, 90), (0, 0, 90), (0, 0, 110))


def _isprs():
    label_set = LabelSet(tuple(_ISPRS), np.array(list(_ISPRS.values())))
    return label_set, {**_colours(label_set), (0, 0, 0): IGNORE_CLASS}


def _loveda():
    label_set = LabelSet(tuple(_LOVEDA), np.array(list(_LOVEDA.values())))
    return label_set, {0: IGNORE_CLASS, **{index + 1: index for index in range(len(label_set))}}


def _camvid():
    label_set, table = camvid.CamVidSource.LABELS, camvid.CamVidSource.TABLE
    colours = {colour: label_set.names.index(name) for name, row in _CAMVID.items() for colour in row}
    return label_set, {**_values(table), **colours, (0, 0, 0): IGNORE_CLASS}


def _cityscapes():  # colours alone: of ids nobody knows whether they are label ids or train ids
    label_set = cityscapes.CityscapesSource.LABELS
    return label_set, {**_colours(label_set), **dict.fromkeys(_CITYSCAPES_VOID, IGNORE_CLASS)}


def _voc2012():
    label_set, table = voc2012.VOC2012Source.LABELS, voc2012.VOC2012Source.TABLE
    return label_set, {**_values(table), **_colours(label_set), VOC_BORDER: IGNORE_CLASS}


def _values(table):
    return {stored: int(class_id) for stored, class_id in enumerate(table) if class_id != ILLEGAL}


def _colours(label_set):
    return {tuple(colour): class_id for class_id, colour in enumerate(label_set.palette.tolist())}


_SETS = {"camvid": _camvid, "cityscapes": _cityscapes, "isprs": _isprs, "loveda": _loveda, "voc2012": _voc2012}
NAMES = tuple(_SETS)


def named(name: str) -> tuple[LabelSet, dict[Key, int]]:
    """Return the classes of a published dataset, and the `label_map` of its masks.

    Args:
        name: "camvid" (32 colours, or SegNet's ids, to 11 classes and void), "cityscapes" (the colours, to the 19 that
            are evaluated and void), "isprs" (six colours, black ignored), "loveda" (ids 0 to 7, 0 ignored) or "voc2012"
            (ids or the palette's 21 colours, the border ignored).
    Raises:
        ValueError: if it is none of these.
    """
    return _SETS[checks.one_of("classes", name, NAMES)]()
