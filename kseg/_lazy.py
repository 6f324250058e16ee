"""Public names resolved on first use (PEP 562), so that importing a package loads no TensorFlow."""

import importlib
import sys
import types


class _Package(types.ModuleType):
    """A package whose public names win over its files: `kseg.export.tflite` is the function in `tflite.py`.

    Importing a file sets it as an attribute of its package, where it would hide the name it holds.
    """

    def __setattr__(self, name, value):
        if isinstance(value, types.ModuleType) and self.__dict__["_PUBLIC"].get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


def attach(package, table):
    """Return `(__getattr__, __dir__)` for `package`.

    Args:
        package: str, the package's `__name__`.
        table: dict, public name -> module that defines it; the name of a module itself maps to None. The package calls
            it `_PUBLIC`.
    """
    sys.modules[package].__class__ = _Package

    def getattr_(name):
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if table[name] is None:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(table[name]), name)

    return getattr_, lambda: sorted(table)
