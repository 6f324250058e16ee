"""ADE20K in the 150 classes of the scene parsing benchmark."""

import os

from kseg.data.label_ids import mapped_table
from kseg.data.sources.patterns import find_pairs
from kseg.data.sources.published import PublishedSource, existing_below, layout_missing
from kseg.labels import IGNORE_CLASS, LabelSet

NAMES = tuple(
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


class ADE20KSource(PublishedSource):
    """ADE20K, with the colours of PASCAL VOC. Stored 0 is void, all else is shifted by one."""

    LABELS = LabelSet(NAMES)
    TABLE = mapped_table({0: IGNORE_CLASS, **{index + 1: index for index in range(len(NAMES))}}, len(NAMES))

    @classmethod
    def find(cls, data_dir: str, split: str, problems: list | None) -> list[tuple[str, str]]:
        root = existing_below(data_dir, "ADEChallengeData2016")
        folder = {"train": "training", "validation": "validation", "test": "testing"}[split]
        if not os.path.isdir(os.path.join(root, "annotations", folder)):
            raise layout_missing("ade20k", data_dir, split, f"images/{folder} and annotations/{folder}")
        return find_pairs(root, split, f"images/{folder}/*", f"annotations/{folder}/*", problems)
