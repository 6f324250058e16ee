"""Files without splits, divided in shares: by a hash of their names, so that every process divides alike."""

import dataclasses
import functools
import hashlib
import logging
import os
import re
from collections.abc import Sequence

import numpy as np

from kseg import checks
from kseg.data.sources.base import SPLITS

_LOG = logging.getLogger("kseg")
FRACTIONS = (0.8, 0.1, 0.1)


class EmptyShare(FileNotFoundError, ValueError):
    """A split that gets no file: it is not there, as a folder may not be."""


@dataclasses.dataclass(frozen=True)
class Division:
    """How files are given to splits where no folder says so; the arguments `split_…` of `kseg.data.source`."""

    fractions: tuple[float, float, float] | None = None
    groups: str | None = None
    seed: int | None = None
    lists: str | dict[str, str] | None = None

    @classmethod
    def of_options(cls, split_fractions: Sequence[float] | None, split_groups: str | None, split_seed: int | None,
                   split_lists: str | dict[str, str] | None) -> "Division":
        """Return the division that arguments ask for.

        Raises:
            ValueError, TypeError: if one is illegal.
        """
        if split_seed is not None:
            checks.positive_integer("split_seed", split_seed, "Pass a whole number from 0.", minimum=0)
        if split_groups is not None:
            try:
                re.compile(split_groups)
            except (re.error, TypeError) as failure:
                raise ValueError(checks.sentence("split_groups", "must be a regular expression", split_groups,
                                                 r'Write for example "scene_(\d+)_".')) from failure
        if split_lists is not None and not isinstance(split_lists, dict) and "{split}" not in split_lists:
            raise ValueError(checks.sentence("split_lists", "must hold {split}, or be a dict from split to path",
                                             split_lists, 'Write for example "lists/{split}.txt".'))
        return cls(_checked(split_fractions), split_groups, split_seed, split_lists)

    @property
    def shares_asked(self) -> bool:
        """Whether the user asks for shares."""
        return not (self.fractions is None and self.groups is None and self.seed is None)

    def refuse_shares(self, where: str) -> None:
        """Raise ValueError if the user asks for shares `where` something else says which split a file belongs to."""
        for name in ("fractions", "groups", "seed"):
            if getattr(self, name) is not None:
                raise ValueError(checks.sentence(
                    f"split_{name}", f"must be left out {where}", getattr(self, name),
                    "Pass the folder to be divided as data_dir, or image_pattern and label_pattern without {split}."))

    def part(self, pairs: list[tuple[str, str]], split: str, data_dir: str) -> list[tuple[str, str]]:
        """Return the pairs of a split.

        The groups lie side by side in the order of their hashes, each as long as it has files; "validation" takes the
        first share, "test" the next, "train" the rest; a group belongs to the split in whose share its middle lies, and
        each split with a share has one at least, if there are enough. A new file moves the borders by less than itself.

        Raises:
            ValueError: if an image is in no group, or no group falls to the split.
        """
        groups = {}
        for pair in pairs:
            groups.setdefault(self._group(pair[0], data_dir), []).append(pair)
        shares = self.fractions or FRACTIONS
        order = sorted(groups, key=self._hash)
        owners = _owners([len(groups[group]) for group in order], *shares)
        chosen = {pair for group, owner in zip(order, owners) if owner == split for pair in groups[group]}
        if not self.shares_asked:
            _tell(data_dir, len(pairs), *FRACTIONS)
        if not chosen and pairs:
            raise EmptyShare(checks.sentence(
                "split_fractions", f"must give a group to {split!r}; there are {len(groups)} groups, of {len(pairs)} "
                "files", shares, "Raise its share, or add files."))
        return [pair for pair in pairs if pair in chosen]

    def _group(self, path, data_dir):
        name = os.path.relpath(path, data_dir).replace(os.sep, "/")
        if self.groups is None:
            return os.path.splitext(name)[0]
        match = re.search(self.groups, name)
        if match is None:
            raise ValueError(checks.sentence(
                "split_groups", f"must match the path of every image; {name!r} has no match", self.groups,
                "Correct the expression, or remove the file."))
        return "\0".join(part or "" for part in match.groups() or [match[0]])

    def _hash(self, group):
        return hashlib.sha256(f"{self.seed or 0}\0{group}".encode()).digest()


def _owners(sizes, train, validation, test):
    """Return the split of each of the groups of so many files, in their order."""
    middles = (np.cumsum(sizes) - np.array(sizes) / 2) / max(sum(sizes), 1)
    owners = ["validation" if middle < validation else "test" if middle < validation + test else "train"
              for middle in middles]
    if test > 0 and len(owners) > 2:
        owners[max(1, owners.count("validation")) if validation > 0 else 0] = "test"
    if validation > 0 and len(owners) > 1:
        owners[0] = "validation"
    if train > 0 and owners:
        owners[-1] = "train"
    return owners


def _checked(fractions):
    """Return an argument `split_fractions` as three floats, or None."""
    if fractions is None:
        return None
    if not isinstance(fractions, (tuple, list)) or len(fractions) not in (2, 3):
        raise TypeError(checks.sentence("split_fractions", f"must be the shares of {SPLITS}", fractions,
                                        "Write for example (0.8, 0.1, 0.1), or (0.8, 0.2) without a test split."))
    shares = [checks.number_between("split_fractions", share, 0, 1) for share in fractions]
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(checks.sentence("split_fractions", "must add up to 1", fractions,
                                         "Write for example (0.8, 0.1, 0.1)."))
    return tuple((*shares, 0.0)[:3])


@functools.cache
def _tell(data_dir, count, train, validation, test):
    """Log once that files are divided without being asked."""
    _LOG.warning("%s has no splits: kseg takes %.0f%% of its %d pairs for training, %.0f%% for validation and %.0f%% "
                 "for test, by a hash of their names. Pass split_fractions for other shares, and split_groups where "
                 "several images show one scene", data_dir, 100 * train, count, 100 * validation, 100 * test)


@functools.cache
def tell_of_equal_splits(data_dir: str, image_pattern: str) -> None:
    """Log once that patterns give the same files to every split."""
    _LOG.warning("image_pattern=%r says nothing about splits: every split of %s has all of its files. Write {split} "
                 "into the patterns, or pass split_fractions", image_pattern, data_dir)
