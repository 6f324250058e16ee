"""`kseg serve-config`: the files TensorFlow Serving starts from, and the command that starts it."""

import argparse

from kseg.cli.tables import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg serve-config`."""
    parser.add_argument("folder", help="holds a folder for each model, with its numbered versions inside")
    parser.add_argument("--batching", action="store_true", help="run requests that arrive together as one batch")
    parser.add_argument("--maximum-batch", type=int, default=8, help="most images in a batch")
    parser.add_argument("--wait-milliseconds", type=float, default=5.0, help="how long a request waits for company")
    parser.add_argument("--threads", type=int, help="batches that run at the same time; left out: the cores")
    parser.add_argument("--rest-port", type=int, default=8501, help="port of REST on this machine")
    parser.add_argument("--grpc-port", type=int, default=8500, help="port of gRPC on this machine")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def run(arguments: argparse.Namespace) -> None:
    """Write the files and print the command."""
    from kseg.serving import write_config

    say(write_config(arguments.folder, batching=arguments.batching, maximum_batch=arguments.maximum_batch,
                     wait_milliseconds=arguments.wait_milliseconds, threads=arguments.threads,
                     rest_port=arguments.rest_port, grpc_port=arguments.grpc_port, overwrite=arguments.overwrite))
