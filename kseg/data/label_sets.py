"""Class names and palettes of the published datasets, with the tables from stored values to class ids."""

import numpy as np

from kseg.data.label_ids import identity_table
from kseg.labels import IGNORE_CLASS, LabelSet

CAMVID_NAMES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
                "bicyclist")
CAMVID_COLOURS = ((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
                  (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192))

VOC_NAMES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
             "dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train",
             "tv/monitor")

# (name, stored label id, colour), in the order of the train ids 0..18.
CITYSCAPES = (
    ("road", 7, (128, 64, 128)), ("sidewalk", 8, (244, 35, 232)), ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)), ("fence", 13, (190, 153, 153)), ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)), ("traffic sign", 20, (220, 220, 0)), ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)), ("sky", 23, (70, 130, 180)), ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)), ("car", 26, (0, 0, 142)), ("truck", 27, (0, 0, 70)), ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)), ("motorcycle", 32, (0, 0, 230)), ("bicycle", 33, (119, 11, 32)))

ADE20K_NAMES = tuple(
    "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,sidewalk,person,earth,door,table,mountain,"
    "plant,curtain,chair,car,water,painting,sofa,shelf,house,sea,mirror,rug,field,armchair,seat,fence,desk,rock,"
    "wardrobe,lamp,bathtub,railing,cushion,base,box,column,signboard,chest of drawers,counter,sand,sink,skyscraper,"
    "fireplace,refrigerator,grandstand,path,stairs,runway,case,pool table,pillow,screen door,stairway,river,bridge,"
    "bookcase,blind,coffee table,toilet,flower,book,hill,bench,countertop,stove,palm,kitchen island,computer,"
    "swivel chair,boat,bar,arcade machine,hovel,bus,towel,light,truck,tower,chandelier,awning,streetlight,booth,"
    "television receiver,airplane,dirt track,apparel,pole,land,bannister,escalator,ottoman,bottle,buffet,poster,stage,"
    "van,ship,fountain,conveyer belt,canopy,washer,plaything,swimming pool,stool,barrel,basket,waterfall,tent,bag,"
    "minibike,cradle,oven,ball,food,step,tank,trade name,microwave,pot,animal,bicycle,lake,dishwasher,screen,blanket,"
    "sculpture,hood,sconce,vase,traffic light,tray,ashcan,fan,pier,crt screen,plate,monitor,bulletin board,shower,"
    "radiator,glass,clock,flag".split(","))


def camvid():
    """Return CamVid's 11 classes in SegNet's order and their table: stored 11 is void."""
    table = identity_table(11)
    table[11] = IGNORE_CLASS
    return LabelSet(CAMVID_NAMES, np.array(CAMVID_COLOURS)), table


def voc2012():
    """Return PASCAL VOC's 21 classes and their table: stored 255 is the void border."""
    return LabelSet(VOC_NAMES), identity_table(21)


def cityscapes():
    """Return Cityscapes' 19 evaluated classes and the table from its label ids; the other ids up to 33 are void."""
    table = identity_table(0)
    table[:34] = IGNORE_CLASS
    for train_id, (_, label_id, _) in enumerate(CITYSCAPES):
        table[label_id] = train_id
    return LabelSet(tuple(row[0] for row in CITYSCAPES), np.array([row[2] for row in CITYSCAPES])), table


def ade20k():
    """Return ADE20K's 150 classes (VOC colours) and their table: stored 0 is void, all else is shifted by one."""
    table = identity_table(0)
    table[0] = IGNORE_CLASS
    table[1:151] = np.arange(150)
    return LabelSet(ADE20K_NAMES), table
