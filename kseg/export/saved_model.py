"""Keras models as SavedModel folders for TensorFlow Serving. Loads TensorFlow when a model is exported."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kseg import checks, files
from kseg.inference import metadata

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kseg.export.parity_report import ParityReport
    from kseg.labels import LabelSet


def saved_model(model: "keras.Model", path: str | os.PathLike, *,
                image_size: Sequence[int | None] = (None, None), probabilities: bool = False,
                maximum_side: int = 2048, label_set: "LabelSet | None" = None, images: "np.ndarray | None" = None,
                evaluate_on: Iterable | None = None, minimum_agreement: float | None = None,
                maximum_miou_drop: float = 0.01, warm_up_requests: bool = True,
                overwrite: bool = False) -> "ParityReport":
    """Write `model` as a SavedModel folder that TensorFlow Serving loads, and compare the two.

    Signatures:

    - `serving_default`: `pixels` uint8 `[B, H, W, channels]` to `labels` uint8 `[B, H, W]`, and `probabilities`
      float32 `[B, H, W, classes]` on request.
    - `logits`: `pixels` float32 `[B, H, W, channels]`, 0-255, to `logits` float32 `[B, H, W, classes]`.
    - `serve_bytes`: `image_bytes` string `[B]`, JPEG, PNG, BMP or GIF files of any size, to `labels_png_bytes` string
      `[B]`: grey 8-bit PNG files whose pixels are class ids, each of its image's size.
    - `serve_bytes_color`: the same painted with the palette, `color_png_bytes`.

    A model with a `pixel_range` (see `kseg.models.Segmenter`) takes numbers as they are stored in all of them, float32
    in the first two, and scales them in the graph; PNG files of 16 bits then keep theirs.

    Labels of a model of task "binary" are 0 and 1 by the model's threshold, and its probabilities `[B, H, W, 1]` those
    of the foreground. Labels of "multilabel" are 0 and 1 `[B, H, W, classes]`, its PNG files `[B, classes]`, one per
    class. The threshold is built in: set `model.threshold` before the export.

    The last two exist for models of 1 or 3 bands whose logits are as large as the pixels (a U-Net of valid
    convolutions is exported at the size of its tiles, which `kseg.predict` cuts). They segment an image at its own
    size up to `maximum_side` pixels on the longer side; a larger one is scaled down for the network (antialiased) and
    its label map scaled up again (nearest). Where `image_size` is fixed, images are scaled to it likewise. Weights are
    constants, so that no variable is read at serving time, and no operation is missing on a GPU or without oneDNN.
    TensorFlow Serving loads folders named by a version number: use `path="serving/street/1"` for a model called
    street, or `kseg.export.next_version("serving/street")`.

    Args:
        model: `keras.Model` of kseg, pixels to logits.
        path: str or path of the folder; missing folders above it are made.
        image_size: (height, width) in pixels; None for any.
        probabilities: bool, whether `serving_default` also returns probabilities (large: 4 bytes per class and pixel).
        maximum_side: int, in pixels, see above; it bounds the memory a request can take.
        label_set: `LabelSet` or None (the model's own).
        images: array `[N, H, W, channels]` 0-255 on which the two are compared; None: structured images.
        evaluate_on: `tf.data.Dataset` of `(pixels, labels)` on which mean IoU is compared, or None.
        minimum_agreement: float 0-1, least share of pixels with the same label; None: 0.999.
        maximum_miou_drop: float 0-1, how much mean IoU may fall on `evaluate_on`.
        warm_up_requests: bool, whether `assets.extra/tf_serving_warmup_requests` is written.
        overwrite: bool, whether an existing folder may be replaced.
    Returns:
        `ParityReport`; also saved as `<path>.parity.json`.
    Raises:
        ValueError: if the comparison fails, no folder is left then; or for an illegal argument.
        FileExistsError: if `path` exists.
        OSError: if the disk refuses.
    """
    import tensorflow as tf

    from kseg.export import operators, parity, signatures
    from kseg.export.comparison_images import compared_images
    from kseg.export.original import examined
    from kseg.export.parity_report import ParityReport
    from kseg.inference.runners.keras_model import KerasRunner
    from kseg.inference.runners.saved_model import SavedModelRunner

    checks.positive_integer("maximum_side", maximum_side)
    original = examined(model, image_size, evaluate_on,
                        parity.limits_for(None, minimum_agreement, maximum_miou_drop), kind="saved_model",
                        label_set=label_set, maximum_side=maximum_side, probabilities=bool(probabilities))
    compared = compared_images(images, original)
    with files.draft(path, overwrite=overwrite, folder_with="saved_model.pb") as temporary:
        module = signatures.servable(original)
        with files.refusals(path):
            tf.saved_model.save(module, temporary, signatures=module.served)
            metadata.write_to_saved_model(temporary, {**original.description, "signatures": sorted(module.served)})
            if warm_up_requests:
                name = os.path.basename(os.path.dirname(os.path.abspath(path)))
                signatures.write_warm_up(temporary, name, compared[0][:1], module.served, original.pixel_range)
        exported, run = SavedModelRunner(temporary), KerasRunner(model)
        serve = exported.signatures.get("serve_bytes")
        report = ParityReport(
            path=os.fspath(path), kind="saved_model", limits=original.limits,
            size_bytes=sum(os.path.getsize(os.path.join(parent, name))
                           for parent, _, names in os.walk(temporary) for name in names),
            operators=operators.graph_operators(module.network_graph),
            bytes_agreement=signatures.bytes_agreement(run, serve, compared, original.pixel_range) if serve else None,
            **parity.measure(run, exported, compared, evaluate_on, {"SavedModel": exported, "Keras": run}))
        report.check()
        files.discard(f"{os.fspath(path)}.parity.json")  # of what is replaced now
    report.save(f"{os.fspath(path)}.parity.json")
    return report


def next_version(folder: str | os.PathLike) -> str:
    """Return the path of the next version of the model whose versions stand in `folder`: "serving/street/2".

    Args:
        folder: named as the model is to be served; it need not exist.
    """
    folder = os.fspath(folder)
    taken = [int(name) for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.isdecimal()]
    return os.path.join(folder, str(max(taken, default=0) + 1))
