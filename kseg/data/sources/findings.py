"""What `kseg.data.check` has found so far."""

import hashlib


class Findings:
    """Errors and warnings in the order in which they were found, and which images were seen.

    Attributes:
        errors: list of dict with "kind", "path" and "message"; training would fail on each.
        warnings: list of dict likewise; training would run, but perhaps not as meant.
    """

    def __init__(self) -> None:
        self.errors: list[dict] = []
        self.warnings: list[dict] = []
        self.paths: dict[str, str] = {}  # digest of an encoded image → path of the first image that has it

    def error(self, kind: str, path: str, message: str) -> None:
        """Note an error."""
        self.errors.append({"kind": kind, "path": path, "message": message})

    def warn(self, kind: str, path: str, message: str) -> None:
        """Note a warning; its message begins with the path."""
        self.warnings.append({"kind": kind, "path": path, "message": f"{path}: {message}"})

    def image(self, path: str, content: bytes) -> None:
        """Note the encoded image at `path`, and a warning if an earlier one has the same content."""
        earlier = self.paths.get(_digest(content))
        if earlier is not None:
            self.warn("duplicate image", path, f"holds the same bytes as {earlier}")
        self.paths[_digest(content)] = path

    def path_of(self, content: bytes) -> str | None:
        """Return the path of the image with this content, or None."""
        return self.paths.get(_digest(content))


def _digest(content):
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
