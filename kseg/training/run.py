"""`kseg train` as a function: run a recipe into a folder, and go on where a killed run stopped.

The folder holds `run.json` (the recipe and everything else needed to repeat the run), `best.keras` (the best model by
validation mean IoU), `last.keras`, `state.npz` (to resume from), `history.csv`, `curve.png`, `panel.png` and
`tensorboard/`.
"""

import contextlib
import dataclasses
import json
import os

import keras
import numpy as np

from kseg import checks, data
from kseg.labels import LabelSet
from kseg.metrics import iou_from_confusion
from kseg.training import assemble
from kseg.training.adversarial_recipe import AdversarialRecipe, recipe_from_dict
from kseg.training.callbacks import BestModel, EarlyStopping, FiniteLoss, Panel, Record, save_model, stopped_early
from kseg.training.recipe import TrainingRecipe
from kseg.training.report import RunReport

PANEL_IMAGES = 4


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Args:
        output_dir: str, the run's folder.
        model: the best model by validation mean IoU, loaded from `best.keras`.
        label_set: `LabelSet`.
        history: list of dicts, one an epoch.
        mean_iou: float, of the best epoch; best_epoch: int, counted from 1.
        confusion: int64 `[classes, classes]`, `confusion[label, prediction]` over the validation set, best epoch.
    """

    output_dir: str
    model: keras.Model
    label_set: LabelSet
    history: list
    mean_iou: float
    best_epoch: int
    confusion: np.ndarray

    @property
    def per_class_iou(self):
        """Return class name -> intersection over union at the best epoch; NaN where the class does not occur."""
        return dict(zip(self.label_set.names, iou_from_confusion(self.confusion).tolist()))


def train(recipe, output_dir, verbose="auto"):
    """Train as `recipe` says, into the new folder `output_dir`.

    Args:
        recipe: `TrainingRecipe`, or an `AdversarialRecipe` to fine-tune a trained model.
        output_dir: str, created; must not hold a run.
        verbose: as `keras.Model.fit`: 0 silent, 1 a bar, 2 a line an epoch.
    Returns:
        `TrainingResult`.
    Raises:
        FileExistsError: if the folder holds a run already.
        ValueError: if the loss is no longer finite; from the dataset or the builder.
        FileNotFoundError: from the dataset or the builder.
    """
    if not isinstance(recipe, TrainingRecipe):
        raise TypeError(checks.sentence("recipe", "must be a kseg.training.TrainingRecipe", recipe,
                                        "Write train(TrainingRecipe(data='shapes'), 'runs/first')."))
    if os.path.exists(os.path.join(output_dir, "run.json")):
        raise FileExistsError(checks.sentence("output_dir", "must not hold a run yet", os.fspath(output_dir),
                                              "Choose another folder, or resume the run that is there."))
    return _run(recipe, os.fspath(output_dir), verbose)


def resume(output_dir, verbose="auto"):
    """Go on with the run in `output_dir` after its last finished epoch; the result equals that of a run never stopped.

    Weights, optimiser, schedule, moving averages, dropout seeds, order and augmentation of the data go on as they
    would have. A finished run is only loaded.

    Returns:
        `TrainingResult`.
    Raises:
        FileNotFoundError: if the folder holds no run.
    """
    path = checks.existing_file("output_dir", os.path.join(output_dir, "run.json"),
                                "Give the folder that `kseg train` wrote.")
    with open(path, encoding="utf-8") as file:
        recipe = recipe_from_dict(json.load(file)["recipe"])
    return _run(recipe, os.fspath(output_dir), verbose)


def _run(recipe, output_dir, verbose):
    labels = assemble.label_set(recipe)
    epoch, fed = _Epoch(), _with_bands(recipe)
    training, validation = assemble.training_data(fed, epoch), assemble.counted(assemble.validation_data(fed))
    steps_per_epoch = len(training)
    epochs, steps = assemble.epochs_and_steps(recipe, steps_per_epoch)
    model, score = _compiled(recipe, labels, steps)
    segmenter = getattr(model, "segmenter", model)  # an AdversarialTrainer holds it
    os.makedirs(output_dir, exist_ok=True)
    best = BestModel(os.path.join(output_dir, "best.keras"), score, labels)
    panel = Panel(_examples(fed), labels, os.path.join(output_dir, "panel.png"))
    record = epoch.record = Record(output_dir, best, panel)
    done = record.restore(model)
    report = RunReport(output_dir, recipe, segmenter, labels, {"steps_per_epoch": steps_per_epoch, "epochs": epochs})
    if not report.finished:
        report.write(record.history, best.best, "running")
        with _plain_errors():
            if not done and getattr(recipe, "pretrain_discriminator_steps", 0):
                model.pretrain_discriminator(training, steps=recipe.pretrain_discriminator_steps, verbose=verbose)
            if stopped_early(record.history, recipe.early_stopping or np.inf):
                if recipe.ema is not None:  # what fit does at its end
                    model.optimizer.finalize_variable_values(model.trainable_variables)
            else:
                model.fit(training, validation_data=validation, epochs=epochs, initial_epoch=done, shuffle=False,
                          validation_freq=validated_epochs(epochs, recipe.validate_every), verbose=verbose,
                          callbacks=_callbacks(recipe, best, panel, record))
        save_model(segmenter, os.path.join(output_dir, "last.keras"))
        report.write(record.history, best.best, "finished")
    return TrainingResult(output_dir, keras.models.load_model(best.path), labels, record.history,
                          best.best["mean_iou"], best.best["epoch"], np.asarray(best.best["confusion"], np.int64))


def _compiled(recipe, labels, steps):
    """Return (what is fitted, compiled; its `MeanIoU`)."""
    if isinstance(recipe, AdversarialRecipe):
        from kseg.training.adversarial_run import compiled_trainer

        return compiled_trainer(recipe, labels, steps)
    return assemble.compiled_model(recipe, labels, steps)


def _with_bands(recipe):
    """Return the recipe for its data; an adversarial one with the bands of the network that it starts from."""
    if not isinstance(recipe, AdversarialRecipe):
        return recipe
    from kseg.training.adversarial_run import load_segmenter

    bands = getattr(load_segmenter(recipe.start_from), "in_channels", 3)
    return dataclasses.replace(recipe, model_options={**recipe.model_options, "in_channels": bands})


def validated_epochs(epochs, every):
    """Return the epochs, counted from 1, after which the model is validated; the last one always is."""
    return sorted({*range(every, epochs + 1, every), epochs})


class _Epoch:
    """Says which epoch is in progress when the training data asks."""

    record = None

    def __call__(self):
        return self.record.epoch


def _callbacks(recipe, best, panel, record):
    callbacks = [best, panel]
    if recipe.ema is not None:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    if recipe.early_stopping is not None:
        callbacks.append(EarlyStopping(recipe.early_stopping, record))
    return [*callbacks, record, FiniteLoss(recipe.learning_rate)]


@contextlib.contextmanager
def _plain_errors():
    """Raise what a data reader said as itself, not as TensorFlow's error with its traceback inside."""
    try:
        yield
    except Exception as failure:
        sentence = data.failure_sentence(failure) if "tensorflow" in type(failure).__module__ else None
        if sentence is None:
            raise
        raise ValueError(sentence) from failure


def _examples(recipe):
    pixels, labels = next(iter(assemble.validation_data(recipe, PANEL_IMAGES, shuffle=True)))
    return pixels.numpy(), labels.numpy()
