"""The one way kseg writes HTML: Jinja2 templates that escape every value, in one file with its style and script.

Jinja2 is loaded when used. A page forbids itself (by a Content-Security-Policy) to fetch anything, and to run any
script but the one of this room.
"""

import base64
import functools
import hashlib
import importlib.resources
import typing

import numpy as np

if typing.TYPE_CHECKING:
    import jinja2


def rendered(package: str, template: str, **values: typing.Any) -> str:
    """Return the page that the file `template` of `package`, which extends `layout.html`, makes of `values`."""
    return _environment(package).get_template(template).render(**values)


def heading(key: str) -> str:
    """Return the name of a score or an option as people read it."""
    return key.replace("_", " ").replace("iou", "IoU").replace("f1", "F1")


def shown(value: float | None) -> str:
    """Return a score as text with four decimals; a dash for NaN or None."""
    return "–" if _unknown(value) else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """Return a time as text, such as "48 s", "3 min 20 s" or "2 h 5 min"; a dash for NaN or None."""
    if _unknown(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def sortable(value: float | None) -> str:
    """Return a number for the attribute that tables are sorted by; empty for NaN or None."""
    return "" if _unknown(value) else f"{value:.6g}"


def _unknown(value):
    return value is None or np.isnan(value)


@functools.cache
def _environment(package) -> "jinja2.Environment":
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "."), jinja2.PackageLoader("kseg.pages", ".")]),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(heading=heading, shown=shown, duration=duration, sortable=sortable)
    script = _text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment.globals.update(
        style=markupsafe.Markup(_text("style.css") + _text("report.css")), script=markupsafe.Markup(script),
        script_digest=f"sha256-{digest}")
    return environment


def _text(name):
    return importlib.resources.files("kseg.pages").joinpath(name).read_text(encoding="utf-8")
