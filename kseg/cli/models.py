"""`kseg models`: the builders, the encoders they take, and trained models by name."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`kseg models` takes no options."""


def run(arguments: argparse.Namespace) -> None:
    """Print three tables: builders; encoders with their strides, normalisation and downloads; trained models."""
    from kseg import encoders, models
    from kseg.cli.tables import show
    from kseg.pretrained.zoo import PUBLISHED

    rows = []
    for name in models.BUILDERS:
        docstring = (getattr(models, name).__doc__ or "").strip().splitlines()
        rows.append([name, docstring[0].removeprefix("Return ") if docstring else ""])
    show([("builder", "left"), ("what it is", "left")], rows)
    rows = []
    for row in encoders.table():
        weights = f"{row['imagenet'].removesuffix('.applications')}, {row['licence']}" if row["imagenet"] else "none"
        rows.append([row["name"], f"{row['parameters']:,}",
                     ", ".join(str(stride) for stride in row["output_strides"]),
                     f"(x - {_numbers(row['mean'])}) / {_numbers(row['std'])}", row["library"],
                     weights])
    show([("encoder", "left"), ("parameters", "right"), ("output strides", "left"), ("pixels, 0-255, become", "left"),
          ("library", "left"), ("ImageNet weights, licence", "left")], rows)
    rows = [[row.name, row.data, str(row.classes), f"{row.mean_iou:.3f}", row.licence] for row in PUBLISHED.values()]
    show([("trained model", "left"), ("data", "left"), ("classes", "right"), ("mean IoU, as published", "right"),
          ("licence", "left")], rows)


def _numbers(values):
    """Return one number, or three where the bands differ."""
    values = [values] if isinstance(values, (int, float)) else list(values)
    values = values[:1] if len(set(values)) == 1 else values
    return " ".join(f"{value:.4g}" for value in values)
