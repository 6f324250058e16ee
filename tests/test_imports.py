"""The layout holds: rooms import only earlier rooms, and importing kseg loads no TensorFlow."""

import ast
import pathlib
import subprocess
import sys

import pytest

import kseg

PACKAGE = pathlib.Path(kseg.__file__).parent
# Models come compiled with a loss and a metric, so losses and metrics stand before models.
ROOMS = ["types", "checks", "labels", "tasks", "files", "pages", "pictures", "machine", "_lazy", "replicas", "data",
         "layers", "encoders", "losses", "metrics", "models", "pretrained", "inference", "training", "distributed",
         "export", "serving", "demo", "cli"]
FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "kseg":
                yield from (f"kseg.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_only_earlier_rooms(path):
    here = room(path)
    if here == "__init__":
        return
    for module in imported_modules(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] == "kseg" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= ROOMS.index(here), f"{here} imports {module}"
        assert not module.startswith("keras.src"), "private Keras API"


def imported_files(path):
    """Yield the files of the package that `path` imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kseg":
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            file = PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
            if file in FILES:
                yield file


def test_no_file_imports_itself_by_a_detour():
    """Packages' `__init__` files hand names on and are not counted."""
    imports = {path: set(imported_files(path)) for path in FILES if path.name != "__init__.py"}
    for start in imports:
        reached, waiting = set(), [start]
        while waiting:
            found = imports[waiting.pop()] - reached
            reached |= found
            waiting += found
        assert start not in reached, start


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_assert_no_print(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), f"assert in line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"print in line {node.lineno}"


@pytest.mark.parametrize("statement", ["import kseg", "import kseg.serving.client", "import kseg.labels",
                                       "import kseg.distributed.cluster, kseg.distributed.board",
                                       "from kseg.cli import main"])
def test_light_imports_load_no_tensorflow(statement):
    code = f"{statement}; import sys; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_resolves():
    for module in (kseg, kseg.layers, kseg.models, kseg.encoders, kseg.data, kseg.losses, kseg.metrics, kseg.training,
                   kseg.distributed, kseg.inference, kseg.export, kseg.serving):
        for name in dir(module):
            if not name.startswith("_"):
                assert getattr(module, name) is not None, f"{module.__name__}.{name}"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'kseg' has no attribute 'modles'"):
        kseg.modles
