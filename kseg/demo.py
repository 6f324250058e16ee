"""The whole way in minutes: train on the embedded shapes, draw, export, and prove that the exports answer alike.

`make demo` runs it. It stands above every room of the package; nothing imports it but the command line.
"""

import dataclasses
import os

import numpy as np

from kseg import checks
from kseg.training import TrainingRecipe

SIZE = (128, 128)
SHEET_IMAGES = 6

# From scratch a ResNet-18 learns outlines in far fewer steps than a network of depthwise convolutions.
RECIPE = TrainingRecipe(
    model="PSPNet", encoder_name="resnet18", model_options={"output_stride": 16, "filters": 128},
    data="shapes", image_size=SIZE, batch_size=8, epochs=11, learning_rate=1e-3, warmup_steps=50,
    augment={"flip": 0.5})


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """What `demo` made.

    Args:
        training: `kseg.training.TrainingResult`.
        reports: list of `kseg.export.ParityReport`: SavedModel, TFLite float32.
        sheet: str, path of the picture of image, truth and prediction.
    """

    training: object
    reports: list
    sheet: str


def demo(output_dir, recipe=RECIPE, verbose=1):
    """Train a PSPNet on the shapes, write a sheet of predictions, export to TensorFlow Serving and TFLite.

    Args:
        output_dir: str, a new folder: `run/` (see `kseg.training.train`), `sheet.png`, `serving/shapes/1`,
            `shapes.tflite`. An interrupted demo in it goes on where it stopped.
        recipe: `TrainingRecipe`, a shorter or longer one than the default.
        verbose: as `keras.Model.fit`.
    Returns:
        `DemoResult`.
    Raises:
        FileExistsError: if the folder holds a finished demo.
    """
    from kseg.export import saved_model, tflite
    from kseg.training import resume, train

    sheet = os.path.join(output_dir, "sheet.png")
    if os.path.exists(sheet):
        raise FileExistsError(checks.sentence("output_dir", "must not hold a finished demo", os.fspath(output_dir),
                                              "Delete it or choose another folder."))
    run = os.path.join(output_dir, "run")
    if os.path.exists(os.path.join(run, "run.json")):
        result = resume(run, verbose=verbose)
    else:
        result = train(recipe, run, verbose=verbose)
    reports = [
        saved_model(result.model, os.path.join(output_dir, "serving", "shapes", "1"), overwrite=True),
        tflite(result.model, os.path.join(output_dir, "shapes.tflite"), image_size=recipe.image_size, overwrite=True),
    ]
    _draw(result, recipe, sheet)
    return DemoResult(result, reports, sheet)


def _draw(result, recipe, path):
    """Write a sheet of validation images the model has not seen."""
    import kseg
    from kseg.inference import pictures

    examples = kseg.data.load(recipe.data, "validation", image_size=recipe.image_size, batch_size=SHEET_IMAGES)
    pixels, labels = (array.numpy() for array in next(iter(examples)))
    predictions = np.asarray(kseg.predict(result.model, pixels))
    rows = list(zip(pixels, labels.astype(np.uint8), predictions))
    pictures.write_picture(path, pictures.sheet(rows, result.label_set, tile_size=(160, 160)))
