"""FCN in stages: 32s, then 16s, then 8s, each from the weights of the stage before.

Reference: Long, Shelhamer, Darrell, FCN, CVPR 2015, arXiv:1411.4038, section 4.2; Shelhamer et al., PAMI 2017,
section 4.3.
"""

import dataclasses
import json
import os

from kseg import checks
from kseg.training.callbacks import write_json
from kseg.training.recipe import TrainingRecipe
from kseg.training.run import TrainingResult, resume, train

STAGES = ("FCN32s", "FCN16s", "FCN8s")


@dataclasses.dataclass(frozen=True)
class StagedResult:
    """What the stages gave.

    Args:
        output_dir: str, the folder of the run; each stage has a folder in it.
        stages: dict, "FCN32s", "FCN16s", "FCN8s" to the `TrainingResult` of that stage.
    """

    output_dir: str
    stages: dict

    @property
    def mean_iou(self):
        """Return stage -> mean IoU of its best epoch on the validation set."""
        return {stage: result.mean_iou for stage, result in self.stages.items()}

    @property
    def final(self) -> TrainingResult:
        """The result of the last stage."""
        return self.stages[list(self.stages)[-1]]


def train_fcn_in_stages(recipe, output_dir, stages=STAGES, rate_factors=(1.0, 0.1, 0.01), verbose="auto"):
    """Train FCN-32s, then FCN-16s and FCN-8s from the best weights of the stage before.

    Called again on the same folder it goes on: finished stages are loaded, one that was stopped is resumed after its
    last finished epoch. `stages.json` in the folder holds the mean IoU of each.

    Args:
        recipe: `TrainingRecipe` of every stage; its `model` may be any FCN and is replaced.
        output_dir: str, folder of the run; stages go to `FCN32s/`, `FCN16s/` and `FCN8s/` in it.
        stages: sequence of builders' names, coarse to fine.
        rate_factors: sequence of float, one a stage, times the recipe's learning rate. The papers lower SGD's rate by
            100 a stage over 100,000 iterations each; the default lowers it by 10, for shorter runs.
        verbose: as `keras.Model.fit`.
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
    _claim(output_dir, {"recipe": recipe.to_dict(), "stages": list(stages), "rate_factors": list(rate_factors)})
    results = {}
    for stage, factor in zip(stages, rate_factors, strict=True):
        before = list(results.values())[-1].output_dir if results else None
        folder = os.path.join(output_dir, stage)
        if os.path.exists(os.path.join(folder, "run.json")):
            results[stage] = resume(folder, verbose)
        else:
            results[stage] = train(_stage_recipe(recipe, stage, factor, before), folder, verbose)
        _record(output_dir, {name: result.mean_iou for name, result in results.items()})
    return StagedResult(output_dir, results)


def _stage_recipe(recipe, stage, factor, before):
    """Return the recipe of one stage; all but the first start from the best model in the folder `before`."""
    options = dict(recipe.model_options)
    changes = {"model": stage, "learning_rate": recipe.learning_rate * factor}
    if stage != "FCN8s":
        options.pop("at_once", None)
    if before is not None:
        options["start_from"] = os.path.join(before, "best.keras")
        changes["encoder_weights"] = None
    return dataclasses.replace(recipe, model_options=options, **changes)


def _claim(output_dir, settings):
    """Write the settings to a new folder, or check that the folder's stages have the same ones."""
    path = os.path.join(output_dir, "stages.json")
    settings = json.loads(json.dumps({**settings, "recipe": {**settings["recipe"], "model": None}}))
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if {**json.load(file), "mean_iou": None} != {**settings, "mean_iou": None}:
                raise ValueError(checks.sentence("output_dir", "must hold stages of the same recipe", output_dir,
                                                 "Choose another folder, or pass the recipe that began them."))
        return
    os.makedirs(output_dir, exist_ok=True)
    write_json(path, {**settings, "mean_iou": {}})


def _record(output_dir, mean_iou):
    path = os.path.join(output_dir, "stages.json")
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    write_json(path, {**settings, "mean_iou": mean_iou})
