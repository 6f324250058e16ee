"""`kseg serve`: a page on which a person drops a photograph and sees its classes."""

import argparse
import os
import sys

from kseg.cli import options
from kseg.cli.predict import MODEL
from kseg.cli.tables import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg serve`."""
    parser.add_argument("model", help=MODEL)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on; with another one than "
                        "loopback everybody who reaches this machine may use the model")
    parser.add_argument("--port", type=int, help="0: any that is free; left out: the first free one from 8000")
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    parser.add_argument("--title", help="heading of the page; left out: the model's name")
    parser.add_argument("--max-megabytes", type=float, default=32.0, help="largest file, in millions of bytes")
    parser.add_argument("--max-megapixels", type=float, default=50.0, help="largest image, in millions of pixels")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds in which a request must arrive")
    options.add_inference(parser, quiet="print no line per request")


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from kseg.serving import serve

    inference = options.read_inference(arguments)
    told = inference.pop("progress")
    say(f"Loading {arguments.model} …")
    try:
        serve(arguments.model, host=arguments.host, port=arguments.port, open_browser=arguments.open,
              title=arguments.title, max_megabytes=arguments.max_megabytes, max_megapixels=arguments.max_megapixels,
              timeout=arguments.timeout, quiet=not told, **inference)
    except KeyboardInterrupt:  # a second one, while a thread runs the model: Python itself would end in an abort
        sys.stderr.write("kseg: interrupted\n")
        sys.stderr.flush()
        os._exit(130)
