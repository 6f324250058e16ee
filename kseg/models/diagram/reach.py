"""Which steps of a flow need which."""

from collections.abc import Iterable
from typing import Any

from kseg.layers import CropTo, MaxUnpooling2D, ResizeTo
from kseg.models.diagram.flow import Flow, Place

_SIZE_ONLY = {CropTo: (1,), ResizeTo: (1,), MaxUnpooling2D: (2,)}  # inputs of which only the size is read


def data_of(step: Any) -> list[Place]:
    """Return the sources of a step whose values it reads, not their size alone."""
    unread = next((numbers for kind, numbers in _SIZE_ONLY.items() if isinstance(step.layer, kind)), ())
    return [place for number, place in enumerate(step.sources) if number not in unread]


def reached(flow: Flow, places: Iterable[Place]) -> set[int]:
    """Return the indices of the steps that `places` need."""
    waiting, found = [index for index, _ in places], set()
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += [source for source, _ in data_of(flow.steps[index])]
    return found


def stages_of(flow: Flow) -> dict[int, str]:
    """Return step -> name of the first tap that needs it."""
    stages = {}
    for name, place in flow.taps.items():
        if name == "low_level":  # a tensor inside a stage
            continue
        for index in reached(flow, [place]):
            if flow.steps[index].in_encoder:
                stages.setdefault(index, name)
    return stages


def readers_of(flow: Flow, needed: Iterable[int]) -> dict[Place, int]:
    """Return how many of the `needed` steps and outputs read each place."""
    readers = {}
    for index in needed:
        for place in data_of(flow.steps[index]):
            readers[place] = readers.get(place, 0) + 1
    for place in flow.outputs:
        readers[place] = readers.get(place, 0) + 1
    return readers
