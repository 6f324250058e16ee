"""Public names resolved on first use (PEP 562), so that importing a package loads no TensorFlow."""

import importlib


def attach(package, table):
    """Return `(__getattr__, __dir__)` for `package`.

    Args:
        package: str, the package's `__name__`.
        table: dict, public name -> module that defines it; the name of a module itself maps to None.
    """

    def getattr_(name):
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if table[name] is None:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(table[name]), name)

    return getattr_, lambda: sorted(table)
