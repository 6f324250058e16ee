"""Sets of images as rows of a Ray dataset: a folder or a list of files, or records that hold the encoded images."""

import contextlib
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kseg import checks
from kseg.distributed.streaming import in_pieces

if TYPE_CHECKING:
    import ray.data

_RECORDS = {"parquet": re.compile(r"\.(parquet|pq)$"), "webdataset": re.compile(r"\.tar$"),
            "tfrecord": re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")}
_LEGAL = ("must be a folder of images, a .txt file with a path per line, or records: a .parquet, .tar or .tfrecord file"
          " or a folder of such")
_KEYS = ("__key__", "key", "path", "filename", "file_name", "name", "id", "image_id", "image/filename")
_IMAGES = ("image", "jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "npy", "image_bytes", "bytes", "content",
           "image/encoded")
_FILE = "__file__"  # the column with the path of an image
_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".npy")


class ImageSet(NamedTuple):
    """Images to be segmented.

    Attributes:
        place: str, where they are: an absolute path or an address.
        count: int, or None where only their end will tell.
        kind: "files", "parquet", "webdataset" or "tfrecord".
        files: of files: path → (key, name of its results).
        shards: of records: their paths.
        columns: of records: the names of the columns with the image and the key, None where they are to be found.
    """

    place: str
    kind: str
    count: int | None
    files: dict[str, tuple[str, str]]
    shards: list[str]
    columns: tuple[str | None, str | None]

    def dataset(self, done: Collection[str], workers: int) -> "ray.data.Dataset":
        """Return the images whose keys are not `done`, as rows for `image_of`; of records all."""
        import ray.data

        if self.kind == "files":
            rows = [{"key": key, "name": name, _FILE: path} for path, (key, name) in self.files.items()
                    if key not in done]
            return in_pieces(rows, workers)
        options = {"num_cpus": 0,  # the workers may have them all, and would wait for ever
                   "override_num_blocks": max(len(self.shards), 2 * workers)}
        if self.kind == "parquet":
            columns = [column for column in self.columns if column]
            return ray.data.read_parquet(self.shards, columns=columns if len(columns) == 2 else None, **options)
        if self.kind == "webdataset":
            return ray.data.read_webdataset(self.shards, decoder=None, **options)
        return ray.data.read_tfrecords(self.shards, **options)

    def left(self, done: Collection[str]) -> int:
        """Return how many files are not `done`."""
        return sum(key not in done for key, _ in self.files.values())


def image_set(images: str | os.PathLike, image_column: str | None = None, key_column: str | None = None) -> ImageSet:
    """Return the images at a place.

    Args:
        images, image_column, key_column: as `kseg.distributed.predict`.
    Raises:
        FileNotFoundError: if nothing stands there, a listed file is missing, or a folder holds no images.
        ValueError: if it is something else, or an image is listed twice.
    """
    place, columns = os.fspath(images), (image_column, key_column)
    if "://" not in place:
        place = os.path.abspath(place)
    if os.path.isdir(place):
        shards = {kind: sorted(os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names
                               if ending.search(name.lower()) and not name.startswith("."))
                  for kind, ending in _RECORDS.items()}
        kinds = [kind for kind, found in shards.items() if found]
        if len(kinds) == 1:
            return _records(place, kinds[0], shards[kinds[0]], columns)
        if kinds:
            raise ValueError(checks.sentence("images", "must hold records of one kind", images,
                                             f"There are {' and '.join(kinds)}: give one of them."))
        return _files(place, _below(place))
    kind = next((kind for kind, ending in _RECORDS.items() if ending.search(place.lower())), None)
    if "://" not in place:
        checks.existing_file("images", place, "Give a folder, a list of files, or records.")
    elif kind is None:
        raise ValueError(checks.sentence("images", _LEGAL, place, "Of addresses, those of records are read."))
    if kind is not None:
        return _records(place, kind, [place], columns)
    if not place.lower().endswith(".txt"):
        raise ValueError(checks.sentence("images", _LEGAL, os.fspath(images), "One file: kseg.predict."))
    return _files(place, _listed(place))


def _below(folder):
    from kseg.inference.file_prediction import image_files

    return image_files(folder, "images")


def _listed(place):
    """Return the files of a list: path → key, the line as it stands, an absolute one without its first slash."""
    found, keys = {}, set()
    with open(place, encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if not line:
                continue
            path = os.path.join(os.path.dirname(place), line)
            key = os.path.normpath(line)
            key = (os.path.abspath(path) if key.startswith("..") else key).lstrip("/")
            if path in found or key in keys:
                raise ValueError(checks.sentence("images", "must list every file once", line,
                                                 "Sort the list and drop what is there twice: sort -u."))
            checks.existing_file("images", path, f"It is listed in {place}: paths are taken from its folder.")
            found[path] = key
            keys.add(key)
    if not found:
        raise FileNotFoundError(checks.sentence("images", "must list at least one file", place, "Write a path a line."))
    return found


def _files(place, found):
    from kseg.inference.file_prediction import result_names

    names = result_names(found, "images")
    return ImageSet(place, "files", len(found), {path: (key, names[path]) for path, key in found.items()}, [],
                    (None, None))


def _records(place, kind, shards, columns):
    count = None
    if kind == "parquet" and "://" not in place:
        import pyarrow
        from pyarrow import parquet

        count = 0
        for shard in shards:
            try:
                held = parquet.read_metadata(shard)
                count += held.num_rows
            except (OSError, pyarrow.ArrowInvalid) as failure:
                raise ValueError(checks.sentence("images", f"must be Parquet files ({failure})", shard,
                                                 "It is damaged or of another kind.")) from failure
            columns = _columns_in(held.schema.to_arrow_schema(), *columns)
        if not count:
            raise FileNotFoundError(checks.sentence("images", "must hold at least one image", place, "It is empty."))
    return ImageSet(place, kind, count, {}, shards, columns)


def _columns_in(schema, image, key):
    """Return the columns of the image and of the key in an Arrow schema; no key where images come with their paths."""
    image = checks.one_of("image_column", image, schema.names) if image else _found("image_column", _IMAGES,
                                                                                     schema.names)
    kind = schema.field(image).type
    if key is None and hasattr(kind, "fields") and "path" in [field.name for field in kind.fields]:
        return image, None
    return image, checks.one_of("key_column", key, schema.names) if key else _found("key_column", _KEYS, schema.names)


class StoredRow(NamedTuple):
    """An image of a set, as a worker gets it.

    Attributes:
        key: what tells it from the others; a path relative to the set.
        name: what its results are called, a relative path without suffix.
        path: of its file; None for a record.
        content: of a record, the encoded image; else None.
        suffix: of a record's file.
    """

    key: str
    name: str
    path: str | None
    content: bytes | None
    suffix: str

    @contextlib.contextmanager
    def as_file(self) -> Iterator[str]:
        """Yield the path of the image; a record's is read from a file too, in every format as `kseg.predict` reads."""
        if self.path is not None:
            yield self.path
            return
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, os.path.basename(self.key) + self.suffix)
            with open(path, "wb") as file:
                file.write(self.content)
            yield path


def image_of(row: Mapping[str, Any], columns: tuple[str | None, str | None]) -> StoredRow:
    """Return the image in a row of an `ImageSet`, by its `columns`.

    Raises:
        ValueError: if the row holds no encoded image or no key, or the key is no relative path.
    """
    if _FILE in row:
        return StoredRow(row["key"], row["name"], row[_FILE], None, "")
    filled = [name for name, value in row.items() if value is not None]
    column = columns[0] or _found("image_column", _IMAGES, filled)
    image, key = row.get(column), None
    if isinstance(image, dict):  # of Hugging Face's datasets
        image, key = image.get("bytes"), image.get("path")
    if not isinstance(image, bytes):
        raise ValueError(checks.sentence("image_column", "must hold encoded images, bytes", f"{column}: "
                                         f"{type(image).__name__}", f"The columns are {sorted(row)}."))
    if columns[1] or key is None:
        key = row.get(columns[1] or _found("key_column", _KEYS, filled))
    key = safe_key(key)
    suffix = f".{column}" if not os.path.splitext(key)[1] and f".{column}" in _SUFFIXES else ""
    return StoredRow(key, key, None, image, suffix)


def safe_key(key: Any) -> str:
    """Return a record's key as a relative path, below which its results are written; ValueError if it is none."""
    text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    if key is None or not parts or ".." in parts or "\0" in text:
        raise ValueError(checks.sentence("key_column", "must hold names or relative paths", key,
                                         "Results are written under these names."))
    return "/".join(parts)


def _found(argument, usual, columns):
    """Return the first of the `usual` names that is among the columns, for an `argument` that was not given."""
    name = next((name for name in usual if name in columns), None)
    if name is None:
        raise ValueError(checks.sentence(argument, "must be given where no column has one of the usual names", None,
                                         f"The columns are {sorted(columns)}."))
    return name
