"""Several devices in one process: which they are, and the scope in which a run is built and fitted on them.

TensorFlow trains a replica per device on its part of each batch (`tf.distribute.MirroredStrategy`), JAX runs one
program over all of them (`keras.distribution.DataParallel`). The batch is the recipe's either way.
"""

import contextlib
import dataclasses
import functools
import numbers

import keras
import tensorflow as tf

from kseg import checks
from kseg.data.parallelism import untuned
from kseg.labels import IGNORE_CLASS

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices that a run trains on.

    Args:
        asked: int, "all" or None (one device), what the user wrote; `run.json` records it.
        names: the devices, as Keras names them ("gpu:0"), where there are several; else empty, and Keras chooses.
    """

    asked: int | str | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def chosen(cls, asked: int | str | None) -> "Devices":
        """Return the devices that are asked for: GPUs, where there are none CPUs.

        Raises:
            ValueError, TypeError: if `asked` is neither "all" nor as many as are present, or the backend is PyTorch.
        """
        if asked is None or (asked == 1 and not isinstance(asked, bool)):
            return cls(asked)
        advice = "Pass 'all' for those that are present, or 1 for one."
        if not isinstance(asked, (str, numbers.Integral)) or isinstance(asked, bool):
            raise TypeError(checks.sentence("devices", "must be 'all' or a positive integer", asked, advice))
        if asked != ALL and (isinstance(asked, str) or asked < 1):
            raise ValueError(checks.sentence("devices", "must be 'all' or a positive integer", asked, advice))
        backend = keras.backend.backend()
        if backend not in ("tensorflow", "jax"):
            raise ValueError(checks.sentence("KERAS_BACKEND", "must be 'tensorflow' or 'jax' for several devices",
                                             backend, "Leave `devices` out to train on one."))
        present = tuple(keras.distribution.list_devices())
        if asked != ALL and asked > len(present):
            raise ValueError(checks.sentence(
                "devices", f"must be 'all' or a number up to {len(present)}, the devices present "
                f"({', '.join(present)})", asked, advice))
        names = present if asked == ALL else present[:asked]
        return cls(asked, names if len(names) > 1 else ())

    @property
    def several(self) -> bool:
        """Whether there are more than one."""
        return bool(self.names)

    @property
    def replicas(self) -> bool:
        """Whether each of several has a replica of the model, with statistics of its own: on TensorFlow."""
        return self.several and keras.backend.backend() == "tensorflow"

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context in which a model is built, compiled, fitted and read."""
        if not self.several:
            return contextlib.nullcontext()
        if self.replicas:
            return _strategy(self.names).scope()
        return keras.distribution.DataParallel(devices=list(self.names)).scope()

    def check_batch(self, images: int) -> None:
        """Raise ValueError if a training batch of so many images has no equal part for each device."""
        if self.several and images % len(self.names):
            raise ValueError(checks.sentence(
                "batch_size", f"(or the number of training images, if that is less) must be a multiple of the "
                f"{len(self.names)} devices", images, "Change it, or train on another number of devices."))

    def shared_out(self, batches: tf.data.Dataset) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Return validation batches (pixels, labels) so that each device has a part of each.

        TensorFlow wants an image for each device, and as many for each in the first batch, JAX in every one. A batch of
        fewer is filled with images of which every pixel is ignored. They change no score and no loss of a batch; but in
        the mean over several batches the last one weighs as much as its images with those.
        """
        if not self.several:
            return batches
        count, equal = len(self.names), not self.replicas or len(batches) == 1

        def filled(*parts):
            images = tf.shape(parts[0])[0]
            missing = -images % count if equal else tf.maximum(count - images, 0)
            return tuple(tf.pad(part, [[0, missing]] + [[0, 0]] * (len(part.shape) - 1), constant_values=value)
                         for part, value in zip(parts, (0, IGNORE_CLASS), strict=True))

        def parts_of(*whole):
            bounds = tf.range(count + 1) * tf.shape(whole[0])[0] // count
            return tf.data.Dataset.from_tensor_slices((bounds[:-1], bounds[1:])).map(
                lambda start, stop: tuple(part[start:stop] for part in whole))

        batches = batches.map(filled)
        if not self.replicas:
            return batches
        # TensorFlow's own cut leaves a device without images of a last batch, which some of its operations cannot do.
        parts = untuned(batches.flat_map(parts_of).filter(lambda *part: True))  # else Keras counts parts as batches
        return _strategy(self.names).distribute_datasets_from_function(lambda context: parts)


@functools.cache
def _strategy(names):
    """Return the one strategy of a process over these devices: a second one would number its exchanges as the first."""
    return tf.distribute.MirroredStrategy([name.upper() for name in names])
