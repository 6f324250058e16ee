"""`kseg models`: the builders and the encoders they take."""


def add_arguments(parser):
    """`kseg models` takes no options."""


def run(arguments):
    """Print two tables: builders, and encoders with parameters, strides and pixel range."""
    from kseg import encoders, models
    from kseg.cli.tables import show

    rows = []
    for name in models.BUILDERS:
        docstring = (getattr(models, name).__doc__ or "").strip().splitlines()
        rows.append([name, docstring[0] if docstring else ""])
    show([("builder", "left"), ("what it is", "left")], rows)
    rows = [[row["name"], f"{row['parameters']:,}", ", ".join(map(str, row["strides"])), row["pixel range"],
             row["library"]] for row in encoders.table()]
    show([("encoder", "left"), ("parameters", "right"), ("output strides", "left"), ("pixel range", "left"),
          ("library", "left")], rows)
