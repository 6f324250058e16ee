"""Label maps written as what annotation tools export: independent of how kseg reads them."""

import json
import os

import numpy as np
from PIL import Image

from tests.conftest import structured_image

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
NAMES = ("background", "person", "dog", "toothbrush")  # class 0, then by ascending id
CATEGORY_IDS = {1: 1, 2: 18, 3: 90}  # class id → category id


def label_maps(count=3, size=(20, 30), classes=4, block=5):
    """Return label maps of blocks, uint8 `[H, W]`."""
    random = np.random.default_rng(3)
    return [np.kron(random.integers(0, classes, (size[0] // block, size[1] // block)),
                    np.ones((block, block), np.int64)).astype(np.uint8) for _ in range(count)]


def save(path, array):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def dump(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)


def run_lengths(mask):
    """Return COCO's uncompressed run lengths of a mask, pixel by pixel."""
    counts, inside = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != inside:
            counts.append(0)
            inside = pixel
        counts[-1] += 1
    return {"counts": counts, "size": list(mask.shape)}


def rectangles(mask):
    """Return a polygon for each run of pixels in a row: together they are the mask."""
    polygons = []
    for row, pixels in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.r_[0, pixels.astype(int), 0]))
        polygons += [[int(x) for x in (left, row, right, row, right, row + 1, left, row + 1)]
                     for left, right in zip(edges[::2], edges[1::2])]
    return polygons


def coco(maps, segmentation=run_lengths, file_name="{}.png", categories=CATEGORIES):
    """Return the JSON of instances that draw label maps: an object per class and image."""
    images = [{"id": 100 + index, "file_name": file_name.format(index), "height": ids.shape[0], "width": ids.shape[1]}
              for index, ids in enumerate(maps)]
    annotations = []
    for index, ids in enumerate(maps):
        for class_id in (class_id for class_id in np.unique(ids).tolist() if class_id):
            annotations.append({"id": len(annotations) + 1, "image_id": 100 + index, "iscrowd": 0,
                                "category_id": CATEGORY_IDS[class_id], "segmentation": segmentation(ids == class_id)})
    return {"images": images, "annotations": annotations, "categories": categories}


def write_images(folder, maps, file_name="{}.png"):
    for index, ids in enumerate(maps):
        save(os.path.join(folder, file_name.format(index)), structured_image(*ids.shape) // (index + 1))


def write_coco(root, maps=None, **options):
    """Write COCO's own layout; return the path of the JSON."""
    maps = label_maps() if maps is None else maps
    write_images(os.path.join(root, "train2017"), maps)
    path = os.path.join(root, "annotations", "instances_train2017.json")
    dump(path, coco(maps, **options))
    return path


def panoptic(maps, folder):
    """Write the PNGs of segments of label maps, 255 being unlabelled; return their JSON."""
    content = coco([ids * 0 for ids in maps])
    for index, ids in enumerate(maps):
        segments, colours = [], np.zeros((*ids.shape, 3), np.uint8)
        for number, class_id in enumerate((class_id for class_id in np.unique(ids).tolist() if class_id != 255), 1):
            segment = 70000 * number + 259 * (index + 1)
            segments.append({"id": segment, "category_id": CATEGORY_IDS[class_id], "iscrowd": number % 2})
            colours[ids == class_id] = (segment % 256, segment // 256 % 256, segment // 65536)
        save(os.path.join(folder, f"{index}.png"), colours)
        content["annotations"].append({"image_id": 100 + index, "file_name": f"{index}.png",
                                       "segments_info": segments})
    return content


def write_panoptic(root, maps=None):
    """Write COCO's own layout of panoptic labels; return the path of the JSON."""
    maps = [np.where(ids == 0, 255, ids).astype(np.uint8) for ids in label_maps()] if maps is None else maps
    write_images(os.path.join(root, "train2017"), maps)
    path = os.path.join(root, "annotations", "panoptic_train2017.json")
    dump(path, panoptic(maps, os.path.join(root, "annotations", "panoptic_train2017")))
    return path


def yolo_lines(ids):
    """Return the lines of a label map: a polygon for each run of pixels in a row."""
    height, width = ids.shape
    rows = []
    for class_id in (class_id for class_id in np.unique(ids).tolist() if class_id):
        for polygon in rectangles(ids == class_id):
            corners = np.reshape(polygon, (-1, 2)) / (width, height)
            rows.append(" ".join([str(class_id - 1), *(repr(float(value)) for value in corners.ravel())]))
    return rows


def write_yolo(root, maps=None, images="images/train", labels="labels/train", names="names: [person, dog, brush]\n"):
    """Write a YOLO set; return the path of its first label file."""
    maps = label_maps() if maps is None else maps
    write_images(os.path.join(root, images), maps)
    os.makedirs(os.path.join(root, labels), exist_ok=True)
    for index, ids in enumerate(maps):
        with open(os.path.join(root, labels, f"{index}.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(yolo_lines(ids)) + "\n")
    with open(os.path.join(root, "data.yaml"), "w", encoding="utf-8") as file:
        file.write(names)
    return os.path.join(root, labels, "0.txt")
