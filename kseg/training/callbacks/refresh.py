"""The report and the page of a run, written anew after each epoch; the page never ends a training."""

import contextlib
import warnings
from collections.abc import Iterator

import keras

from kseg.labels import LabelSet
from kseg.training.callbacks import kept_panels
from kseg.training.callbacks.panel import Rows
from kseg.training.run_folder import RunFolder, RunReport
from kseg.training.run_page.write import write_run_page
from kseg.training.state import Progress


class Refresh(keras.callbacks.Callback):
    """Writes `run.json` and `report.html` when training begins, after each epoch, and at its end, however it comes.

    What fails in writing the page or its pictures is warned of once; training goes on.
    """

    def __init__(self, folder: RunFolder, report: RunReport, progress: Progress, label_set: LabelSet) -> None:
        super().__init__()
        self.folder, self.report, self.progress, self.label_set = folder, report, progress, label_set
        self._warned = False

    def keep(self, rows: Rows) -> None:
        """Keep the pictures of the epoch in progress for the page."""
        with self._harmless():
            kept_panels.keep(self.folder.panels, self.progress.epoch + 1, rows, self.label_set,
                             self.progress.best["epoch"])

    @contextlib.contextmanager
    def course(self) -> Iterator[None]:
        """Say "running" at the beginning of the block, and "finished" or "interrupted" at its end."""
        self._write("running")
        try:
            yield
        except BaseException as failure:  # an interrupt from the keyboard, too
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                self._write("interrupted", str(failure).strip()[:1000] or type(failure).__name__)
            raise
        self._write("finished")

    def on_epoch_end(self, epoch, logs=None):
        with self._harmless():
            self._write("running")

    def _write(self, status, reason=None):
        self.report.write(self.progress, status, reason)
        with self._harmless():
            write_run_page(self.folder.path)

    @contextlib.contextmanager
    def _harmless(self):
        try:
            yield
        except Exception as failure:  # whatever it is, hours of training are worth more than the page
            if not self._warned:
                warnings.warn(f"the page {self.folder.page} could not be written ({failure}); training goes on, "
                              "kseg.training.write_run_page(folder) makes it later", stacklevel=2)
            self._warned = True
