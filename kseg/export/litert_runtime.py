"""LiteRT.js, which runs TFLite files in browsers: the version that pages are made for, and what its files must hash to.

Only these files are fetched: the module, and the loader and the program for browsers with relaxed SIMD instructions
("litert_wasm_internal") or without ("compat"). The variants of the package for threads and for stack switching are not.
"""

import base64
import hashlib
import os
import pathlib
import shutil

from kseg import checks

PACKAGE = "@litertjs/core"
VERSION = "2.5.3"
ADDRESS = f"https://cdn.jsdelivr.net/npm/{PACKAGE}@{VERSION}/"
# Taken from the package as npm installs it; to be taken again with the next version (`integrity_of`).
INTEGRITY = {
    "dist/index.js": "sha384-MapSVJ/DPwvaWpp7q+Bid9O3uY1oB0KOU1QRMP+Mm5zdz5oMme/BUyX6dVAMWnPg",
    "wasm/litert_wasm_internal.js": "sha384-NB/Wc4iozynQO5jzJ2VFoMKbqMvwwFGWxJL/o63IJT6W2JfZbsSLxA2cF6H/mLpQ",
    "wasm/litert_wasm_internal.wasm": "sha384-AZ/Ak4CbDpjqpSr8WsnoL3Dcx6bDFA/k9b/jahok1TGHZ2OqIRjLBMiEmiNedhlC",
    "wasm/litert_wasm_compat_internal.js": "sha384-oh4nb8zDq6eVOpGeZE5gwDOJ16QujHLL8k/HEXt3XiPxr+8zn3YnkXP8P3BlJET1",
    "wasm/litert_wasm_compat_internal.wasm": "sha384-glAZ6WjS7tLRt89pbTPXvLC1c7DCaVSfL2ngn5gZJiUuPs76fWYJy7ZeFaD0PJXx",
}


def integrity_of(path: str | os.PathLike) -> str:
    """Return the hash of a file as browsers compare it (Subresource Integrity), "sha384-…"."""
    digest = hashlib.sha384(pathlib.Path(path).read_bytes()).digest()
    return f"sha384-{base64.b64encode(digest).decode('ascii')}"


def checked_package(runtime: str | os.PathLike) -> pathlib.Path:
    """Return the folder of an installed package as a path, its files compared with `INTEGRITY`.

    Args:
        runtime: the folder of the package (that holds `dist` and `wasm`), or one in which npm installed it.
    Raises:
        FileNotFoundError: if it is not there, or a file of it is missing.
        ValueError: if a file is not that of `VERSION`.
    """
    advice = f"Run `npm install {PACKAGE}@{VERSION}` and pass the folder in which you ran it."
    given = pathlib.Path(runtime)
    within = given / "node_modules" / PACKAGE
    folder = within if within.is_dir() else given
    for name, expected in INTEGRITY.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(checks.sentence(
                "runtime", f"must be a folder with {name} of {PACKAGE}", os.fspath(runtime), advice))
        if integrity_of(path) != expected:
            raise ValueError(checks.sentence("runtime", f"must hold {PACKAGE} in version {VERSION}, unchanged",
                                             os.fspath(path), advice))
    return folder


def copy(package: pathlib.Path, folder: str | os.PathLike) -> None:
    """Copy the files that a page fetches from a checked package to `folder`, which is made."""
    for name in INTEGRITY:
        target = pathlib.Path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / name, target)
