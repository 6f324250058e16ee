"""A PyTorch checkpoint of another library becomes a `Segmenter`."""

import dataclasses
import os
import warnings
from typing import Any

import numpy as np

from kseg import checks, models, tasks
from kseg.encoders.checkpoint import read_checkpoint
from kseg.labels import LabelSet
from kseg.models import Segmenter
from kseg.pretrained.bands import Normalization, for_repeated_bands, normalize, stem_of
from kseg.pretrained.fill import fill
from kseg.pretrained.origins import kerashub, mmsegmentation, semseg, smp, torchvision
from kseg.pretrained.origins.plan import Arrays, Plan
from kseg.types import Path

ORIGINS = {"torchvision": torchvision, "mmsegmentation": mmsegmentation, "smp": smp, "semseg": semseg,
           "kerashub": kerashub}
NETWORKS = "torchvision's DeepLabV3 and FCN, mmsegmentation's PSPNet, DeepLabV3, DeepLabV3+ and FCN, smp's Unet, " \
           "DeepLabV3, DeepLabV3Plus and PSPNet, semseg's PSPNet, KerasHub's DeepLabV3+"

@dataclasses.dataclass(frozen=True)
class Conversion:
    """What became of a checkpoint.

    Attributes:
        model: the `Segmenter`, compiled.
        origin: str, "torchvision", "mmsegmentation", "smp", "semseg" or "kerashub".
        builder: str, the function of `kseg.models` that made the network.
        options: dict, its arguments.
        matched: int, arrays of the checkpoint that are in the model.
        left_out: tuple of str, arrays that are not.
        new_classifier: bool, whether the last layer starts from random weights.
        max_abs_difference: float or None, of the logits from those given; with `relative_difference`, the same
            divided by the largest logit.
        label_agreement: float or None, the share of pixels with the same class.
    """

    model: Segmenter
    origin: str
    builder: str
    options: dict[str, Any]
    matched: int
    left_out: tuple[str, ...]
    new_classifier: bool = False
    max_abs_difference: float | None = None
    relative_difference: float | None = None
    label_agreement: float | None = None


def convert(checkpoint: Path, like: str | None = None, classes: int | None = None, *,
            label_set: LabelSet | None = None, replace_classifier: bool = False,
            normalization: Normalization | None = None) -> Segmenter:
    """Return the network of a PyTorch checkpoint with its weights, ready to predict, train on and export.

    No PyTorch is needed. Pixels are 0-255 as everywhere in kseg: the model normalises them as its origin did.

    A network of one class becomes a model of task "binary".

    Args:
        checkpoint: path of a `.pth`, `.pt` or `.safetensors` file, of a folder that smp's `save_pretrained` wrote, or
            of one that KerasHub's `save_to_preset` wrote, or a preset's `kaggle://` address (extra `kerashub`).
            mmsegmentation's must not align corners, which its files do not tell: those of 769×769 crops do.
        like: str, where it comes from: "torchvision", "mmsegmentation", "smp", "semseg" or "kerashub", and after a
            slash which network ("torchvision/deeplabv3_resnet50", "smp/unet/mobilenet_v2"); None to tell it from the
            names of the arrays.
        classes: int, the classes it must have; None for those that it has.
        label_set: `LabelSet` or None, the names and colours of its classes.
        replace_classifier: bool, whether `classes` may differ: the last layer then starts anew, to be fine-tuned.
        normalization: (mean, std), each a number or one per band, on the scale 0-255, that the network was trained
            with; None for its origin's. With other bands than RGB, whose normalisation no file tells, None takes the
            origin's average (one or two bands) or repeats it (more), with a warning.
    Returns:
        `Segmenter`, compiled.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read, is of a network that kseg has no builder for, has other arrays than
            that network, or has other classes than asked for.
    """
    return conversion(checkpoint, like, classes, label_set=label_set, replace_classifier=replace_classifier,
                      normalization=normalization).model


def conversion(checkpoint: Path, like: str | None = None, classes: int | None = None, *,
               label_set: LabelSet | None = None, replace_classifier: bool = False,
               normalization: Normalization | None = None, image: Any = None,
               logits: np.ndarray | Path | None = None) -> Conversion:
    """Convert as `convert` does, and return a report with the model.

    Args:
        checkpoint, like, classes, label_set, replace_classifier, normalization: as in `convert`.
        image: pixels `[H, W, C]` or `[B, H, W, C]`, 0-255, to compare on; only with `logits`.
        logits: float array or the path of its `.npy` file, what PyTorch's network gives for them, `[B, classes, H, W]`
            or `[B, H, W, classes]`.
    Returns:
        `Conversion`.
    """
    path = os.fspath(checkpoint)
    arrays, like, options = _read(path, like)
    origin, detail = _origin(like, arrays, path)
    plan = ORIGINS[origin].plan(arrays, detail, **options)
    found, stem = _classes_and_stem(arrays, plan, path)
    new = classes is not None and classes != found
    if new and not replace_classifier:
        raise ValueError(checks.sentence("classes", f"must be {found}, the classes of the checkpoint", classes,
                                         "Leave it out, or pass replace_classifier=True to fine-tune on others."))
    wanted = classes if new else found
    task = tasks.known(None, wanted)  # one class is decided by its sigmoid
    model = getattr(models, plan.builder)(wanted, in_channels=arrays[stem].shape[1], task=task.name, **plan.options)
    left_out = fill(model, {**arrays, stem: for_repeated_bands(arrays[stem])}, plan, path, classifier=not new)
    normalize(model, plan.normalization, normalization, path)
    if label_set is not None and len(label_set) != task.names(model.classes):
        raise ValueError(checks.sentence("label_set", f"must name {task.names(model.classes)} classes", len(label_set),
                                         "Give one name per class of the model."))
    model.label_set = label_set
    if new:
        warnings.warn(f"The classifier of {path!r} has {found} classes and the model {classes}: its last layer starts "
                      "anew, all other weights are kept. Train it before use.", stacklevel=3)
    matched = sum(not name.endswith("num_batches_tracked") for name in arrays) - len(left_out)
    report = Conversion(model, origin, plan.builder, plan.options, matched, tuple(left_out), new)
    return report if logits is None else compared(report, image, logits)


def _read(path, like):
    """Return (the arrays, `like` or where a folder comes from, what it tells the plan of its origin)."""
    if kerashub.is_preset(path):
        arrays, options = kerashub.read_preset(path)
        return arrays, _of_folder(like, "kerashub"), options
    if os.path.isdir(path):
        options = {"config": smp.read_config(path)}
        return read_checkpoint(_weights_in(path)), _of_folder(like, "smp"), options
    return read_checkpoint(path), like, {}


def _of_folder(like, origin):
    if like is not None:
        checks.one_of("like", like.partition("/")[0].lower(), (origin,), context=" for this folder",
                      advice="Leave it out.")
    return like or origin


def _weights_in(folder):
    for name in ("model.safetensors", "pytorch_model.bin"):
        if os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise ValueError(checks.sentence("checkpoint", "must be a folder with model.safetensors", folder,
                                     "Write it with `model.save_pretrained(folder)`."))


def _origin(like: str | None, arrays: Arrays, path: str) -> tuple[str, str | None]:
    found = next((name for name, module in ORIGINS.items() if module.recognises(arrays)), None)
    if like is not None:
        origin, _, detail = like.partition("/")
        origin = checks.one_of("like", origin.lower(), tuple(ORIGINS))
        if found not in (None, origin):
            raise ValueError(checks.sentence("like", f"must begin with {found!r}, after which the arrays of the "
                                             "checkpoint are named", like, "Leave it out to have it told from them."))
        return origin, detail or None
    if found is None:
        raise ValueError(checks.sentence(
            "checkpoint", f"must be of a network that kseg has a builder for ({NETWORKS})",
            f"{path}, whose arrays begin with {', '.join(list(arrays)[:3])}",
            "An encoder's weights go to `encoder_weights` of a builder."))
    return found, None


def _classes_and_stem(arrays: Arrays, plan: Plan, path: str) -> tuple[int, str]:
    """Return (classes of a checkpoint, name of its first kernel)."""
    classifier, stem = arrays.get(f"{plan.classifier}.weight"), stem_of(arrays, plan)
    if classifier is None or stem is None:
        raise ValueError(checks.sentence("checkpoint", f"must hold {plan.classifier}.weight and {plan.encoder}*",
                                         path, "Check that the file is of this network, and `like`."))
    return classifier.shape[0], stem


def compared(report: Conversion, image: Any, logits: np.ndarray | Path) -> Conversion:
    """Return `report` with the differences of the model's logits from those given; arguments as in `conversion`."""
    if image is None:
        raise ValueError(checks.sentence("image", "must be given with logits", image, "Pass the pixels they are of."))
    logits = np.load(logits, allow_pickle=False) if isinstance(logits, (str, os.PathLike)) else np.asarray(logits)
    pixels = np.asarray(image, "float32")
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    ours = np.asarray(report.model(pixels, training=False))
    theirs = logits[None] if logits.ndim == 3 else logits
    theirs = theirs if theirs.shape == ours.shape else np.moveaxis(theirs, 1, -1)
    if theirs.shape != ours.shape:
        raise ValueError(checks.sentence("logits", f"must have the shape {ours.shape}", logits.shape,
                                         "Give the logits of exactly this image, [B, classes, H, W]."))
    difference, task = float(np.abs(ours - theirs).max()), tasks.of(report.model.task)
    return dataclasses.replace(report, max_abs_difference=difference,
                               relative_difference=difference / float(np.abs(theirs).max()),
                               label_agreement=float((task.decide(ours) == task.decide(theirs)).mean()))
