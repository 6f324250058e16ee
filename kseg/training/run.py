"""`kseg train` as a function: run a recipe into a folder, and go on where a killed run stopped.

The folder holds `run.json` (the recipe and everything else needed to repeat the run), `best.keras` (the best model by
validation mean IoU), `last.keras`, `state.npz` (to resume from), `history.csv`, `curve.png`, `panel.png` and
`tensorboard/`, losses, scores and the panel for `tensorboard --logdir` (extra `tensorboard`). `report.html` shows
it all on one page, written anew after each epoch from `run.json`, `history.csv`, `classes.csv` and `panels/`.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from kseg import checks, data, tasks
from kseg.labels import LabelSet
from kseg.metrics import iou_from_confusion
from kseg.models.load import load_model
from kseg.models.tensorboard import require_tensorboard
from kseg.training import state
from kseg.training.adversarial.fine_tuning import FineTuning
from kseg.training.adversarial.recipe import AdversarialRecipe, recipe_from_dict
from kseg.training.callbacks.best_model import BestModel, save_model
from kseg.training.callbacks.equal_statistics import EqualStatistics
from kseg.training.callbacks.panel import Panel
from kseg.training.callbacks.record import History, Record
from kseg.training.callbacks.refresh import Refresh
from kseg.training.callbacks.stopping import EarlyStopping, FiniteLoss
from kseg.training.devices import Devices
from kseg.training.plain import PlainTraining
from kseg.training.recipe import Recipe, TrainingRecipe
from kseg.training.run_folder import RunFolder, RunReport, read_report
from kseg.training.run_page.write import write_run_page
from kseg.training.share import Share
from kseg.training.splits import Splits
from kseg.training.state import Progress

KINDS = {TrainingRecipe: PlainTraining, AdversarialRecipe: FineTuning}  # what fits each kind of recipe
PANEL_IMAGES = 4


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a run gave.

    Args:
        output_dir: str, the run's folder.
        model: the best model by validation mean IoU, loaded from `best.keras`.
        label_set: `LabelSet`.
        history: list of dicts, one per epoch.
        mean_iou: float, of the best epoch; best_epoch: int, counted from 1.
        confusion: int64 `[classes, classes]`, `confusion[label, prediction]` over the validation set, best epoch; see
            `kseg.metrics.confusion_matrix`.
    """

    output_dir: str
    model: keras.Model
    label_set: LabelSet
    history: list[dict[str, float]]
    mean_iou: float
    best_epoch: int
    confusion: np.ndarray

    @classmethod
    def read(cls, folder: RunFolder) -> "TrainingResult":
        """Return the result of a finished run."""
        model, progress = load_model(folder.best), Progress.read(folder.state)
        best = progress.best
        return cls(folder.path, model, model.label_set, history=progress.history, mean_iou=best["mean_iou"],
                   best_epoch=best["epoch"], confusion=np.asarray(best["confusion"], np.int64))

    @property
    def per_class_iou(self) -> dict[str, float]:
        """Return class name -> intersection over union at the best epoch; NaN where the class does not occur."""
        names, task = tasks.of(self.model.task).class_names(self.label_set), self.model.task
        return dict(zip(names, iou_from_confusion(self.confusion, task).tolist()))


def train(recipe: Recipe, output_dir: str | os.PathLike, verbose: int | str = "auto",
          callbacks: Sequence[keras.callbacks.Callback] = (), devices: int | str | None = None) -> TrainingResult:
    """Train as `recipe` says, into the new folder `output_dir`.

        train(TrainingRecipe(data="shapes", model="UNet"), "runs/first")
        train(recipe, "runs/second", callbacks=[wandb.integration.keras.WandbMetricsLogger()])
        train(recipe, "runs/third", devices="all")
        train(recipe, "runs/fourth", callbacks=[keras.callbacks.TensorBoard("logs", histogram_freq=1)])

    The same recipe gives the same weights, bit for bit, whenever it runs on the same CPU with the same versions of
    kseg, Keras and TensorFlow, by themselves or stopped and resumed; so do the stages of `train_fcn_in_stages`. On
    another CPU, with another number of threads, or with oneDNN switched on or off (`TF_ENABLE_ONEDNN_OPTS`) sums are
    added in another order and the last bits differ. A GPU adds in any order unless
    `tf.config.experimental.enable_op_determinism()` is called first, and several processes (`kseg.distributed`) give
    the weights of as many processes again. `on_error="skip"` and functions of your own must do the same each time.

    Args:
        recipe: `TrainingRecipe`, or an `AdversarialRecipe` to fine-tune a trained model.
        output_dir: str, created; must not hold a run.
        verbose: as `keras.Model.fit`: 0 silent, 1 a bar, 2 one line per epoch.
        callbacks: sequence of Keras callbacks of your own; they see the end of an epoch before its state is saved. No
            part of the recipe: pass them to `resume` again.
        devices: int, how many GPUs (CPUs where there are none) share each batch of `recipe.batch_size`, or "all"; None
            for one. On TensorFlow and JAX. Losses, gradients and scores are those of the whole batch, so that a run
            equals that of one device up to rounding, but for two things on TensorFlow: batch normalisation, unless the
            recipe says `synchronize_batch_normalization`, and dropout, of which each device draws the same masks.
    Returns:
        `TrainingResult`.
    Raises:
        FileExistsError: if the folder holds a run already.
        ValueError: if the loss is no longer finite; for devices that are not there, or that a batch cannot be shared
            out to; from the dataset or the builder.
        FileNotFoundError: from the dataset or the builder.
        ImportError: for `keras.callbacks.TensorBoard`, if tensorboard is not installed.
    """
    if not isinstance(recipe, Recipe):
        raise TypeError(checks.sentence("recipe", "must be a kseg.training.TrainingRecipe", recipe,
                                        "Write train(TrainingRecipe(data='shapes'), 'runs/first')."))
    folder = RunFolder(output_dir)
    if folder.holds_a_run():
        raise FileExistsError(checks.sentence("output_dir", "must not hold a run yet", folder.path,
                                              "Choose another folder, or resume the run that is there."))
    run(recipe, folder, verbose, callbacks, devices=devices)
    return TrainingResult.read(folder)


def resume(output_dir: str | os.PathLike, verbose: int | str = "auto",
           callbacks: Sequence[keras.callbacks.Callback] = (), devices: int | str | None = None) -> TrainingResult:
    """Go on with the run in `output_dir` after its last finished epoch; the result equals that of a run never stopped.

    Weights, optimiser, schedule, moving averages, dropout seeds, order and augmentation of the data go on as they
    would have, but callbacks of your own, which start anew. A finished run is only loaded. `devices` are as in `train`,
    None: as the run was begun; the run may go on with others.

    Returns:
        `TrainingResult`.
    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError, TypeError: if one of its files is damaged.
    """
    folder = RunFolder(output_dir)
    report = read_report(checks.existing_file("output_dir", folder.report, "Give the folder that `kseg train` wrote."))
    if report.get("status") != "finished":
        run(recipe_from_dict(report["recipe"]), folder, verbose, callbacks,
            devices=report.get("devices") if devices is None else devices)
    elif not folder.page_is_of_now():
        with contextlib.suppress(OSError):  # in a folder that can only be read
            write_run_page(folder.path)
    return TrainingResult.read(folder)


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
def run(recipe: Recipe, folder: RunFolder, verbose: int | str, callbacks: Sequence[keras.callbacks.Callback],
        share: Share = Share(), devices: int | str | None = None) -> None:
    """Train as `recipe` says, from where `folder` is: all of it, or the `share` of one of several processes."""
    require_tensorboard(callbacks)
    devices = Devices.chosen(devices)
    if devices.several and isinstance(recipe, AdversarialRecipe):
        raise ValueError(checks.sentence("devices", "must be 1 for adversarial training", devices.asked,
                                         "Leave it out."))
    with devices.scope():
        _fit(recipe, folder, verbose, callbacks, share, devices)


def _fit(recipe, folder, verbose, callbacks, share, devices):
    training = KINDS[type(recipe)](recipe)  # a trained network that it starts from is loaded here
    splits = Splits.open(recipe, training.channels, training.pixel_range)
    devices.check_batch(min(recipe.batch_size, len(splits.train) * recipe.patches))
    progress = Progress.read(folder.state)
    batches = splits.training_batches(lambda: progress.epoch, share.of_batches)
    if not len(batches):
        raise ValueError(checks.sentence("batch_size", f"must be at most the {len(splits.train) * recipe.patches} "
                                         "training images", recipe.batch_size, "Lower it, or add images."))
    validation = splits.validation_batches(share.of_batches)
    epochs = recipe.whole_epochs(len(batches))
    fitted = training.fitted(splits, epochs * len(batches))
    if progress.epochs_done:
        state.restore(folder.state, fitted.variables)
    joined = share.join(fitted, len(batches), len(validation))
    stopping = [EarlyStopping(recipe.early_stopping, progress)] if recipe.early_stopping is not None else []
    pictured, recorded, course = [], [], contextlib.nullcontext()
    if share.writes:
        report = RunReport(folder.report, recipe, splits, fitted.segmenter, workers=share.workers,
                           length={"steps_per_epoch": len(batches), "epochs": epochs}, devices=devices)
        pictured, recorded, course = _writers(folder, report, progress, fitted, splits)
    alike = [EqualStatistics()] if devices.replicas else []
    callbacks = [*joined, *alike, *pictured, *fitted.callbacks, *stopping,  # `kseg.training.callbacks` says why so
                 *callbacks, History(progress), *recorded, *share.callbacks(), FiniteLoss(recipe.learning_rate)]
    with course:
        if not progress.epochs_done:
            fitted.before_fit(batches, verbose)
        if progress.stopped_early(recipe.early_stopping):  # what fit does at its end:
            fitted.model.optimizer.finalize_variable_values(fitted.model.trainable_variables)
        else:
            fitted.model.fit(batches, validation_data=devices.shared_out(validation), epochs=epochs,
                             initial_epoch=progress.epochs_done, shuffle=False,
                             validation_freq=validated_epochs(epochs, recipe.validate_every),
                             verbose=verbose, callbacks=callbacks)
        if share.writes:
            save_model(fitted.segmenter, folder.last)


def _writers(folder, report, progress, fitted, splits):
    """Return callbacks that see validated weights, callbacks that record an epoch, and the context of the whole run."""
    refresh = Refresh(folder, report, progress, splits.label_set)
    panel = Panel(folder.panel, fitted.segmenter, splits.validation_examples(PANEL_IMAGES), refresh.keep)
    record = Record(folder, fitted, progress, panel)
    if progress.history:
        record.write_tables()  # the run may have been killed between its state and these
    return [BestModel(folder.best, fitted, progress), panel], [record, refresh], refresh.course()


def validated_epochs(epochs: int, every: int) -> list[int]:
    """Return the epochs, counted from 1, after which the model is validated; the last one always is."""
    return sorted({*range(every, epochs + 1, every), epochs})
