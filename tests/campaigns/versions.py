"""`python -m tests.campaigns.versions`: the tests under the lowest versions that pyproject.toml allows and the newest.

Two environments with every extra are made below the output folder, by uv where it is installed, by pip otherwise. In
the lowest each requirement is held to its bound, so a bound that is no release, or that no other requirement leaves
room for, fails before a test runs. This file needs nothing but Python: environments are kept and made to fit again.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SELECTIONS = (["-m", "not slow and not many_minutes"],
              ["-m", "slow and not many_minutes", "tests/export", "tests/training"])
_LOWER_BOUND = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)")


def project():
    """Return the table `project` of pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def lower_bounds(table):
    """Return `{package: version}` of all that `table` requires, extras included, in lower case."""
    bounds = {}
    for requirement in sum(table["optional-dependencies"].values(), table["dependencies"]):
        if requirement.startswith(f"{table['name']}["):  # the extra that is made of other extras
            continue
        found = _LOWER_BOUND.fullmatch(requirement)
        if not found:
            raise ValueError(f"`pyproject.toml` must require every package as name>=version, got {requirement!r}.")
        bounds[found[1].lower()] = found[2]
    return bounds


def install(folder, python, constraints):
    """Make the environment `folder` for the interpreter `python`, with the checkout, all its extras, and `constraints`.

    Raises:
        subprocess.CalledProcessError: if the versions do not go together.
    """
    inside = folder / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    (folder / "constraints.txt").write_text("".join(f"{name}=={bound}\n" for name, bound in constraints.items()))
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--python", str(inside)] if uv else [str(inside), "-m", "pip", "install"]
    subprocess.run([*installer, "--quiet", "--upgrade", "--constraint", str(folder / "constraints.txt"),
                    "--editable", f"{CHECKOUT}[{','.join(project()['optional-dependencies'])}]"], check=True)
    listing = [uv, "pip", "freeze", "--python", str(inside)] if uv else [str(inside), "-m", "pip", "freeze"]
    with open(folder / "versions.txt", "w") as file:
        subprocess.run(listing, check=True, stdout=file)


def test(folder, selections):
    """Return how many of `selections`, arguments of pytest, failed in the environment `folder`."""
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-n", "2", "--dist", "worksteal"]
    environment = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
    return sum(subprocess.run([*command, *selection], cwd=CHECKOUT, env=environment).returncode != 0
               for selection in selections)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.versions", description=__doc__.splitlines()[0])
    parser.add_argument("environments", nargs="*", help="lowest, newest; left out: both")
    parser.add_argument("--lowest-python", default=sys.executable, help="its interpreter (default: this one)")
    parser.add_argument("--newest-python", default=sys.executable, help="its interpreter (default: this one)")
    parser.add_argument("--output", default="campaigns/versions", type=pathlib.Path, help="folder of the environments")
    parser.add_argument("--only", nargs=argparse.REMAINDER, help="arguments of pytest in place of the usual tests")
    options = parser.parse_args(arguments)
    if not set(options.environments) <= {"lowest", "newest"}:
        parser.error(f"environments are lowest and newest, got {' '.join(options.environments)}")
    results = {}
    for name in options.environments or ("lowest", "newest"):
        folder = options.output.resolve() / name
        constraints = lower_bounds(project()) if name == "lowest" else {}
        try:
            install(folder, getattr(options, f"{name}_python"), constraints)
        except subprocess.CalledProcessError:
            results[name] = "not installed"
            continue
        failed = test(folder, [options.only] if options.only else SELECTIONS)
        results[name] = "failed" if failed else "passed"
    for name, result in results.items():
        print(f"{name}: {result}; its versions: {options.output / name / 'versions.txt'}")
    return 0 if set(results.values()) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
