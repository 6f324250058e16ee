"""Encoders: library networks as features c1…c5 at output stride 8, 16 or 32."""

from typing import TYPE_CHECKING

from kseg._lazy import attach

if TYPE_CHECKING:  # the same names for editors and type checkers; a test holds the two equal
    from kseg.encoders.build import build_encoder as build_encoder
    from kseg.encoders.build import canonical_name as canonical_name
    from kseg.encoders.build import names as names
    from kseg.encoders.build import parameter_count as parameter_count
    from kseg.encoders.build import row_of as row_of
    from kseg.encoders.build import table as table

_PUBLIC = {
    "build_encoder": "kseg.encoders.build",
    "canonical_name": "kseg.encoders.build",
    "names": "kseg.encoders.build",
    "parameter_count": "kseg.encoders.build",
    "row_of": "kseg.encoders.build",
    "table": "kseg.encoders.build",
}
__all__ = sorted(_PUBLIC)
if not TYPE_CHECKING:  # else every misspelt name would pass
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
