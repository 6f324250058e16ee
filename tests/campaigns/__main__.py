"""`python -m tests.campaigns`: run the campaigns."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from tests.campaigns import fuzzing

OUTCOMES = ("answered", "refused", "error", "wrong", "crash", "hang", "memory")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run the campaigns.")
    commands = parser.add_subparsers(dest="command", required=True)
    fuzz = commands.add_parser("fuzz", help="damaged inputs through a reader")
    fuzz.add_argument("targets", nargs="*", help=f"{', '.join(fuzzing.target_names())}; left out: all")
    fuzz.add_argument("--inputs", type=int, default=10_000, help="of each target (default: 10,000)")
    fuzz.add_argument("--seed", type=int, default=0)
    fuzz.add_argument("--output", default="campaigns", help="folder of states and faults (default: campaigns)")
    options = parser.parse_args(arguments)
    console, faults = Console(), 0
    table = Table("reader", "inputs", *OUTCOMES)
    for name in options.targets or fuzzing.target_names():
        with console.status(name) as status:
            counts = fuzzing.run(name, options.inputs, options.seed, options.output,
                                 lambda done, counts, name=name: status.update(f"{name}: {done:,} {dict(counts)}"))
        table.add_row(name, f"{sum(counts.values()):,}", *(f"{counts[outcome]:,}" for outcome in OUTCOMES))
        faults += sum(counts[outcome] for outcome in OUTCOMES[2:])
    console.print(table)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
