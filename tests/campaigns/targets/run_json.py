"""`run.json` of a run's folder, which its page is made from, and which `resume` and `--recipe` read."""

import argparse
import json

from kseg.cli import recipe_options
from kseg.training import TrainingRecipe
from kseg.training.run import resume
from kseg.training.run_folder import RunFolder, read_report
from kseg.training.run_page.write import write_run_page
from tests.campaigns.mutations import damaged_json as damage  # noqa: F401 (the campaign asks for it)


def seeds(folder):
    plain = TrainingRecipe(data="nowhere", model="UNet")
    several = TrainingRecipe(data="nowhere", loss={"dice": 1.0, "cross_entropy": 0.5}, multipliers={"encoder": 0.1})
    report = {"status": "interrupted", "resumed": 0, "versions": {"kseg": "0.1"}, "seconds": 3.5, "epochs_done": 0,
              "machine": {"cores": 2, "devices": ["cpu"]}, "length": {"steps_per_epoch": 2, "epochs": 3},
              "data": {"classes": ["sky", "road"], "palette": [[0, 0, 0], [128, 0, 0]], "train_images": 3,
                       "validation_images": 2},
              "parameters": {"total": 3, "trainable": 2, "encoder": None},
              "best": {"epoch": 1, "mean_iou": 0.5, "per_class_iou": {"sky": 0.5, "road": None}}}
    yield json.dumps({"recipe": plain.to_dict(), **report}).encode()
    yield json.dumps({"recipe": several.to_dict(), **report, "status": "running"}).encode()


def read(content, folder):
    """Go through all readers, whatever the others say; `resume` stops at the dataset's name, which is none."""
    run = RunFolder(folder)
    with open(run.report, "wb") as file:
        file.write(content)
    refusal = None
    for reader in (lambda: recipe_options.recipe(argparse.Namespace(recipe=run.report, in_stages=False)),
                   lambda: _begun(folder), lambda: write_run_page(folder)):
        try:
            answer = reader()
        except (ValueError, TypeError) as failure:
            if not str(failure).startswith("`"):
                raise
            refusal = failure
    if refusal is not None:
        raise refusal
    return answer


def _begun(folder):
    report = read_report(RunFolder(folder).report)
    if report.get("status") != "finished" and report["recipe"].get("data") in ("shapes", None):
        return  # it would train
    try:
        resume(folder, verbose=0)
    except ValueError as failure:
        if not str(failure).startswith("`name` must be one of"):
            raise
