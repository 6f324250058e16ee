"""The proof that a deployed model answers as its original: measured, shown as a table, kept as JSON."""

import dataclasses
import json
import statistics
import time

import numpy as np

from kseg import checks
from kseg.labels import IGNORE_CLASS
from kseg.metrics.confusion import confusion_matrix, iou_from_confusion, mean_of_present

# quantize -> (least label agreement, largest difference of logits as a share of the largest logit or None)
LIMITS = {None: (0.999, 1e-3), "float16": (0.995, None), "dynamic": (0.95, None), "int8": (0.90, None),
          "int8_float_io": (0.90, None)}


@dataclasses.dataclass
class ParityReport:
    """How an exported model compares with the Keras model it came from.

    Args:
        path: str, the exported file or folder.
        kind: "tflite" or "saved_model".
        quantize: None, "float16", "dynamic", "int8" or "int8_float_io".
        images: list of [count, height, width] compared.
        max_abs_difference: float, largest absolute difference of logits; None where the output is labels.
        mean_abs_difference: float, mean absolute difference of logits; None where the output is labels.
        largest_logit: float, largest absolute logit of the original, the scale of the differences.
        label_agreement: float 0-1, share of all pixels whose argmax is the same; ties and near-ties count in full.
        bytes_agreement: float 0-1, the same for encoded images (SavedModel only).
        miou_original: float 0-1, mean IoU of the Keras model on `evaluate_on`, or None.
        miou_exported: float 0-1, mean IoU of the exported model on it, or None.
        size_bytes: int, size of the file or folder.
        operators: dict, operator -> count.
        gpu_unfriendly_operators: tuple of str, operators a GPU delegate leaves to the CPU (TFLite only).
        latency: dict, label -> {"median_ms", "least_ms", "most_ms", "runs"}, one image of the compared size.
        layer_errors: list of {"tensor", "operator", "error"}, worst first: root mean square error after quantisation
            divided by the standard deviation before (int8 only).
        limits: dict of the limits this report was held against.
    """

    path: str
    kind: str
    quantize: str = None
    images: list = dataclasses.field(default_factory=list)
    max_abs_difference: float = None
    mean_abs_difference: float = None
    largest_logit: float = None
    label_agreement: float = None
    bytes_agreement: float = None
    miou_original: float = None
    miou_exported: float = None
    size_bytes: int = 0
    operators: dict = dataclasses.field(default_factory=dict)
    gpu_unfriendly_operators: tuple = ()
    latency: dict = dataclasses.field(default_factory=dict)
    layer_errors: list = dataclasses.field(default_factory=list)
    limits: dict = dataclasses.field(default_factory=dict)

    @property
    def miou_change(self):
        """Mean IoU of the exported model less that of the original, or None if no dataset was given."""
        return None if self.miou_original is None else self.miou_exported - self.miou_original

    @property
    def failures(self):
        """List of str: the limits that are exceeded; empty if the comparison holds."""
        found = []
        least = self.limits.get("label_agreement", 0.0)
        for name, value in (("label agreement", self.label_agreement), ("bytes agreement", self.bytes_agreement)):
            if value is not None and value < least:
                found.append(f"{name} {value:.5f} is below {least}")
        share = self.limits.get("relative_difference")
        if share is not None and self.max_abs_difference is not None:
            allowed = share * max(self.largest_logit, 1e-6)
            if not self.max_abs_difference <= allowed:
                found.append(f"largest logit difference {self.max_abs_difference:.3g} is above {allowed:.3g}")
        drop = self.limits.get("miou_drop")
        if drop is not None and self.miou_change is not None and -self.miou_change > drop:
            found.append(f"mean IoU changes by {self.miou_change:+.4f}, more than -{drop}")
        return found

    def check(self):
        """Raise ValueError with the error sentence if a limit is exceeded; return the report otherwise."""
        if self.failures:
            raise ValueError(checks.sentence(
                "model", "must answer after export as it does in Keras", "; ".join(self.failures),
                "Nothing was written. Export without quantisation, calibrate with more images of the kind the model "
                "will see, or lower minimum_agreement or raise maximum_miou_drop if the loss is acceptable."))
        return self

    def to_dict(self):
        """Return the report as JSON-ready values."""
        values = dataclasses.asdict(self)
        values["gpu_unfriendly_operators"] = list(self.gpu_unfriendly_operators)
        return {**values, "miou_change": self.miou_change}

    @classmethod
    def load(cls, path):
        """Return the report saved at `path` (`<artefact>.parity.json`)."""
        with open(checks.existing_file("path", path), encoding="utf-8") as file:
            values = json.load(file)
        values.pop("miou_change", None)
        values["gpu_unfriendly_operators"] = tuple(values["gpu_unfriendly_operators"])
        return cls(**values)

    def save(self, path):
        """Write the report to `path` as JSON."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=1)

    def rows(self):
        """Return the report as a list of (name, value) strings, in reading order."""
        from kseg.export.report_rows import rows
        return rows(self)

    def table(self):
        """Return the report as a `rich.table.Table`."""
        from rich.table import Table

        table = Table(title=f"Parity of {self.path}", title_justify="left", show_header=False)
        for row in self.rows():
            table.add_row(*row)
        return table

    __rich__ = table

    def __str__(self):
        return "\n".join(f"{name:<24} {value}" for name, value in self.rows())


def limits_for(model, quantize, minimum_agreement, maximum_miou_drop):
    """Return the limits of a report: the defaults for `quantize` unless the caller gave others.

    A network that unpools by index has no limit on single logits: where two values of a pooling window are equal but
    for rounding, another index wins and moves a logit by a pixel. Its label agreement counts as everybody's.
    """
    agreement, difference = LIMITS[quantize]
    if any(type(layer).__name__ == "MaxUnpooling2D" for layer in model.layers):
        difference = None
    if minimum_agreement is not None:
        agreement = checks.number_between("minimum_agreement", minimum_agreement, 0, 1)
    drop = checks.number_between("maximum_miou_drop", maximum_miou_drop, 0, 1)
    return {"label_agreement": agreement, "relative_difference": difference, "miou_drop": drop}


def compare(original, exported, batches):
    """Compare two functions of uint8 pixels `[1, H, W, C]` image by image.

    Args:
        original: function to logits `[1, H, W, classes]`.
        exported: function to logits of that shape or to labels, integers `[1, H, W]`.
        batches: list of uint8 `[count, H, W, C]`.
    Returns:
        dict of the fields of `ParityReport` that follow.
    """
    largest, total, entries, same, pixels, scale, has_logits = 0.0, 0.0, 0, 0, 0, 0.0, True
    for batch in batches:
        for image in batch:
            wanted, found = np.asarray(original(image[None])), np.asarray(exported(image[None]))
            has_logits = found.ndim == 4
            labels = found.argmax(-1) if has_logits else found
            same += int((wanted.argmax(-1) == labels).sum())
            pixels += labels.size
            scale = max(scale, float(np.abs(wanted).max()))
            if has_logits:
                difference = np.abs(wanted.astype(np.float64) - found)
                largest = max(largest, float(difference.max()))
                total, entries = total + float(difference.sum()), entries + difference.size
    return {
        "images": [list(np.shape(batch)[:3]) for batch in batches],
        "max_abs_difference": largest if has_logits else None,
        "mean_abs_difference": total / entries if has_logits else None,
        "largest_logit": scale,
        "label_agreement": same / pixels,
    }


def mean_iou(predict, dataset, classes):
    """Return the mean IoU of `predict` (pixels `[1, H, W, C]` to logits or labels) over `dataset`."""
    matrix = np.zeros((classes, classes), np.int64)
    for pixels, labels in dataset:
        for image, truth in zip(np.asarray(pixels), np.asarray(labels)):
            found = np.asarray(predict(image[None]))[0]
            matrix += confusion_matrix(truth, found.argmax(-1) if found.ndim == 3 else found, classes, IGNORE_CLASS)
    return mean_of_present(iou_from_confusion(matrix))


def time_runs(function, runs=5):
    """Return the time of `function()` in ms over `runs` calls after one that does not count."""
    function()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        taken.append(1000 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(taken), "least_ms": min(taken), "most_ms": max(taken), "runs": runs}
