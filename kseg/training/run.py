"""`kseg train` as a function: run a recipe into a folder, and go on where a killed run stopped.

The folder holds `run.json` (the recipe and everything else needed to repeat the run), `best.keras` (the best model by
validation mean IoU), `last.keras`, `state.npz` (to resume from), `history.csv`, `curve.png`, `panel.png` and
`tensorboard/`.
"""

import contextlib
import os
from collections.abc import Iterator

import keras

from kseg import checks, data
from kseg.training import state
from kseg.training.adversarial.recipe import recipe_from_dict
from kseg.training.callbacks.best_model import BestModel, save_model
from kseg.training.callbacks.panel import Panel
from kseg.training.callbacks.record import Record
from kseg.training.callbacks.stopping import EarlyStopping, FiniteLoss
from kseg.training.fitted import Fitted
from kseg.training.kinds import training_of
from kseg.training.recipe import Recipe
from kseg.training.result import TrainingResult
from kseg.training.run_folder import RunFolder
from kseg.training.run_progress import Progress
from kseg.training.run_report import RunReport
from kseg.training.run_report import read as read_report
from kseg.training.splits import Splits

PANEL_IMAGES = 4


def train(recipe: Recipe, output_dir: str | os.PathLike, verbose: int | str = "auto") -> TrainingResult:
    """Train as `recipe` says, into the new folder `output_dir`.

    Args:
        recipe: `TrainingRecipe`, or an `AdversarialRecipe` to fine-tune a trained model.
        output_dir: str, created; must not hold a run.
        verbose: as `keras.Model.fit`: 0 silent, 1 a bar, 2 one line per epoch.
    Returns:
        `TrainingResult`.
    Raises:
        FileExistsError: if the folder holds a run already.
        ValueError: if the loss is no longer finite; from the dataset or the builder.
        FileNotFoundError: from the dataset or the builder.
    """
    if not isinstance(recipe, Recipe):
        raise TypeError(checks.sentence("recipe", "must be a kseg.training.TrainingRecipe", recipe,
                                        "Write train(TrainingRecipe(data='shapes'), 'runs/first')."))
    folder = RunFolder(output_dir)
    if folder.holds_a_run():
        raise FileExistsError(checks.sentence("output_dir", "must not hold a run yet", folder.path,
                                              "Choose another folder, or resume the run that is there."))
    return _run(recipe, folder, verbose)


def resume(output_dir: str | os.PathLike, verbose: int | str = "auto") -> TrainingResult:
    """Go on with the run in `output_dir` after its last finished epoch; the result equals that of a run never stopped.

    Weights, optimiser, schedule, moving averages, dropout seeds, order and augmentation of the data go on as they
    would have. A finished run is only loaded.

    Returns:
        `TrainingResult`.
    Raises:
        FileNotFoundError: if the folder holds no run.
    """
    folder = RunFolder(output_dir)
    report = read_report(checks.existing_file("output_dir", folder.report, "Give the folder that `kseg train` wrote."))
    if report["status"] == "finished":
        return TrainingResult.read(folder)
    return _run(recipe_from_dict(report["recipe"]), folder, verbose)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what a data reader said as itself, not as TensorFlow's error with its traceback inside."""
    try:
        yield
    except Exception as failure:
        sentence = data.failure_sentence(failure) if "tensorflow" in type(failure).__module__ else None
        if sentence is None:
            raise
        raise ValueError(sentence) from failure


@_plain_errors()
def _run(recipe, folder, verbose):
    training = training_of(recipe)
    splits = Splits.open(recipe, training.channels)
    progress = Progress.read(folder.state)
    batches, validation = splits.training_batches(lambda: progress.epoch), splits.validation_batches()
    epochs = recipe.whole_epochs(len(batches))
    fitted = training.fitted(splits, epochs * len(batches))
    if progress.epochs_done:
        state.restore(folder.state, fitted.variables)
    callbacks = _callbacks(recipe, folder, fitted, progress, splits.validation_examples(PANEL_IMAGES))
    report = RunReport(folder.report, recipe, splits, fitted.segmenter,
                       length={"steps_per_epoch": len(batches), "epochs": epochs})
    report.write(progress, "running")
    if not progress.epochs_done:
        fitted.before_fit(batches, verbose)
    if progress.stopped_early(recipe.early_stopping):
        fitted.model.optimizer.finalize_variable_values(fitted.model.trainable_variables)  # what fit does at its end
    else:
        fitted.model.fit(batches, validation_data=validation, epochs=epochs, initial_epoch=progress.epochs_done,
                         validation_freq=validated_epochs(epochs, recipe.validate_every), shuffle=False,
                         verbose=verbose, callbacks=callbacks)
    save_model(fitted.segmenter, folder.last)
    report.write(progress, "finished")
    return TrainingResult.read(folder)


def _callbacks(recipe: Recipe, folder: RunFolder, fitted: Fitted, progress: Progress, examples: tuple
               ) -> list[keras.callbacks.Callback]:
    """Return what happens during a run, in its order (`kseg.training.callbacks` says why)."""
    panel = Panel(folder.panel, fitted.segmenter, examples)
    stopping = [EarlyStopping(recipe.early_stopping, progress)] if recipe.early_stopping is not None else []
    return [BestModel(folder.best, fitted, progress), panel, *fitted.callbacks, *stopping,
            Record(folder, fitted, progress, panel), FiniteLoss(recipe.learning_rate)]


def validated_epochs(epochs: int, every: int) -> list[int]:
    """Return the epochs, counted from 1, after which the model is validated; the last one always is."""
    return sorted({*range(every, epochs + 1, every), epochs})
