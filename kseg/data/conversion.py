"""Any dataset to a plain folder of images and label files: whole or not at all, file by file, resumed after a kill.

A folder holds `{split}/images`, `{split}/labels` with 8-bit PNGs of class ids (255 = ignore), `classes.txt` with names
and colours, and for each split `conversion.json`, by which a later run knows what it has begun.
"""

import contextlib
import io
import json
import os
import re
import typing
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from kseg import checks, files
from kseg.data import decode, sources
from kseg.data.orientation import without_orientation
from kseg.data.sources.base import digest
from kseg.data.sources.patterns import IMAGE_SUFFIXES
from kseg.labels import LabelSet

_BEGUN = "conversion.json"  # in the folder of a split: the source it is made of
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}


def convert(name: str | sources.Source, output: str | os.PathLike, splits: Sequence[str] | None = None, *,
            data_dir: str | None = None, progress: Callable[[str, int, int], None] | None = None,
            **options: typing.Any) -> dict[str, int]:
    """Write a dataset as a plain folder, which "folder" and any other program reads.

    Images that are files are copied as they are, others become PNG. A run that was interrupted goes on where it
    stopped: pairs that are there are kept.

    Args:
        name: as `kseg.data.load`, or a source.
        output: the folder to write; it must not exist, be empty, or have been begun from the same files and options.
        splits: of "train", "validation" and "test"; None: those that are there, of a source its own.
        data_dir: str or None, where the files are.
        progress: None, or a function called with (split, done, total) after each pair.
        options: further arguments of `kseg.data.source`.
    Returns:
        the number of pairs of each split.
    Raises:
        ValueError: if a pair is broken (pairs written so far stay; run `kseg.data.check`), or the splits differ in
            their classes.
        FileExistsError: if `output` holds other things.
        FileNotFoundError: if a split is missing; with `splits` None, if all are.

    Example:
        >>> kseg.data.convert("coco", "plain", data_dir="coco2017")
        {'train': 118287, 'validation': 5000}
        >>> train = kseg.data.load("folder", "train", data_dir="plain", image_size=(256, 256))
    """
    output = os.fspath(output)
    chosen = _opened(name, splits, data_dir, options)
    _refuse_stacked_labels(chosen)
    _begin(output, chosen)
    return {source.split: _write_split(source, os.path.join(output, source.split), progress) for source in chosen}


def _refuse_stacked_labels(chosen):
    for source in chosen:
        if source.label_axes:
            raise ValueError(checks.sentence("task", "must be one of labels with one class per pixel", source.task,
                                             "Multi-label sets are written by kseg.data.write_records."))


def _opened(name, splits, data_dir, options):
    """Return the sources of the splits."""
    if isinstance(splits, str):
        splits = (splits,)
    if splits is not None or isinstance(name, sources.Source):
        return [sources.opened(name, split, data_dir=data_dir, **options) for split in splits or (None,)]
    found, failures = [], []
    for split in sources.SPLITS:
        try:
            found.append(sources.opened(name, split, data_dir=data_dir, **options))
        except FileNotFoundError as failure:
            failures.append(failure)
    if not found:
        raise failures[0]
    return found


def _begin(output, chosen):
    """Write down in `output` what it is made of, or raise if it holds other things."""
    _refuse_other_things(output)
    classes, text = os.path.join(output, "classes.txt"), _lines(chosen[0].label_set)
    begun = {}
    for source in chosen:
        if _lines(source.label_set) != text or _text(classes) not in (None, text):
            names = [row.rsplit(maxsplit=3)[0] for row in (_text(classes) or text).splitlines()]
            raise ValueError(checks.sentence(
                "splits", f"must have the same classes, {names[:8]}; {source.split!r} has others",
                list(source.label_set.names)[:8], "Pass `classes`, or write each split into a folder of its own."))
        path = os.path.join(output, source.split, _BEGUN)
        begun[path] = json.dumps({"name": source.name, "pairs": len(source), "source": digest(source)})
        if _text(path) not in (None, begun[path]):
            raise FileExistsError(checks.sentence(
                "output", f"must hold nothing of split {source.split!r} from other files or options", output,
                f"Delete {os.path.dirname(path)} to write it anew, or choose another folder."))
    for path, says in {**begun, classes: text}.items():
        files.write_text(path, says)


def _refuse_other_things(output):
    empty = {split for split in sources.SPLITS if not _entries(os.path.join(output, split))}  # killed before _BEGUN
    entries = [entry for entry in _entries(output) if entry not in empty]
    known = [split for split in sources.SPLITS if os.path.isfile(os.path.join(output, split, _BEGUN))]
    others = sorted(set(entries) - {*known, "classes.txt"}) or (entries if not known else [])
    if others:
        raise FileExistsError(checks.sentence(
            "output", f"must be a new folder, or one that an earlier run began; it holds {others[:6]}", output,
            "Choose another folder."))


def _entries(folder):
    """Return what a folder holds but for drafts; nothing if there is none."""
    return [entry for entry in (os.listdir(folder) if os.path.isdir(folder) else ()) if not entry.startswith(".")]


def _lines(label_set: LabelSet) -> str:
    """Return the content of `classes.txt`: `name r g b` per line, without colours where two classes have the same.

    A name that is repeated gets its class id, as lines of one name are one class.
    """
    colours = label_set.palette.tolist() if len(np.unique(label_set.palette, axis=0)) == len(label_set) else None
    rows = {}
    for index, name in enumerate(label_set.names):
        name = " ".join(name.split()).strip(" ,") or f"class {index}"
        rows[f"{name} ({index})" if name in rows else name] = colours[index] if colours else ()
    return "".join(" ".join(map(str, (name, *colour))) + "\n" for name, colour in rows.items())


def _text(path):
    """Return the content of a text file, or None if there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()


def _write_split(source, folder, progress):
    """Write the pairs of a source that are not there; return how many there are."""
    for part in ("images", "labels"):
        with files.refusals(os.path.join(folder, part)):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
    done = {os.path.splitext(name)[0] for name in os.listdir(os.path.join(folder, "images"))}
    for index, stem in enumerate(_stems(source)):
        if stem not in done:  # images are written last
            _write_pair(source, index, folder, stem)
        if progress is not None:
            progress(source.split, index + 1, len(source))
    return len(source)


def _write_pair(source, index, folder, stem):
    pixels, labels = source.read(index)
    with files.draft(os.path.join(folder, "labels", stem + ".png")) as path:
        Image.fromarray(labels).save(path, compress_level=3)
    content = without_orientation(source.stored_image(index))
    suffix = None if content is None else _suffix(source.describe(index), content)
    if suffix is None and (pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3)):
        encoded, suffix = io.BytesIO(), ".npy"
        np.save(encoded, source.read_stored(index))
        content = encoded.getvalue()
    elif suffix is None:
        encoded, suffix = io.BytesIO(), ".png"
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(encoded, "PNG", compress_level=3)
        content = encoded.getvalue()
    with files.draft(os.path.join(folder, "images", stem + suffix)) as path, open(path, "wb") as file:
        file.write(content)


def _suffix(described, content):
    """Return the suffix of an encoded image, its own where "folder" takes it, or None if the format has none."""
    own = os.path.splitext(described)[1]
    if own.lower() in IMAGE_SUFFIXES:
        return own
    with contextlib.suppress(*decode.DECODER_FAILURES), Image.open(io.BytesIO(content)) as picture:
        return _SUFFIXES.get(picture.format)
    return None


def _stems(source):
    """Return the file name of each pair, without suffix: that of its image, after its number where two are alike."""
    names = [re.split(r"[\\/]", source.describe(index))[-1] for index in range(len(source))]
    stems = [re.sub(r"[^\w.() -]", "_", os.path.splitext(name)[0]).strip(". ") or "image" for name in names]
    if len({stem.lower() for stem in stems}) < len(stems):
        stems = [f"{index:07d}-{stem}" for index, stem in enumerate(stems)]
    return stems
