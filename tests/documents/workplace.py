"""The folder in which the documents' code runs: what their examples name, small."""

import json

import cv2
import numpy as np

from kseg import models
from kseg.data.sources.camvid import NAMES
from kseg.labels import LabelSet
from tests.conftest import structured_image

SIZE = (64, 96)


def furnish(folder):
    """Write photographs, CamVid's layout as `CAMVID`, VOC's as `VOC`, folders `streets` and `cells`, a trained run."""
    (folder / "photographs").mkdir()
    for path in ("photograph.jpg", "photographs/first.jpg", "photographs/second.jpg"):
        cv2.imwrite(str(folder / path), structured_image(97, 129))
    for data, images, labels, classes in (("CAMVID", "images", "labels", NAMES),
                                          ("cells", "images", "masks", ("background", "cell")),
                                          ("streets", "images", "masks", ("sky", "road", "tree"))):
        for split, count in (("train", 3), ("val", 2)):
            for kind in (images, labels):
                (folder / data / split / kind).mkdir(parents=True)
            for index in range(count):
                name = f"{split}{index}.png"
                picture = np.roll(structured_image(*SIZE), 17 * index + 5 * count, axis=1)
                cv2.imwrite(str(folder / data / split / images / name), picture)
                cv2.imwrite(str(folder / data / split / labels / name), picture[..., 0] // (256 // len(classes) + 1))
        (folder / data / "classes.txt").write_text("\n".join(classes) + "\n")
    _furnish_voc(folder / "VOC")
    run = folder / "runs" / "camvid"
    run.mkdir(parents=True)
    model = models.PSPNet(len(NAMES), encoder_name="resnet18", output_stride=16, filters=16)
    model.label_set = LabelSet(NAMES)
    model.save(run / "best.keras")
    (run / "run.json").write_text(json.dumps({"recipe": {"data": "camvid", "data_dir": "CAMVID"}}))
    model.save(folder / "shapes.keras")


def _furnish_voc(folder):
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for split in ("train", "val"):
        stems = [f"{split}{index}" for index in range(2)]
        (folder / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            picture = structured_image(*SIZE)
            cv2.imwrite(str(folder / "JPEGImages" / f"{stem}.jpg"), picture)
            cv2.imwrite(str(folder / "SegmentationClass" / f"{stem}.png"), picture[..., 0] // 64)
