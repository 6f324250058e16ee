"""What a worker does: images into label files, or into a Parquet file per batch, and a line per image."""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Collection
from typing import Any

import pyarrow
from pyarrow import parquet

from kseg import checks, files
from kseg.distributed.answers import is_out_of_memory
from kseg.distributed.image_sets import image_of
from kseg.distributed.manifest import FOLDER, LABELS, PARTS, WORK, Log, Outcome
from kseg.distributed.sent_model import SentModel
from kseg.inference.file_prediction import label_paths
from kseg.inference.label_files import GEOTIFF, PICTURE, VOLUME, kind_for
from kseg.inference.metadata import known_labels
from kseg.inference.predict import Predictor
from kseg.labels import LabelSet

_SCHEMA = pyarrow.schema([("key", pyarrow.string()), ("class", pyarrow.string()), ("height", pyarrow.int32()),
                          ("width", pyarrow.int32()), ("labels", pyarrow.binary())])


class LabelWriter:
    """A model and a folder that rows of images are segmented into, one after the other as `kseg.predict` does.

    Args:
        model: `SentModel`.
        options: dict, the arguments of `kseg.predict`.
        label_set: `LabelSet` or None (the model's).
        output: str, the folder.
        columns: of `ImageSet`.
        into_parquet: whether labels go into Parquet files, one for the rows of each call.
        done: keys of images that are done.
    """

    def __init__(self, model: SentModel, options: dict[str, Any], label_set: LabelSet | None, output: str,
                 columns: tuple[str | None, str | None], into_parquet: bool, done: Collection[str]):
        self._predictor = Predictor(model.opened(), **options)
        run = self._run = self._predictor.run
        self._label_set = known_labels(label_set or run.label_set, run.classes, run.task)
        self._output, self._columns, self._done, self._log = output, columns, done, Log(output)
        self._work = os.path.join(output, FOLDER, WORK, uuid.uuid4().hex)
        self._into_parquet, self._predicted = into_parquet, False

    def __call__(self, rows: list[dict[str, Any]]) -> list[Outcome]:
        """Return what became of each row, errors included; raise OSError where the output cannot be written."""
        return self._part(rows) if self._into_parquet else [self._file(row) for row in rows]

    def _file(self, row):
        """Write the labels of a row as files."""
        outcome = self._outcome(row, self._into_files)
        if outcome[0] not in self._done:
            self._log.add([outcome])
        return outcome

    def _into_files(self, image):
        """Write the label files of an image, unless they are there; return whether they were not."""
        with image.as_file() as path:
            kind = kind_for(path, self._run.in_channels, self._run.task)
            targets = label_paths(os.path.join(self._output, LABELS), image.name + kind.suffix, self._label_set,
                                  self._run.task)
            if all(map(os.path.exists, targets)):  # a worker was killed before it said so
                return False
            with self._drafts(kind) as drafts:
                self._write(kind, path, drafts)
                for draft, target in zip(drafts, targets, strict=True):
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    os.replace(draft, target)
            return True

    def _part(self, rows):
        """Write the labels of all rows as one file; its name follows from the keys, so that it is written once."""
        shown = [self._shown(row) for row in rows]
        path = os.path.join(self._output, PARTS, f"part-{_digest(shown)}.parquet")
        if os.path.exists(path):  # a worker was killed before it said so
            there = set(parquet.read_table(path, columns=["key"])["key"].to_pylist())
            rest = [row for row, key in zip(rows, shown) if key not in there]
            return [*((key, None, False) for key in there), *(self._part(rest) if rest else [])]
        encoded: dict[str, list[dict]] = {}
        outcomes = [self._outcome(row, lambda image: self._encode(image, encoded)) for row in rows]
        if encoded:
            with files.draft(path, unique=True) as temporary, files.refusals(path):
                parquet.write_table(pyarrow.Table.from_pylist(sum(encoded.values(), []), _SCHEMA), temporary)
        self._log.add([outcome for outcome in outcomes if outcome[2]])
        return outcomes

    def _encode(self, image, encoded):
        """Add to `encoded` the rows of an image, labels as PNG files; return whether it was not among them."""
        task = self._run.task
        if image.key in encoded:
            return False
        with image.as_file() as path, self._drafts(PICTURE) as drafts:
            kind = kind_for(path, self._run.in_channels, task)
            if kind in (VOLUME, GEOTIFF):
                raise ValueError(checks.sentence("format", "must be 'png' for volumes and GeoTIFFs, whose labels have "
                                                 "files of their own kind", "parquet", "Segment them by themselves."))
            size = self._write(kind, path, drafts)
            names, rows = self._label_set.names if task.stacked else [None], []
            for name, draft in zip(names, drafts, strict=True):
                with open(draft, "rb") as file:
                    rows.append({"key": image.key, "class": name, "height": size[0], "width": size[1],
                                 "labels": file.read()})
            encoded[image.key] = rows
        return True

    def _outcome(self, row, write):
        """Return what becomes of a row that `write` gets as a `StoredRow`; failures not of the image are raised."""
        key, self._predicted = self._shown(row), False
        if key in self._done:
            return key, None, False
        try:
            return key, None, write(image_of(row, self._columns))
        except Exception as failure:
            return key, self._listed(failure, key), True

    def _shown(self, row):
        """Return the key of a row, or for one without what it begins with."""
        try:
            return image_of(row, self._columns).key
        except ValueError:
            named = next((value for value in row.values() if isinstance(value, str) and value), "")
            return f"{named} (a record without a name or image)"

    @contextlib.contextmanager
    def _drafts(self, kind):
        """Yield paths of this worker alone, on the output's file system, for the label files of one image."""
        paths = label_paths(self._work, "labels" + kind.suffix, self._label_set, self._run.task)
        try:
            yield paths
        finally:
            for path in paths:
                if os.path.exists(path):
                    os.remove(path)

    def _write(self, kind, path, targets):
        """Segment the image at `path` into `targets`; return its height and width."""
        def predict(pixels, **options):
            labels = self._predictor(pixels, **options)
            self._predicted = True
            return labels

        _, labels = kind.write(predict, path, targets, self._label_set, self._run.in_channels, self._run.pixel_range)
        return labels.shape[:2]

    def _listed(self, failure, key):
        """Return what is written of an image that failed; failures that are not the image's own are raised."""
        if is_out_of_memory(failure):
            raise failure
        if isinstance(failure, OSError) and self._predicted:  # the image was read: its labels cannot be written
            with files.refusals(self._output):
                raise failure
        return str(failure) if isinstance(failure, (ValueError, OSError)) else f"{key}: {failure!r}"


def _digest(keys):
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()[:16]
