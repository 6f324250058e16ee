"""One face for a Keras model, a SavedModel folder and a TFLite file: a call from pixels to logits."""

import json
import os
import weakref
import zipfile

import keras
import numpy as np

from kseg import checks
from kseg.models.load import load_model
from kseg.labels import LabelSet
from kseg.layers.margins import RequireValidSize, valid_loss, valid_sizes

_TRACED = weakref.WeakKeyDictionary()  # Keras model → its traced function, so that every image size shares one trace


class Runner:
    """A model ready to run: `runner(pixels)` → NumPy float32 logits `[B, h, w, classes]`.

    Attributes:
        classes: int.
        in_channels: int, bands of the pixels.
        label_set: `LabelSet` or None.
        image_size: `(height, width)` in pixels if the model takes no other, else None.
        margin: int, pixels that the logits lack on every side (valid convolutions), else 0.
        labels_only: bool, whether the model answers with class ids; its "logits" are then votes, 1 for the class of a
            pixel and 0 for the others.
    """

    def __init__(self, call, classes, in_channels, label_set=None, image_size=None, one_by_one=False,
                 kept=None, margin=0, poolings=None, labels_only=False):
        self._call, self._kept = call, kept
        self.classes, self.in_channels, self.label_set = classes, in_channels, label_set
        self.image_size, self._one_by_one = image_size, one_by_one
        self.margin, self._poolings, self.labels_only = margin, poolings, labels_only

    def __call__(self, pixels):
        """Return the logits of `pixels` (0–255, `[B, H, W, in_channels]`), NumPy float32."""
        pixels = np.asarray(pixels, np.float32)
        if self._one_by_one and len(pixels) != 1:
            return np.concatenate([self(pixels[index:index + 1]) for index in range(len(pixels))])
        return np.asarray(self._call(pixels), np.float32)

    def check_window(self, window):
        """Raise ValueError if `window`, `(height, width)` in pixels, is no size for tiles."""
        if self.image_size and window != self.image_size:
            raise ValueError(checks.sentence(
                "window", f"must be {self.image_size}, the one size this model takes", window,
                f"Pass window={self.image_size}."))
        if self._poolings and not self.image_size:
            legal = tuple(valid_sizes(side, self._poolings)[1] for side in window)
            if window != legal:
                raise ValueError(checks.sentence(
                    "window", "must be a size that a U-Net of valid convolutions takes", window,
                    f"The next larger one is window={legal}."))

    def window_for(self, size, most=572):
        """Return the size of tiles for an image of `size` and the margin: the image's if legal, at most `most`."""
        if self.image_size or not self._poolings:
            return self.image_size or (most, most)
        return tuple(valid_sizes(min(most, side + 2 * self.margin), self._poolings)[1] for side in size)


def runner(model):
    """Return a `Runner` for a model.

    Args:
        model: a `keras.Model` from pixels to logits, the path of a `.keras` file, of a SavedModel folder or of a
            `.tflite` file, or a Runner, which is returned.
    Raises:
        TypeError: if it is none of these.
        FileNotFoundError: if nothing stands at the path.
        ValueError: if the file's signature is not from pixels to logits.
    """
    if isinstance(model, Runner):
        return model
    if isinstance(model, keras.Model):
        return _keras_runner(model)
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(checks.sentence(
            "model", "must be a keras.Model, or the path of a .keras file, a SavedModel folder or a .tflite file",
            type(model).__name__, "Build one with kseg.models or load one with kseg.load_model."))
    path = os.fspath(model)
    if os.path.isdir(path):
        return _saved_model_runner(path)
    checks.existing_file("model", path, "Give a .keras file, a SavedModel folder or a .tflite file.")
    if path.lower().endswith(".tflite"):
        return _tflite_runner(path)
    return _keras_runner(load_model(path, compile=False))


def _keras_runner(model):
    shape = model.inputs[0].shape if len(model.inputs or ()) == 1 else ()
    outputs = model.outputs[0].shape if model.outputs else ()
    if len(shape) != 4 or len(outputs) != 4 or outputs[-1] is None:
        raise TypeError(checks.sentence(
            "model", "must have one input, pixels [B, H, W, channels], and give logits [B, H, W, classes]",
            model.name, "Build one with kseg.models."))
    size = _fixed_size(shape)
    poolings = next((layer.depth for layer in model.layers if isinstance(layer, RequireValidSize)), None)
    return Runner(_traced(model), outputs[-1], shape[-1], getattr(model, "label_set", None), size, kept=model,
                  margin=valid_loss(poolings) // 2 if poolings else _margin(shape, outputs), poolings=poolings)


def _fixed_size(shape):
    """Return `(height, width)` of pixels of `shape` `[B, H, W, C]`, or None where any size goes."""
    free = [side is None for side in shape[1:3]]
    if any(free) and not all(free):
        raise ValueError(checks.sentence(
            "model", "must take images of one size or of any, not fix one side alone", tuple(shape),
            "Build or export it with both sides, or with neither."))
    return None if any(free) else tuple(map(int, shape[1:3]))


def _margin(given, made):
    """Return the pixels that logits of shape `made` lack on each side of pixels of shape `given`, 0 if unknown."""
    if None in (*given[1:3], *made[1:3]):
        return 0
    lost = [have - left for have, left in zip(given[1:3], made[1:3])]
    return int(lost[0]) // 2 if lost[0] == lost[1] > 0 and lost[0] % 2 == 0 else 0


def _traced(model):
    """Return a function pixels → logits in inference mode; under TensorFlow a graph for any size, traced once."""
    if keras.backend.backend() != "tensorflow":
        return lambda pixels: keras.ops.convert_to_numpy(_first(model(pixels, training=False)))
    if model not in _TRACED:
        import tensorflow as tf

        seen = weakref.ref(model)  # the cache must not keep the model alive
        signature = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
        graph = tf.function(lambda pixels: _first(seen()(pixels, training=False)), input_signature=[signature],
                            autograph=False)
        _TRACED[model] = lambda pixels: graph(pixels).numpy()
    return _TRACED[model]


def _first(outputs):
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def _saved_model_runner(path):
    import tensorflow as tf

    if not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise FileNotFoundError(checks.sentence(
            "model", "must be a SavedModel folder, with saved_model.pb inside", path,
            "Give the version folder itself, for example serving/street/1."))
    loaded = tf.saved_model.load(path)
    for name in ("logits", "serving_default", *loaded.signatures):
        signature = loaded.signatures.get(name) if hasattr(loaded.signatures, "get") else None
        call = signature and _signature_call(signature)
        if call:
            break
    else:
        raise ValueError(checks.sentence(
            "model", "must have a signature from pixels [B, H, W, channels] to logits", sorted(loaded.signatures),
            "Export it with kseg.export.saved_model."))
    spec = next(iter(signature.structured_input_signature[1].values()))
    label_set, _ = _description(path)
    made = next(iter(signature.structured_outputs.values())).shape
    return Runner(call, made[-1] or len(label_set), spec.shape[-1], label_set, _fixed_size(spec.shape),
                  one_by_one=spec.shape[0] == 1, kept=loaded,  # the signatures do not keep the variables alive
                  margin=_margin(tuple(spec.shape), tuple(made)))


def _signature_call(signature):
    """Return a function pixels → logits from a signature, or None if it is of another kind."""
    import tensorflow as tf

    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    if len(inputs) != 1 or not any(output.shape.rank == 4 and output.dtype.is_floating for output in outputs.values()):
        return None
    (name, spec), = inputs.items()
    if spec.shape.rank != 4 or spec.shape[-1] is None:
        return None
    key = "logits" if "logits" in outputs else next(
        key for key, output in outputs.items() if output.shape.rank == 4 and output.dtype.is_floating)
    low = spec.dtype.is_integer
    return lambda pixels: signature(**{name: tf.cast(tf.round(pixels) if low else pixels, spec.dtype)})[key].numpy()


def _tflite_runner(path):
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=path, num_threads=os.cpu_count())
    except ValueError as failure:
        raise ValueError(checks.sentence(
            "model", "must be a TFLite file", path, f"The interpreter says: {failure}.")) from failure
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = [None if side < 0 else int(side) for side in given["shape_signature"]]
    label_set, classes = _description(path)
    labels_only = len(made["shape"]) == 3
    classes = classes if labels_only else int(made["shape"][-1])
    if len(shape) != 4 or shape[-1] is None or not classes:
        raise ValueError(checks.sentence(
            "model", "must be a TFLite file from pixels [B, H, W, channels] to logits", path,
            "Export it with kseg.export.tflite."))
    size = _fixed_size(shape)
    interpreter.allocate_tensors()

    def call(pixels):
        if size is None:
            interpreter.resize_tensor_input(given["index"], pixels.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], _quantized(pixels, given))
        interpreter.invoke()
        output = interpreter.get_tensor(made["index"])
        return np.eye(classes, dtype=np.float32)[output] if labels_only else _dequantized(output, made)

    return Runner(call, classes, shape[-1], label_set, size, one_by_one=True,
                  margin=_margin(given["shape"], made["shape"]) if size else 0, labels_only=labels_only)


def _quantized(pixels, details):
    dtype = details["dtype"]
    if np.issubdtype(dtype, np.floating):
        return pixels.astype(dtype)
    scale, zero = details["quantization"]
    steps = np.round(pixels / scale + zero) if scale else np.round(pixels)
    return np.clip(steps, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def _dequantized(output, details):
    scale, zero = details["quantization"]
    return (output.astype(np.float32) - zero) * scale if scale else output.astype(np.float32)


def _description(path):
    """Return `(label_set, classes)` from the kseg.json beside a SavedModel or packed into a TFLite file, or Nones."""
    try:
        if os.path.isdir(path):
            with open(os.path.join(path, "assets.extra", "kseg.json"), encoding="utf-8") as file:
                values = json.load(file)
        else:
            with zipfile.ZipFile(path) as files:
                values = json.loads(files.read("kseg.json"))
        return LabelSet.from_dict(values["label_set"]), int(values["classes"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None, None
