"""`python -m tests.campaigns`: run the campaigns."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from tests.campaigns import disks, fuzzing, killing, load

OUTCOMES = ("answered", "refused", "error", "wrong", "crash", "hang", "memory")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run the campaigns.")
    commands = parser.add_subparsers(dest="command", required=True)
    fuzz = commands.add_parser("fuzz", help="damaged inputs through a reader")
    fuzz.add_argument("targets", nargs="*", help=f"{', '.join(fuzzing.target_names())}; left out: all")
    fuzz.add_argument("--inputs", type=int, default=10_000, help="of each target (default: 10,000)")
    fuzz.add_argument("--seed", type=int, default=0)
    fuzz.add_argument("--output", default="campaigns", help="folder of states and faults (default: campaigns)")
    served = commands.add_parser("load", help="clients of one server at once, with faults between them")
    served.add_argument("--protocol", choices=("rest", "grpc"), default="rest")
    served.add_argument("--minutes", type=float, default=10.0)
    served.add_argument("--clients", type=int, default=8)
    served.add_argument("--seed", type=int, default=0)
    served.add_argument("--output", default="campaigns", help="folder of the model and the results")
    kills = commands.add_parser("kills", help="jobs killed again and again, then left to end")
    kills.add_argument("jobs", nargs="*", help=f"{', '.join(killing.job_names())}; left out: all")
    kills.add_argument("--runs", type=int, default=20, help="of each job (default: 20)")
    kills.add_argument("--seed", type=int, default=0)
    kills.add_argument("--output", default="campaigns", help="folder of states and faults (default: campaigns)")
    full = commands.add_parser("disks", help="jobs on disks that are full or read-only; for root")
    full.add_argument("jobs", nargs="*", help="as of kills; left out: all")
    full.add_argument("--output", default="campaigns", help="folder of what was told (default: campaigns)")
    options = parser.parse_args(arguments)
    run = {"fuzz": _fuzz, "load": _load, "kills": _kill, "disks": _fill}[options.command]
    return run(options, Console())


def _load(options, console):
    with console.status("starting") as status:
        summary = load.run(options.protocol, options.minutes, options.clients, options.seed, options.output,
                           lambda seconds, requests: status.update(f"{seconds:.0f} s, {requests:,} requests"))
    console.print(load.table(options.protocol, summary))
    return 1 if load.faults(summary) else 0


def _fuzz(options, console):
    faults = 0
    table = Table("reader", "inputs", *OUTCOMES)
    for name in options.targets or fuzzing.target_names():
        with console.status(name) as status:
            counts = fuzzing.run(name, options.inputs, options.seed, options.output,
                                 lambda done, counts, name=name: status.update(f"{name}: {done:,} {dict(counts)}"))
        table.add_row(name, f"{sum(counts.values()):,}", *(f"{counts[outcome]:,}" for outcome in OUTCOMES))
        faults += sum(counts[outcome] for outcome in OUTCOMES[2:])
    console.print(table)
    return 1 if faults else 0


def _kill(options, console):
    killing.load_tensorflow()
    faults = 0
    table = Table("job", "runs", "kills", *killing.OUTCOMES)
    for name in options.jobs or killing.job_names():
        with console.status(name) as status:
            counts = killing.run(name, options.runs, options.seed, options.output,
                                 lambda done, counts, name=name: status.update(f"{name}: {done} {dict(counts)}"))
        row = [counts[outcome] for outcome in killing.OUTCOMES]
        table.add_row(name, str(sum(row)), str(counts["kills"]), *map(str, row))
        faults += sum(row[1:])
    console.print(table)
    return 1 if faults else 0


def _fill(options, console):
    killing.load_tensorflow()
    faults = 0
    table = Table("job", *disks.OUTCOMES)
    for name in options.jobs or killing.job_names():
        with console.status(name) as status:
            counts = disks.run(name, options.output,
                               lambda case, counts, name=name: status.update(f"{name}: {case} {dict(counts)}"))
        table.add_row(name, *(str(counts[outcome]) for outcome in disks.OUTCOMES))
        faults += sum(counts[outcome] for outcome in disks.OUTCOMES[2:])
    console.print(table)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
