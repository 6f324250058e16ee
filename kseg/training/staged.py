"""FCN in stages: 32s, then 16s, then 8s, each from the weights of the stage before.

Reference: Long, Shelhamer, Darrell, FCN, CVPR 2015, arXiv:1411.4038, section 4.2; Shelhamer et al., PAMI 2017,
section 4.3.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Sequence

import keras

from kseg import checks, files
from kseg.training.recipe import TrainingRecipe
from kseg.training.run import TrainingResult, resume, train
from kseg.training.run_folder import RunFolder, read_report
from kseg.training.run_page.write import write_run_page

STAGES = ("FCN32s", "FCN16s", "FCN8s")


@dataclasses.dataclass(frozen=True)
class StagedResult:
    """What the stages gave.

    Args:
        output_dir: str, the folder of the run; each stage has a folder in it.
        stages: dict, "FCN32s", "FCN16s", "FCN8s" to the `TrainingResult` of that stage.
    """

    output_dir: str
    stages: dict[str, TrainingResult]

    @property
    def mean_iou(self) -> dict[str, float]:
        """Return stage -> mean IoU of its best epoch on the validation set."""
        return {stage: result.mean_iou for stage, result in self.stages.items()}

    @property
    def final(self) -> TrainingResult:
        """The result of the last stage."""
        return self.stages[list(self.stages)[-1]]


def train_fcn_in_stages(recipe: TrainingRecipe, output_dir: str | os.PathLike, stages: Sequence[str] = STAGES,
                        rate_factors: Sequence[float] = (1.0, 0.1, 0.01), verbose: int | str = "auto",
                        callbacks: Sequence[keras.callbacks.Callback] = (),
                        devices: int | str | None = None) -> StagedResult:
    """Train FCN-32s, then FCN-16s and FCN-8s from the best weights of the stage before.

    Called again on the same folder it goes on: finished stages are loaded, one that was stopped is resumed after its
    last finished epoch. `stages.json` in the folder holds the mean IoU of each.

    Args:
        recipe: `TrainingRecipe` of every stage; its `model` may be any FCN and is replaced.
        output_dir: str, folder of the run; stages go to `FCN32s/`, `FCN16s/` and `FCN8s/` in it.
        stages: sequence of builders' names, coarse to fine.
        rate_factors: sequence of float, one per stage, times the recipe's learning rate. The papers lower SGD's rate by
            100 per stage over 100,000 iterations each; the default lowers it by 10, for shorter runs.
        verbose, callbacks, devices: as in `kseg.training.train`; every stage calls the same callbacks.
    Returns:
        `StagedResult`.
    Raises:
        ValueError: for stages other than FCNs in that order, or a folder that holds stages of another recipe.
    """
    if not isinstance(recipe, TrainingRecipe):
        raise TypeError(checks.sentence("recipe", "must be a kseg.training.TrainingRecipe", recipe,
                                        "Write train_fcn_in_stages(TrainingRecipe(model='FCN8s'), 'runs/fcn')."))
    stages, rate_factors = tuple(stages), tuple(rate_factors)
    if not stages or list(stages) != [stage for stage in STAGES if stage in stages]:
        raise ValueError(checks.sentence("stages", f"must be some of {STAGES} in this order", stages,
                                         "Leave it out for all three."))
    if len(rate_factors) != len(stages):
        raise ValueError(checks.sentence("rate_factors", f"must hold one number for each of {len(stages)} stages",
                                         rate_factors, "The papers use (1, 0.01, 0.0001) for three stages."))
    output_dir = os.fspath(output_dir)
    path = os.path.join(output_dir, "stages.json")
    settings = _claimed(path, {"recipe": {**recipe.to_dict(), "model": None}, "stages": stages,
                               "rate_factors": rate_factors})
    results, before = {}, None
    for stage, factor in zip(stages, rate_factors, strict=True):
        folder = RunFolder(os.path.join(output_dir, stage))
        if folder.holds_a_run():
            results[stage] = resume(folder.path, verbose, callbacks, devices)
        else:
            results[stage] = train(_stage_recipe(recipe, stage, factor, before), folder.path, verbose, callbacks,
                                   devices)
        before = folder.best
        _write(path, {**settings, "mean_iou": {name: result.mean_iou for name, result in results.items()}})
    with contextlib.suppress(OSError):  # in a folder that can only be read
        write_run_page(output_dir)  # which a call that was killed at its end has not written
    return StagedResult(output_dir, results)


def _stage_recipe(recipe, stage, factor, before):
    """Return the recipe of one stage; all but the first start from the model in the file `before`."""
    options = dict(recipe.model_options)
    if stage != "FCN8s":
        options.pop("at_once", None)
    if before is not None:
        options["start_from"] = before
    return dataclasses.replace(recipe, model=stage, learning_rate=recipe.learning_rate * factor, model_options=options,
                               encoder_weights=recipe.encoder_weights if before is None else None)


def _claimed(path, settings):
    """Return the settings as JSON reads them, in a new file `path` or equal to those of the stages that are there."""
    settings = json.loads(json.dumps(settings))
    if not os.path.exists(path):
        _write(path, {**settings, "mean_iou": {}})
    elif _settings_of(read_report(path)) != {**settings, "mean_iou": None}:
        raise ValueError(checks.sentence("output_dir", "must hold stages of the same recipe", os.path.dirname(path),
                                         "Choose another folder, or pass the recipe that began them."))
    return settings


def _settings_of(report):
    """Return the settings of stages that were begun, with the recipe's fields that have come since."""
    now = json.loads(json.dumps(TrainingRecipe().to_dict()))
    return {**report, "recipe": {**now, **report["recipe"]}, "mean_iou": None}


def _write(path, values):
    files.write_text(path, json.dumps(values, indent=2) + "\n")
