"""Run the benchmarks and put what they print into docs/benchmarks.md.

    python examples/collect_benchmarks.py runs/benchmarks --camvid CAMVID --weights efficientnet_lite0_imagenet.npz \
        [--membranes MEMBRANES] [--photograph IMAGE] [--peer-python PYTHON] [--only scaling backends]

What a benchmark prints is kept in OUTPUT/NAME.txt and shown between the marks of its name in the document, with the
command, the day and the processor: tables as tables, and of a benchmark without one every line. Called again it goes
on with those that are missing; remove a file to measure again. All of them take most of a day on two cores.
"""

import argparse
import datetime
import os
import pathlib
import re
import shlex
import subprocess
import sys

from kseg import files

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "benchmarks.md"
MARKED = re.compile(r"(?P<start><!-- measured: (?P<name>\w+) -->\n).*?(?P<end><!-- /measured -->)", re.DOTALL)
# In this order: some go on with what others trained. Words in capitals are filled in.
COMMANDS = {
    "families": "python examples/camvid_table.py CAMVID OUTPUT/table --encoder-weights WEIGHTS",
    "larger": "python examples/camvid_table.py CAMVID OUTPUT/larger --encoder-weights WEIGHTS --image-size 360 480 "
              "--steps 1800 --seeds 1 --models FCN8s DeepLabV3Plus",
    "membranes": "python examples/membranes.py MEMBRANES OUTPUT/membranes --mixed-precision mixed_bfloat16",
    "stages": "kseg train --in-stages --model FCN8s --data camvid --data-dir CAMVID --encoder-name efficientnetlite0 "
              "--encoder-weights WEIGHTS --option upsampling=learned --image-size 192 256 --epochs 5 --warmup-steps 45 "
              "--verbose 2 --output OUTPUT/stages",
    "pspnet": "kseg train --data camvid --data-dir CAMVID --model PSPNet --aux --output-stride 16 --encoder-name "
              "efficientnetlite0 --encoder-weights WEIGHTS --image-size 192 256 --epochs 18 --warmup-steps 45 "
              "--verbose 2 --output OUTPUT/camvid",
    "adversarial": "python examples/adversarial.py OUTPUT/camvid/best.keras CAMVID OUTPUT/adversarial",
    "dense_crf": "python examples/dense_crf.py OUTPUT/camvid/best.keras --data-dir CAMVID --image-size 192 256 "
                 "--position-scale 0.5",
    "crf_speed": "python examples/dense_crf_benchmark.py --peer-python PYTHON --image PHOTOGRAPH",
    "modes": "python examples/inference_modes_benchmark.py OUTPUT/table/DeepLabV3Plus_0/last.keras PHOTOGRAPH --window "
             "192 256",
    "exports": "python examples/export_matrix.py OUTPUT/matrix --encoder-weights WEIGHTS",
    "input": "python examples/input_pipeline_benchmark.py --data-dir CAMVID --peer-python PYTHON --turns 5 --passes 2",
    "steps": "python examples/step_time_benchmark.py --peer-python PYTHON --rounds 6",
    "deployed": "python examples/tflite_benchmark.py --torch-python PYTHON --models deeplabv3_resnet50 unet_resnet34 "
                "--rounds 11",
    "unpooling": "python examples/unpooling_benchmark.py",
    "backends": "python examples/step_time_benchmark.py --backends tensorflow jax --models UNet DeepLabV3Plus "
                "--image-size 96 128 --batch 4",
    "scaling": "python examples/scaling.py --output OUTPUT/scaling --epochs 3 --model DeepLabV3Plus --encoder "
               "efficientnetlite0",
    "demo": "kseg demo --output OUTPUT/demo",
}


def as_markdown(printed):
    """Return what a benchmark printed as Markdown: its tables with their titles, or all lines if it has no table."""
    lines = printed.splitlines()
    tables = [number for number, line in enumerate(lines) if line.startswith("┏")]
    if tables:
        return "\n\n".join(_table(lines, start) for start in tables)
    if any(line.startswith("|") for line in lines):  # is Markdown
        return printed.strip()
    return "```text\n" + printed.strip() + "\n```"


def _table(lines, start):
    rows, heading = [], 0
    for line in lines[start + 1:]:
        if line.startswith("└"):
            break
        if line.startswith("┡"):
            heading = len(rows)
        elif line[0] in "┃│":
            rows.append([cell.strip() for cell in re.split("[┃│]", line)[1:-1]])
    rows = [_joined(rows[:heading], all_of_one=True)[0], *_joined(rows[heading:])]
    # A title is as wide as its table; one that goes on in a second line is a sentence with paths, not a title.
    above = [len(line) == len(lines[start]) for line in lines[max(0, start - 2):start]]
    title = lines[start - 1].strip() if above[-1:] == [True] and above != [True, True] else ""
    table = [f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])]
    return "\n".join(([title, ""] if title else []) + table)


def _joined(rows, all_of_one=False):
    """Return rows with those that only go on with the cells of the one before joined to it."""
    whole = []
    for row in rows:
        if whole and (all_of_one or not row[0]):
            whole[-1] = [" ".join(filter(None, pair)) for pair in zip(whole[-1], row, strict=True)]
        else:
            whole.append(row)
    return whole


def processor():
    """Return the number of cores and the processor's name, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = re.search(r"model name\s*: (.*)", file.read())[1]
    except (OSError, TypeError):
        name = "an unknown processor"
    return f"{os.cpu_count()} cores, {name}"


def section(command, printed, day):
    """Return what stands between the marks of a benchmark."""
    return f"`{command}`, {day}, {processor()}\n\n{as_markdown(printed)}\n"


def put(document, name, text):
    """Return the document with `text` between the marks of `name`."""
    found = [match for match in MARKED.finditer(document) if match["name"] == name]
    if len(found) != 1:
        raise SystemExit(f"{DOCUMENT} has {len(found)} marks of {name}, one was expected")
    match = found[0]
    return document[:match.end("start")] + text + document[match.start("end"):]


def measured(name, options):
    """Return what a benchmark prints, run unless an earlier call has; None without what it needs."""
    words = {"CAMVID": options.camvid, "MEMBRANES": options.membranes, "PHOTOGRAPH": options.photograph,
             "WEIGHTS": options.weights, "PYTHON": options.peer_python, "OUTPUT": str(options.output)}
    missing = [word for word, value in words.items() if value is None and word in COMMANDS[name]]
    path = options.output / f"{name}.txt"
    if path.exists():
        return path.read_text()
    if missing:
        print(f"{name}: left out, {', '.join(missing)} not given", flush=True)
        return None
    command = COMMANDS[name]
    for word, value in words.items():
        command = re.sub(rf"\b{word}\b", lambda match, value=value: shlex.quote(str(value)), command)
    beside = pathlib.Path(sys.executable).parent
    program, *arguments = shlex.split(command)
    print(f"{name}: {command}", flush=True)
    done = subprocess.run([str(beside / program), *arguments], cwd=DOCUMENT.parents[1], stdout=subprocess.PIPE,
                          text=True)
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}; what is done is kept in {options.output}")
    printed = done.stdout.replace(str(options.output), "OUTPUT")
    files.write_text(str(path), printed)
    return printed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path, help="folder of what the benchmarks print and train")
    parser.add_argument("--camvid", help="folder with CamVid's train/ and val/")
    parser.add_argument("--membranes", help="folder with the slices of ISBI 2012")
    parser.add_argument("--photograph", help="an image of 375×500 or so")
    parser.add_argument("--weights", help="ImageNet weights of EfficientNet-Lite0")
    parser.add_argument("--peer-python", help="a Python with torch, segmentation_models.pytorch and albumentations")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    options.output = options.output.absolute()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS:
        printed = measured(name, options) if name in options.only else None
        if printed is not None:
            day = datetime.date.fromtimestamp((options.output / f"{name}.txt").stat().st_mtime)
            files.write_text(str(DOCUMENT), put(DOCUMENT.read_text(), name, section(COMMANDS[name], printed, day)))


if __name__ == "__main__":
    main()
