"""The report of an evaluation as one HTML page with its pictures inside."""

import base64
import html
import io

import numpy as np
from PIL import Image

COLUMNS = ("iou", "dice", "accuracy", "boundary_iou", "share")  # of the table of classes

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1340px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em } p.note { color: #666 }
table { border-collapse: collapse; margin: .6em 0 } th, td { padding: .25em .9em; text-align: right }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #888 }
tbody tr:nth-child(even) { background: #f4f4f4 } img { max-width: 100%; border: 1px solid #ddd }
.swatch { display: inline-block; width: .9em; height: .9em; margin-right: .5em; border: 1px solid #888 }
"""


def heading(key):
    """Return the name of a score as people read it."""
    return key.replace("_", " ").replace("iou", "IoU").replace("f1", "F1")


def shown(value):
    """Return a score as text with four decimals; a dash for NaN or None."""
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


def html_report(evaluation, confusion, worst):
    """Return an HTML page with the pictures inside; it loads nothing else.

    Args:
        evaluation: `Evaluation`.
        confusion, worst: uint8 pictures `[H, W, 3]`; `worst` may be None.
    """
    colours = evaluation.label_set.palette.tolist()
    classes = [[f'<span class="swatch" style="background: rgb({red},{green},{blue})"></span>'
                + html.escape(row["name"]), *(shown(row[key]) for key in COLUMNS)]
               for row, (red, green, blue) in zip(evaluation.per_class, colours)]
    images = sorted(evaluation.images, key=lambda row: (np.isnan(row["mean_iou"]), row["mean_iou"]))
    columns = [key for key in ("mean_iou", "pixel_accuracy", "boundary_f1") if key in images[0]]
    title = html.escape(f"{evaluation.model} on {evaluation.dataset}")
    settings = html.escape(", ".join(f"{key}={value}" for key, value in evaluation.settings.items()))
    parts = [
        f"<h1>{title}</h1><p class='note'>{len(images)} images in {evaluation.seconds:.1f} s; {settings}</p>",
        _html_table(["score", "value"], [[heading(key), shown(value)]
                                         for key, value in evaluation.scores.items()]),
        "<h2>Classes</h2>", _html_table(["class", *map(heading, COLUMNS)], classes),
        "<h2>Confusion</h2>", _html_picture(confusion, "confusion matrix")]
    if worst is not None:
        parts += [f"<h2>The {len(evaluation.worst)} worst images</h2>", _html_picture(worst, "worst images")]
    parts += ["<h2>Images, the worst first</h2>", _html_table(
        ["image", *map(heading, columns)],
        [[html.escape(str(row["name"])), *(shown(row[key]) for key in columns)] for row in images])]
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n")


def _html_table(heads, rows):
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>"


def _html_picture(pixels, alternative):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{alternative}" src="data:image/png;base64,{encoded}">'
