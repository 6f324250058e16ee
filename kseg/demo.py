"""The whole way in minutes: train on the embedded shapes, draw, export, and prove that the exports answer alike.

`make demo` runs it. It stands above every room of the package; nothing imports it but the command line.
"""

import dataclasses
import os
import typing

import numpy as np

from kseg import checks
from kseg.training import TrainingRecipe

if typing.TYPE_CHECKING:
    from kseg.export import ParityReport
    from kseg.training import TrainingResult

SIZE = (64, 64)
SHEET_IMAGES = 6

# From random weights a ResNet-18 learns outlines in far fewer steps than a network of depthwise convolutions. At 64
# pixels a step takes a quarter of what it takes at 128. With four images a batch it learns more from each than with
# eight. The Dice term keeps it from answering "background" everywhere.
RECIPE = TrainingRecipe(
    model="UNet", encoder_name="resnet18", model_options={"decoder_filters": [96, 64, 32, 24, 16]},
    data="shapes", image_size=SIZE, batch_size=4, epochs=6, validate_every=2, learning_rate=2e-3, warmup_steps=50,
    loss={"cross_entropy": 1.0, "dice": 1.0}, augment={"flip": 0.5})

# A PSPNet then starts from the encoder that the U-Net has trained: in one epoch its mean IoU comes to about 0.45.
PYRAMID_RECIPE = TrainingRecipe(
    model="PSPNet", encoder_name="resnet18", model_options={"output_stride": 16, "filters": 128},
    data="shapes", image_size=SIZE, batch_size=8, epochs=1, learning_rate=1e-3, warmup_steps=5,
    loss={"cross_entropy": 1.0, "dice": 1.0}, augment={"flip": 0.5})


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """What `demo` made.

    Args:
        training: `kseg.training.TrainingResult` of the U-Net, which is drawn and exported.
        pyramid: `kseg.training.TrainingResult` of the PSPNet on the U-Net's encoder.
        reports: list of `kseg.export.ParityReport`: SavedModel, TFLite float32.
        sheet: str, path of the picture of image, truth and prediction.
    """

    training: "TrainingResult"
    pyramid: "TrainingResult"
    reports: "list[ParityReport]"
    sheet: str


def demo(output_dir: str | os.PathLike, recipe: TrainingRecipe = RECIPE,
         pyramid_recipe: TrainingRecipe = PYRAMID_RECIPE, verbose: int | str = 1) -> DemoResult:
    """Train a U-Net on the shapes and a PSPNet on its encoder, draw, export to TensorFlow Serving and TFLite.

    Args:
        output_dir: str, a new folder: `run/` and `pspnet/` (see `kseg.training.train`), `encoder.weights.h5`,
            `sheet.png`, `serving/shapes/1`, `shapes.tflite`. An interrupted demo in it goes on where it stopped.
        recipe: `TrainingRecipe`, a shorter or longer one than the default, of an encoder that a PSPNet can have.
        pyramid_recipe: `TrainingRecipe` of the network that takes over the encoder.
        verbose: as `keras.Model.fit`.
    Returns:
        `DemoResult`.
    Raises:
        FileExistsError: if the folder holds a finished demo.
    """
    from kseg.export import saved_model, tflite

    sheet = os.path.join(output_dir, "sheet.png")
    if os.path.exists(sheet):
        raise FileExistsError(checks.sentence("output_dir", "must not hold a finished demo", os.fspath(output_dir),
                                              "Delete it or choose another folder."))
    result = _trained(recipe, os.path.join(output_dir, "run"), verbose)
    encoder = os.path.join(output_dir, "encoder.weights.h5")
    result.model.get_layer("encoder").save_weights(encoder)
    pyramid_recipe = dataclasses.replace(pyramid_recipe, encoder_name=recipe.encoder_name, encoder_weights=encoder)
    pyramid = _trained(pyramid_recipe, os.path.join(output_dir, "pspnet"), verbose)
    reports = [
        saved_model(result.model, os.path.join(output_dir, "serving", "shapes", "1"), overwrite=True),
        tflite(result.model, os.path.join(output_dir, "shapes.tflite"), image_size=recipe.image_size, overwrite=True),
    ]
    _draw(result, recipe, sheet)
    return DemoResult(result, pyramid, reports, sheet)


def _trained(recipe, folder, verbose):
    """Train into `folder`, or go on with the run that is there."""
    from kseg.training import resume, train
    from kseg.training.run_folder import RunFolder

    if RunFolder(folder).holds_a_run():
        return resume(folder, verbose=verbose)
    return train(recipe, folder, verbose=verbose)


def _draw(result, recipe, path):
    """Write a sheet of validation images the model has not seen."""
    import kseg
    from kseg import pictures

    examples = kseg.data.load(recipe.data, "validation", image_size=recipe.image_size, batch_size=SHEET_IMAGES)
    pixels, labels = (array.numpy() for array in next(iter(examples)))
    predictions = np.asarray(kseg.predict(result.model, pixels))
    rows = list(zip(pixels, labels.astype(np.uint8), predictions))
    pictures.write_picture(path, pictures.sheet(rows, result.label_set, tile_size=(192, 192)))
