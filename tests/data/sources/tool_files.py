"""Small datasets as annotation tools write them, by code of its own: three images 20×30 for each format."""

import base64
import io
import json
import os
import zlib

import numpy as np
from PIL import Image

from tests.conftest import structured_image

HEIGHT, WIDTH = 20, 30


def save_image(root, path, height=HEIGHT, width=WIDTH):
    """Write an image below `root`; return its path."""
    path = os.path.join(root, *path.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(structured_image(height, width)).save(path)
    return path


def save_json(root, path, content):
    """Write JSON below `root`; return its path."""
    return save_text(root, path, json.dumps(content))


def save_text(root, path, text):
    """Write text below `root`; return its path."""
    path = os.path.join(root, *path.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def expected(*boxes, height=HEIGHT, width=WIDTH):
    """Return labels with boxes (class id, left, top, right, bottom), each on top of those before."""
    labels = np.zeros((height, width), np.uint8)
    for class_id, left, top, right, bottom in boxes:
        for row in range(top, bottom):
            for column in range(left, right):
                labels[row, column] = class_id
    return labels


def inside(ring, height=HEIGHT, width=WIDTH):
    """Return bool `[H, W]`, the pixels whose centres a ray to the right leaves a ring from, one at a time."""
    mask = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            x, y, crossings = column + 0.5, row + 0.5, 0
            for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]]):
                if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                    crossings += 1
            mask[row, column] = crossings % 2 == 1
    return mask


def assert_drawn(found, ring):
    """Raise unless bool `[H, W]` are the pixels in a ring; those whose centres are on its edge may be either way.

    `kseg.data.drawing` goes by fifths of a pixel.
    """
    wanted = inside(ring, *found.shape)
    for row, column in np.argwhere(found != wanted).tolist():
        centre = np.array([column + 0.5, row + 0.5])
        distances = []
        for start, end in zip(np.array(ring, float), np.roll(np.array(ring, float), -1, axis=0)):
            along = np.clip((centre - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
            distances.append(np.linalg.norm(centre - start - along * (end - start)))
        assert min(distances) < 0.25, (row, column)


def png(mask, mode="L"):
    """Return a mask, bool `[h, w]`, as the bytes of a PNG: grey, indexed with transparency, or RGBA."""
    buffer = io.BytesIO()
    if mode == "RGBA":
        Image.fromarray(np.where(mask[..., None], np.array([255, 0, 0, 255]), 0).astype(np.uint8)).save(buffer, "PNG")
    elif mode == "P":
        picture = Image.fromarray(mask.astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 255, 255, 255])
        picture.save(buffer, "PNG", transparency=0)
    else:
        Image.fromarray(mask.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def text_of(data, compressed=False):
    """Return bytes as base64 text."""
    return base64.b64encode(zlib.compress(data) if compressed else data).decode()


def polygon_of(left, top, right, bottom):
    """Return the corners of a box."""
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def write_labelme(root):
    """Write a folder of LabelMe; return the path of the first annotation."""
    for index in range(3):
        save_image(root, f"{index}.png")
        shapes = [{"label": "car", "shape_type": "polygon", "points": polygon_of(2 + index, 3, 12, 10), "flags": {}},
                  {"label": "person", "shape_type": "rectangle", "points": [[10, 5], [20, 15]], "group_id": None}]
        path = save_json(root, f"{index}.json", {
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{index}.png", "imageData": None,
            "imageHeight": HEIGHT, "imageWidth": WIDTH})
    return path


def cvat_xml(images, labels=(("car", "#ff0000"), ("person", "#00ff00"))):
    """Return the text of annotations.xml with images, texts."""
    rows = "".join(f"<label><name>{name}</name><color>{colour}</color><type>any</type><attributes></attributes></label>"
                   for name, colour in labels)
    return ('<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><id>1</id>'
            f'<name>street</name><labels>{rows}</labels></task></meta>{"".join(images)}</annotations>')


def cvat_image(number, figures, name=None, subset=None):
    """Return an `<image>` with figures, texts."""
    more = "" if subset is None else f' subset="{subset}"'
    return (f'<image id="{number}" name="{name or f"{number}.png"}"{more} width="{WIDTH}" height="{HEIGHT}">'
            f'{"".join(figures)}</image>')


def write_cvat(root):
    """Write an export of CVAT for images; return the path of the annotations."""
    for index in range(3):
        save_image(root, f"images/{index}.png")
    return save_text(root, "annotations.xml", cvat_xml([cvat_image(index, [
        f'<polygon label="car" source="manual" occluded="0" points="{2 + index},3;12,3;12,10;{2 + index},10" '
        'z_order="0"></polygon>']) for index in range(3)]))


def write_cvat_masks(root):
    """Write an export of CVAT's masks; return the path of the first mask."""
    save_text(root, "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:255,0,0::\n"
                                    "person:0,255,0::\n")
    save_text(root, "ImageSets/Segmentation/default.txt", "0\n1\n2\n")
    for index in range(3):
        save_image(root, f"JPEGImages/{index}.jpg")
        colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        colours[3:10, 2 + index:12] = (255, 0, 0)
        path = os.path.join(root, "SegmentationClass", f"{index}.png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray(colours).save(path)
    return path


def brush_runs(values, sizes=(3, 4, 8, 16), repeat=True):
    """Return bytes as Label Studio's run lengths, a list of bytes, written as text of bits.

    Runs of one value are packets of their own; with `repeat` False, or of values that stand alone, several values in
    one packet.
    """
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    place = 0
    while place < len(values):
        length = 1
        if repeat:
            while place + length < len(values) and values[place + length] == values[place] and length < 1 << sizes[-1]:
                length += 1
        if length > 1:
            number, packed = 1, f"{values[place]:08b}"
        else:
            length = min(len(values) - place, 1 << sizes[1])
            for start in range(place + 1, place + length - 1) if repeat else ():
                if values[start] == values[start + 1]:
                    length = start - place
                    break
            number, packed = 0, "".join(f"{value:08b}" for value in values[place:place + length])
        which = next(index for index, size in enumerate(sizes) if length <= 1 << size)
        bits += f"{number}{which:02b}{length - 1:0{sizes[which]}b}{packed}"
        place += length
    bits += "0" * (8 - len(bits) % 8)
    return [int(bits[start:start + 8], 2) for start in range(0, len(bits), 8)]


def brush_bytes(mask, colour=(12, 200, 7)):
    """Return the red, green, blue and alpha of each pixel as a painted mask has them, list of int."""
    return [value for painted in mask.ravel().tolist() for value in ((*colour, 255) if painted else (0, 0, 0, 0))]


def result_of(value, number=0, **more):
    """Return a result of Label Studio."""
    kind = next(key for key in value if key.endswith("labels"))
    return {"id": f"r{number}", "type": kind, "value": value, "from_name": "label", "to_name": "image",
            "image_rotation": 0, "original_width": WIDTH, "original_height": HEIGHT, "origin": "manual", **more}


def task_of(image, results, number=1, **annotation):
    """Return a task of Label Studio with one annotation."""
    return {"id": number, "data": {"image": image}, "predictions": [],
            "annotations": [{"id": number, "was_cancelled": False, "ground_truth": False, "result": results,
                             **annotation}]}


def write_label_studio(root):
    """Write an export of Label Studio; return the path of the annotations."""
    tasks = []
    for index in range(3):
        save_image(root, f"upload/1/ab12cd3{index}-{index}.png")
        points = [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in polygon_of(3 * (1 + index), 4, 15, 12)]
        tasks.append(task_of(f"/data/upload/1/ab12cd3{index}-{index}.png",
                             [result_of({"points": points, "closed": True, "polygonlabels": ["car"]})], index))
    return save_json(root, "project-1-at-2024-05-01.json", tasks)


def write_supervisely(root):
    """Write a project of Supervisely; return the path of the first annotation."""
    save_json(root, "meta.json", {"classes": [
        {"title": "road", "shape": "polygon", "color": "#00FF00", "geometry_config": {}},
        {"title": "car", "shape": "bitmap", "color": "#FF0000", "geometry_config": {}}], "tags": []})
    for index in range(3):
        save_image(root, f"ds1/img/{index}.png")
        path = save_json(root, f"ds1/ann/{index}.png.json", supervisely_annotation([
            {"classTitle": "road", "geometryType": "polygon",
             "points": {"exterior": polygon_of(2 + index, 3, 12, 10), "interior": [polygon_of(6, 5, 8, 7)]}}]))
    return path


def supervisely_annotation(objects, height=HEIGHT, width=WIDTH):
    """Return an annotation of Supervisely."""
    return {"description": "", "tags": [], "size": {"height": height, "width": width},
            "objects": [{"id": number, "tags": [], **row} for number, row in enumerate(objects)]}
