"""Where a run's folder is: a path that all machines share, or a URL that is kept in step with a local folder."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from kseg import checks
from kseg.training.run_folder import RunFolder

OWN_FOLDER = ".ray"  # of Ray's, within a run's, while it trains
_LAST = ("state.npz", "run.json")  # written when all they speak of is there


class Storage:
    """The place of a run: `output` as it was given, and as all processes write it: an absolute path, or a URL.

    Raises:
        ImportError: if the URL's file system needs a package that is not installed.
        ValueError: if nobody knows its scheme.
    """

    def __init__(self, output: str | os.PathLike) -> None:
        place = os.fspath(output)
        place = place.removeprefix("file://")
        self.is_url = "://" in place
        self.place = place.rstrip("/") if self.is_url else os.path.abspath(place)
        if self.is_url:
            self.filesystem, self.root = _opened(self.place)

    @contextlib.contextmanager
    def local(self, *names: str) -> Iterator[RunFolder]:
        """Yield the run's folder: itself, or a local one that ends with the block, to which it is copied first.

        Args:
            names: files to copy; none: all.
        """
        if not self.is_url:
            yield RunFolder(self.place)
            return
        with tempfile.TemporaryDirectory(prefix="kseg-run-") as folder:
            for name in self._names():
                if not names or name in names:
                    target = os.path.join(folder, name)
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    self.filesystem.get_file(f"{self.root}/{name}", target)
            yield RunFolder(folder)

    def keep(self, folder: RunFolder, known: dict[str, tuple]) -> None:
        """Copy to the URL what is new in `folder`, each file whole; a path needs no copy.

        Args:
            known: name -> (size, time of change) of what is there already; brought up to date.
        """
        if not self.is_url:
            return
        for name, stamp in _files(folder.path):
            if known.get(name) != stamp:
                target = f"{self.root}/{name}"
                self.filesystem.makedirs(os.path.dirname(target), exist_ok=True)
                self.filesystem.put_file(os.path.join(folder.path, name), target + ".part")
                self.filesystem.mv(target + ".part", target)
                known[name] = stamp

    def stamps(self, folder: RunFolder) -> dict[str, tuple]:
        """Return what `keep` takes for known of a `folder` that has just been copied from here."""
        return dict(_files(folder.path)) if self.is_url else {}

    def _names(self):
        if not self.filesystem.exists(self.root):
            return []
        found = self.filesystem.find(self.root)
        return [name.removeprefix(self.root).lstrip("/") for name in found
                if not name.endswith(".part") and f"/{OWN_FOLDER}/" not in name]


def _files(folder):
    """Return (name, (size, time of change)) of the whole files in `folder`, in the order to copy them."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):  # a draft
                file = os.path.join(path, name)
                found.append((os.path.relpath(file, folder), (os.path.getsize(file), os.stat(file).st_mtime_ns)))
    return sorted(found, key=lambda one: (_LAST.index(one[0]) if one[0] in _LAST else -1, one[0]))


def _opened(url):
    """Return the file system of `url` and the path in it."""
    import fsspec

    scheme = url.partition("://")[0]
    try:
        filesystem, root = fsspec.url_to_fs(url)
    except ImportError as failure:
        raise ImportError(checks.sentence("output", f"needs a package for {scheme}:// ({failure})", url,
                                          "Install it on every machine, or write to a shared folder.")) from failure
    except ValueError as failure:
        raise ValueError(checks.sentence(
            "output", "must be a path, or a URL that fsspec knows, as file://, gs:// and s3://", url,
            "Write to a folder that all machines share.")) from failure
    return filesystem, root.rstrip("/")
