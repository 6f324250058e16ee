"""LiteRT.js, which runs TFLite files in browsers: the version that pages are made for, and what its files must hash to.

Only these files are fetched: two modules, and a loader and a program for browsers with relaxed SIMD instructions
("litert_wasm_internal"), without them ("compat"), or with WebGPU and stack switching, which it needs ("jspi"). The
variant of the package for threads is not: it asks for headers that few servers of static files send.
"""

import base64
import hashlib
import os
import pathlib
import shutil

from kseg import checks

SCOPE = "@litertjs"
VERSION = "2.5.3"
PACKAGES = tuple(f"{SCOPE}/{name}@{VERSION}" for name in ("core", "wasm-utils"))  # npm would take a newer second one
# Files of the two. Taken from what npm installs; to be taken again, with `integrity_of`, for another version.
INTEGRITY = {
    "wasm-utils/dist/index.js":
        "sha384-HIPwlWsctS5BRqrnvJKDVJ8SvqKB0QmiImdr6+hpP7+8UqeMJX/qrBkdfKQV2WZ/",
    "core/dist/index.js":
        "sha384-MapSVJ/DPwvaWpp7q+Bid9O3uY1oB0KOU1QRMP+Mm5zdz5oMme/BUyX6dVAMWnPg",
    "core/wasm/litert_wasm_internal.js":
        "sha384-NB/Wc4iozynQO5jzJ2VFoMKbqMvwwFGWxJL/o63IJT6W2JfZbsSLxA2cF6H/mLpQ",
    "core/wasm/litert_wasm_internal.wasm":
        "sha384-AZ/Ak4CbDpjqpSr8WsnoL3Dcx6bDFA/k9b/jahok1TGHZ2OqIRjLBMiEmiNedhlC",
    "core/wasm/litert_wasm_compat_internal.js":
        "sha384-oh4nb8zDq6eVOpGeZE5gwDOJ16QujHLL8k/HEXt3XiPxr+8zn3YnkXP8P3BlJET1",
    "core/wasm/litert_wasm_compat_internal.wasm":
        "sha384-glAZ6WjS7tLRt89pbTPXvLC1c7DCaVSfL2ngn5gZJiUuPs76fWYJy7ZeFaD0PJXx",
    "core/wasm/litert_wasm_jspi_internal.js":
        "sha384-Y6/AvIxciaLSzSWRJcd1FVuRAhc/f2HeaLQuYuwdN/Y0aipWnFoBrszL8JHT0GHD",
    "core/wasm/litert_wasm_jspi_internal.wasm":
        "sha384-FBGaMKCEjTkeIOEl4TMyiD0fjfNzVbruCGIwX4FQdVmfp4GBiSCTmniGAPU5olS+",
}


def addresses(local: bool) -> dict[str, dict[str, str]]:
    """Return what a page fetches: name -> its `address`, on jsDelivr or in the folder of the page, and `integrity`."""
    found = {}
    for name, integrity in INTEGRITY.items():
        package, _, path = name.partition("/")
        address = f"runtime/{name}" if local else f"https://cdn.jsdelivr.net/npm/{SCOPE}/{package}@{VERSION}/{path}"
        found[name] = {"address": address, "integrity": integrity}
    return found


def integrity_of(path: str | os.PathLike) -> str:
    """Return the hash of a file as browsers compare it (Subresource Integrity), "sha384-…"."""
    digest = hashlib.sha384(pathlib.Path(path).read_bytes()).digest()
    return f"sha384-{base64.b64encode(digest).decode('ascii')}"


def checked_packages(runtime: str | os.PathLike) -> pathlib.Path:
    """Return the folder that holds the installed packages, by their names, its files compared with `INTEGRITY`.

    Args:
        runtime: the folder in which npm installed `PACKAGES`, or its `node_modules`.
    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is not that of `VERSION`.
    """
    advice = f"Run `npm install {' '.join(PACKAGES)}` and pass the folder in which you ran it."
    modules = pathlib.Path(runtime, "node_modules")
    folder = (modules if modules.is_dir() else pathlib.Path(runtime)) / SCOPE
    for name, expected in INTEGRITY.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(checks.sentence(
                "runtime", f"must be a folder in which npm installed LiteRT.js, with {SCOPE}/{name}",
                os.fspath(runtime), advice))
        if integrity_of(path) != expected:
            raise ValueError(checks.sentence("runtime", f"must hold LiteRT.js in version {VERSION}, unchanged",
                                             os.fspath(path), advice))
    return folder


def copy(packages: pathlib.Path, folder: str | os.PathLike) -> None:
    """Copy the files that a page fetches from checked packages to `folder`, which is made."""
    for name in INTEGRITY:
        target = pathlib.Path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packages / name, target)
