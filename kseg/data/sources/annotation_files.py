"""Where annotation files and the images they name are, in the layouts that tools export.

What a file says is not trusted: an image is only looked for below the folders given, and what is missing is named.
"""

import glob
import os
import re
from collections.abc import Sequence

from kseg import checks
from kseg.data.sources.base import SPLIT_NAMES

_SHOWN = 12  # entries of a folder that a message lists


def find_file(name: str, data_dir: str, split: str, annotations: str | os.PathLike | None,
              layouts: Sequence[str], whole: Sequence[str] = ()) -> str:
    """Return the path of the annotation file of a split.

    Args:
        name: str, of the dataset, for messages.
        data_dir: str, an existing folder.
        split: "train", "validation" or "test"; `{split}` in paths stands for each of its usual names.
        annotations: path of the file, or of a folder to look in, from `data_dir` or as it is; None: `data_dir`.
        layouts: patterns of `glob` below that folder, in order.
        whole: likewise, of files that know no splits; they are taken for "train" alone.
    Raises:
        FileNotFoundError: if none fits; the message shows what is there and what would fit.
        ValueError: if several fit.
    """
    folder = data_dir
    if annotations is not None:
        given = [place for place in _places(os.fspath(annotations), data_dir, split) if os.path.exists(place)]
        if not given:
            raise FileNotFoundError(checks.sentence(
                "annotations", f"must be the path of a file or folder, from data_dir {data_dir!r} or as it is",
                os.fspath(annotations), what_is_there(data_dir)))
        if os.path.isfile(given[0]):
            return given[0]
        folder = given[0]
    for pattern in [*layouts, *(whole if split == "train" else ())]:
        for split_name in SPLIT_NAMES[split]:
            found = sorted(glob.glob(os.path.join(glob.escape(folder), pattern.replace("{split}", split_name))))
            if len(found) > 1:
                raise ValueError(checks.sentence(
                    "annotations", f"must say which file is meant where several fit split {split!r}",
                    None if annotations is None else os.fspath(annotations), f"Pass one of {found}."))
            if found:
                return found[0]
    raise FileNotFoundError(_none_fits(name, folder, split, layouts, whole))


def _places(path, data_dir, split):
    """Yield where an argument `annotations` may mean, `{split}` replaced."""
    for split_name in SPLIT_NAMES[split]:
        yield os.path.join(data_dir, path.replace("{split}", split_name))
        yield path.replace("{split}", split_name)


def _none_fits(name, folder, split, layouts, whole):
    undivided = [pattern for pattern in whole if os.path.isfile(os.path.join(folder, pattern))]
    if undivided:
        return checks.sentence(
            "split", f"must be 'train' for {undivided[0]!r} in {folder!r}, which holds one list of images", split,
            "Export or divide the splits into files of their own and pass for example annotations='{split}.json'.")
    expected = [pattern.replace("{split}", SPLIT_NAMES[split][0]) for pattern in layouts]
    return checks.sentence(
        "data_dir", f"must hold split {split!r} of {name!r}", folder,
        f"Expected one of {[*expected, *(whole if split == 'train' else ())]}, or pass annotations. "
        + what_is_there(folder))


def what_is_there(folder: str) -> str:
    """Return a sentence on the entries of a folder, the annotation files below first."""
    files = [os.path.relpath(path, folder) for ending in ("json", "yaml") for depth in ("", "*/")
             for path in sorted(glob.glob(os.path.join(glob.escape(folder), depth + "*." + ending)))]
    others = sorted(entry + os.sep * os.path.isdir(os.path.join(folder, entry)) for entry in os.listdir(folder))
    entries = list(dict.fromkeys([*files, *others]))
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"There is {', '.join(entries[:_SHOWN]) or 'nothing'}{more}."


def image_folders(data_dir: str, split: str, annotation_file: str) -> list[str]:
    """Return the folders, nearest first, in which the images that an annotation file names may be."""
    beside, stem = os.path.dirname(annotation_file), os.path.splitext(os.path.basename(annotation_file))[0]
    own = stem.partition("_")[2] or stem  # instances_train2017.json → train2017
    names = [glob.escape(own), *SPLIT_NAMES[split], *(name + "20[0-9][0-9]" for name in SPLIT_NAMES[split])]
    patterns = [os.path.join(*parts) for name in names for parts in ((name, "images"), ("images", name), (name,))]
    below = [path for pattern in patterns for path in sorted(glob.glob(pattern, root_dir=data_dir))]
    folders = [beside, os.path.join(beside, "images"), *(os.path.join(data_dir, path) for path in below),
               os.path.join(data_dir, "images"), data_dir]
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]


def find_images(names: Sequence[str], folders: Sequence[str], annotation_file: str, data_dir: str,
                problems: list | None) -> list[str | None]:
    """Return the path of the image of each name, or None where it is missing.

    All are in one of the folders: the first with all of them, else the one with most. A name may begin with the path
    it had elsewhere.

    Raises:
        ValueError: if an image is missing, or two names lead to one file, and `problems`, which otherwise takes them
            as (kind, path, message), is None.
    """
    best = [None] * len(names)
    for folder in folders:
        found = [_below(folder, name) for name in names]
        if found.count(None) < best.count(None):
            best = found
        if None not in best:
            break
    taken = {}
    for place, (name, path) in enumerate(zip(names, best)):
        if path is None:
            report(problems, "missing partner", os.path.join(data_dir, name), checks.sentence(
                "data_dir", f"must hold every image that {annotation_file!r} names; {name!r} is not in the folders "
                f"looked in, {list(folders)}", data_dir, "Add the image, or pass the folder of the images as data_dir "
                "and the path of the file as annotations."))
        elif taken.setdefault(path, place) != place:
            best[place] = None
            report(problems, "same name", path, checks.sentence(
                "data_dir", f"must hold an image of its own for each that {annotation_file!r} names; {name!r} and "
                f"{names[taken[path]]!r} are both {path!r}", data_dir, "Keep one of the two in the file."))
    return best


def report(problems: list | None, kind: str, path: str, message: str) -> None:
    """Raise ValueError with the message, or add (kind, path, message) to `problems` if that is a list."""
    if problems is None:
        raise ValueError(message)
    problems.append((kind, path, message))


def _below(folder, name):
    """Return the path of the file `name` below a folder, as much of its own folders left out as is needed, or None."""
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]
    for start in range(len(parts)):
        path = os.path.join(folder, *parts[start:])
        if os.path.isfile(path):
            return path
    return None
