"""Images of one split that another holds too: what is tested on must not have been trained on."""

import contextlib
import typing
from collections.abc import Callable

from kseg.data import sources
from kseg.data.sources.base import Findings


def other_splits(source: sources.Source, name: str, **options: typing.Any) -> list[sources.Source]:
    """Return the sources of the splits other than `source`'s that are there; arguments as `kseg.data.source`."""
    others = []
    for split in sources.SPLITS:
        if split != source.split:
            with contextlib.suppress(ValueError, OSError):
                others.append(sources.source(name, split, problems=[], **options))
    return others


def compare(findings: Findings, source: sources.Source, other: sources.Source,
            progress: Callable[[int, int], None]) -> None:
    """Note the images of another split that the source's split holds too, or that look like one of it.

    `findings` know the images of `source`; `progress` is called with (done, total) after each image of `other`.
    Those that look alike are noted in order, the most alike first.
    """
    alike = []
    for index in range(len(other)):
        path = other.describe(index)
        try:
            content = other.stored_image(index)
            equal = None if content is None else findings.path_of(content)
            near = None if equal is not None or not len(findings.looks) else findings.looks.nearest(
                other.read(index)[0])
        except other.failures:
            equal = near = None
        if equal is not None:
            findings.warn("duplicate across splits", path,
                          f"({other.split}) holds the same bytes as {equal} ({source.split})")
        if near is not None:
            alike.append((near[1], path, f"({other.split}) looks like {near[0]} ({source.split}): {near[1]} of 64 bits "
                          "of their difference hashes differ"))
        progress(index + 1, len(other))
    for _, path, message in sorted(alike):
        findings.warn("near-duplicate across splits", path, message)
