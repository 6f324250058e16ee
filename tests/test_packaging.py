"""What pyproject.toml says of the package holds: all its files are shipped, all it imports is required."""

import ast
import importlib.metadata
import pathlib
import re
import sys
import tomllib

import pytest

import kseg
from tests.campaigns.versions import lower_bounds

PACKAGE = pathlib.Path(kseg.__file__).parent
CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
FILE = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PROJECT, DATA = FILE["project"], FILE["tool"]["setuptools"]["package-data"]
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
FOR_DEVELOPERS = {"dev", "docs"}
COME_WITH = {"fsspec": {"ray"}, "google": {"tensorflow"}, "h5py": {"keras"}, "markupsafe": {"jinja2"},
             "pyarrow": {"ray"}}


def shipped(package, pattern):
    return set(PACKAGE.parent.joinpath(*package.split(".")).glob(pattern))


def test_every_file_of_the_package_is_shipped():
    others = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    patterns = [(package, pattern) for package, listed in DATA.items() for pattern in listed]
    assert others - set().union(*(shipped(*pair) for pair in patterns)) == set(), "add a pattern to package-data"
    assert [pair for pair in patterns if not shipped(*pair)] == [], "these patterns name no file"


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]
    assert FILE["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "kseg.__version__"}
    citation = CHECKOUT / "CITATION.cff"  # needs it in its own words
    if citation.exists():
        assert f"\nversion: {kseg.__version__}\n" in citation.read_text()


def test_python_versions_are_told_alike():
    lowest = int(re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1])
    told = [line.rpartition(".")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert told == [str(minor) for minor in range(lowest, lowest + len(told))] and len(told) > 1
    assert f"Python 3.{lowest}" in (CHECKOUT / "README.md").read_text()


def test_extras_are_named_in_the_readme():
    readme = (CHECKOUT / "README.md").read_text()
    extras = set(PROJECT["optional-dependencies"]) - FOR_DEVELOPERS
    assert {extra for extra in extras if f"`{extra}`" not in readme} == set()


@pytest.mark.parametrize("path", [path for path, tree in TREES.items() if "missing(" in path.read_text()],
                         ids=lambda path: path.name)
def test_errors_advise_extras_that_exist(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "checks.missing":
            extra = node.args[3]
            if isinstance(extra, ast.Constant):
                assert extra.value in PROJECT["optional-dependencies"], f"line {node.lineno}"


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_whatever_is_imported_is_required():
    """But for JAX, the user's own backend."""
    owners = importlib.metadata.packages_distributions()
    required = {name.replace("_", "-") for name in lower_bounds(PROJECT)}
    names = {name for tree in TREES.values() for name in imported(tree)} - sys.stdlib_module_names
    names -= {"kseg", "jax"}
    assert len(names) > 10
    for name in names:
        packages = {owner.lower().replace("_", "-") for owner in owners.get(name, [name])} | COME_WITH.get(name, set())
        assert packages & required, f"{name} comes with {packages}, which pyproject.toml does not require"


@pytest.mark.parametrize("requirement", ["numpy", "numpy==2.0", "numpy>=2.0,<3", "numpy>2"])
def test_a_requirement_without_a_plain_bound_is_refused(requirement):
    with pytest.raises(ValueError, match=r"name>=version, got 'numpy"):
        lower_bounds({"name": "kseg", "dependencies": ["scipy>=1.14"], "optional-dependencies": {"one": [requirement]}})
