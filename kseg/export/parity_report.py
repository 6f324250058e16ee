"""The parity report: how an exported model compares with its original, as a table, in words and as JSON."""

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

from kseg import checks, files

if TYPE_CHECKING:
    from rich.table import Table


@dataclasses.dataclass
class ParityReport:
    """How an exported model compares with the Keras model it came from.

    Args:
        path: str, the exported file or folder.
        kind: "tflite", "saved_model" or "onnx".
        quantize: None, "float16", "dynamic", "int8" or "int8_float_io".
        images: list of [count, height, width] compared.
        max_abs_difference: float, largest absolute difference of logits; None where the output is labels.
        mean_abs_difference: float, mean absolute difference of logits; None where the output is labels.
        largest_logit: float, largest absolute logit of the original, the scale of the differences.
        label_agreement: float 0-1, share of all pixels whose label is the same; ties and near-ties count in full. Of a
            multi-label model every class of a pixel counts.
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
    quantize: str | None = None
    images: list = dataclasses.field(default_factory=list)
    max_abs_difference: float | None = None
    mean_abs_difference: float | None = None
    largest_logit: float | None = None
    label_agreement: float | None = None
    bytes_agreement: float | None = None
    miou_original: float | None = None
    miou_exported: float | None = None
    size_bytes: int = 0
    operators: dict = dataclasses.field(default_factory=dict)
    gpu_unfriendly_operators: tuple = ()
    latency: dict = dataclasses.field(default_factory=dict)
    layer_errors: list = dataclasses.field(default_factory=list)
    limits: dict = dataclasses.field(default_factory=dict)

    @property
    def miou_change(self) -> float | None:
        """Mean IoU of the exported model less that of the original, or None if no dataset was given."""
        return None if self.miou_original is None else self.miou_exported - self.miou_original

    @property
    def failures(self) -> list[str]:
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

    def check(self) -> "ParityReport":
        """Raise ValueError with the error sentence if a limit is exceeded; return the report otherwise."""
        if self.failures:
            raise ValueError(checks.sentence(
                "model", "must answer after export as it does in Keras", "; ".join(self.failures),
                "Nothing was written. Export without quantisation, calibrate with more images of the kind the model "
                "will see, or lower minimum_agreement or raise maximum_miou_drop if the loss is acceptable."))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        values = dataclasses.asdict(self)
        values["gpu_unfriendly_operators"] = list(self.gpu_unfriendly_operators)
        return {**values, "miou_change": self.miou_change}

    @classmethod
    def load(cls, path: str | os.PathLike) -> "ParityReport":
        """Return the report saved at `path` (`<artefact>.parity.json`)."""
        with open(checks.existing_file("path", path), encoding="utf-8") as file:
            values = json.load(file)
        values.pop("miou_change", None)
        values["gpu_unfriendly_operators"] = tuple(values["gpu_unfriendly_operators"])
        return cls(**values)

    def save(self, path: str | os.PathLike) -> None:
        """Write the report to `path` as JSON, whole or not at all."""
        files.write_text(path, json.dumps(self.to_dict(), indent=1))

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as (name, value) strings, in reading order; what was not measured is left out."""
        compared = ", ".join(f"{count} images of {height} x {width}" for count, height, width in self.images)
        found = [("kind", self.kind + (f", {self.quantize}" if self.quantize else "")),
                 ("size", f"{self.size_bytes / 1e6:.2f} MB"), ("compared on", compared)]
        if self.max_abs_difference is not None:
            found.append(("largest difference", f"{self.max_abs_difference:.3g} (largest logit "
                          f"{self.largest_logit:.3g})"))
            found.append(("mean difference", f"{self.mean_abs_difference:.3g}"))
        found.append(("label agreement", f"{100 * self.label_agreement:.3f} %"))
        if self.bytes_agreement is not None:
            found.append(("agreement from bytes", f"{100 * self.bytes_agreement:.3f} %"))
        if self.miou_original is not None:
            found.append(("mean IoU", f"{self.miou_exported:.4f} (Keras {self.miou_original:.4f}, "
                          f"{self.miou_change:+.4f})"))
        for name, times in self.latency.items():
            found.append((f"time, {name}", f"{times['median_ms']:.1f} ms ({times['least_ms']:.1f} to "
                          f"{times['most_ms']:.1f}, {times['runs']} runs)"))
        found.append(("operators", ", ".join(f"{name} {count}" for name, count in self.operators.items())))
        if self.kind == "tflite":
            found.append(("not on a GPU delegate", ", ".join(self.gpu_unfriendly_operators) or "none"))
        for entry in self.layer_errors[:5]:
            found.append(("loses most", f"{entry['error']:.3f} {entry['operator']} {entry['tensor']}"))
        found.append(("verdict", "; ".join(self.failures) or "the exported model answers as the original"))
        return found

    def table(self) -> "Table":
        """Return the report as a `rich.table.Table`."""
        from rich.table import Table

        table = Table(title=f"Parity of {self.path}", title_justify="left", show_header=False)
        for row in self.rows():
            table.add_row(*row)
        return table

    __rich__ = table

    def __str__(self):
        return "\n".join(f"{name:<24} {value}" for name, value in self.rows())
