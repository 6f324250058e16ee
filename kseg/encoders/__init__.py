"""Encoders: library networks as features c1…c5 at output stride 8, 16 or 32."""

from kseg._lazy import attach

_PUBLIC = {
    "build_encoder": "kseg.encoders.build",
    "canonical_name": "kseg.encoders.build",
    "names": "kseg.encoders.build",
    "parameter_count": "kseg.encoders.build",
    "row_of": "kseg.encoders.build",
    "table": "kseg.encoders.build",
}
__all__ = sorted(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
