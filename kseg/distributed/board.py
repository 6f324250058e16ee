"""What the workers of a training say to the driver and to each other. Loads no TensorFlow."""

import typing


class Board:
    """An actor of Ray's that outlives the workers."""

    def __init__(self) -> None:
        self._notes: list[tuple[str, typing.Any]] = []
        self._addresses: dict[str, dict[int, str]] = {}

    def post(self, kind: str, value: typing.Any) -> None:
        """Add a note of a kind: "start", "step", "scores", "warning" or "failure"."""
        self._notes.append((kind, value))

    def take(self) -> list[tuple[str, typing.Any]]:
        """Return the notes since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def meet(self, start: str, index: int, address: str) -> dict[int, str]:
        """Note the address of a worker of one start; return those known so far, by worker."""
        self._addresses.setdefault(start, {})[index] = address
        return self._addresses[start]
