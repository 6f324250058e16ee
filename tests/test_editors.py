"""Editors and type checkers see what `import kseg` offers, although names resolve on first use."""

import ast
import pathlib
import subprocess
import sys

import pytest

import kseg

PACKAGE = pathlib.Path(kseg.__file__).parent
LAZY = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "_PUBLIC = {" in path.read_text()]
PROGRAM = """
import kseg

train = kseg.data.load("shapes", "train", image_size=(128, 128), batch_size=8, augment=True)
model = kseg.models.PSPNet(classes=21)
model.fit(train)
labels = kseg.predict(model, "photo.jpg")
loaded = kseg.load_model("m.keras")
report = kseg.export.tflite(model, "m.tflite", image_size=(384, 384), quantize="int8", calibration=train)
size: int = report.size_bytes
"""


def tables(path):
    """Return the run-time table and the names that a type checker imports, each name -> module."""
    package = ".".join(["kseg", *path.parent.relative_to(PACKAGE).parts])
    runtime, checked = None, {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_PUBLIC":
            runtime = ast.literal_eval(node.value)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                checked.update({name.asname: None if line.module == package else line.module for name in line.names})
    return runtime, checked


@pytest.mark.parametrize("path", LAZY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_type_checkers_see_the_names_that_resolve(path):
    runtime, checked = tables(path)
    assert checked == runtime


def test_the_package_says_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def checked(program, folder):
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", "program.py"]
    environment = {"MYPYPATH": str(PACKAGE.parent), "PATH": "", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_program_is_checked(tmp_path):
    right = checked(PROGRAM, tmp_path)
    assert right.returncode == 0, right.stdout
    mistakes = "kseg.models.PSPNett(classes=21)\nkseg.models.PSPNet(klasses=21)\nkseg.prediction\n"
    wrong = checked(PROGRAM + mistakes, tmp_path)
    for mistake in ("PSPNett", "klasses", "prediction"):
        assert f'"{mistake}"' in wrong.stdout
