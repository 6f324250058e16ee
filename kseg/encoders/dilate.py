"""Cloning a library network at another output stride, for any image size.

Every tensor of a network lies on a grid. Where a stride is traded for dilation, the tensors after it lie on a grid
`rate` times finer than the one their layers were trained on, so that these layers must reach `rate` times further.
The rate is a property of the input tensor: a strided convolution keeps the rate of the grid it reads, and the layers
after it take the next one. Dense features, subsampled, then equal the strided ones exactly.
"""

import keras

from kseg import checks
from kseg.encoders.grid import grid_before, grid_of, single_input, stride_of
from kseg.encoders.row import Encoder, Features, Pairs
from kseg.layers import (
    AtrousConv2D,
    AtrousDepthwiseConv2D,
    AtrousPooling2D,
    AtrousSeparableConv2D,
    BatchNormalization,
    ShiftToStridedPhase,
    SpaceToDepth,
)

_CONVOLUTIONS = {"Conv2D": AtrousConv2D, "DepthwiseConv2D": AtrousDepthwiseConv2D,
                 "SeparableConv2D": AtrousSeparableConv2D}
_PREPROCESSING = ("Rescaling", "Normalization")


def dilated(row: Encoder, tensor: keras.KerasTensor, output_stride: int, multi_grid: tuple[int, ...] | None,
            library: keras.Model, *, full_rates: bool = False) -> tuple[Features, Pairs]:
    """The layout of a library's network built at 512x512 pixels: its clone at another output stride, for any size."""
    factors = dict(zip(row.multi_grid, multi_grid or ()))
    cloner = Cloner(library, output_stride, factors, row.shifted_shortcuts, full_rates)
    cloner.run(tensor)
    return {key: cloner.tapped(tap) for key, tap in row.taps.items()}, cloner.pairs


class Cloner:
    """Clones one library network, built at 512x512 pixels, on new inputs.

    Args:
        library: functional `keras.Model`, `[None, 512, 512, 3]` to features.
        output_stride: int, input pixels per pixel of the last stage.
        factors: dict, name of a convolution to a factor on its rate.
        shifted_shortcuts: bool, whether strided 1x1 shortcuts meet strided 3x3 kernels (see `ShiftToStridedPhase`).
        full_rates: bool, whether a convolution that gives up its stride takes the rate of those after it.
    After `run`, `pairs` holds the (library layer, clone) pairs that have weights.
    """

    def __init__(self, library: keras.Model, output_stride: int, factors: dict[str, int], shifted_shortcuts: bool,
                 full_rates: bool = False):
        self.library = library
        self.output_stride = output_stride
        self.factors = factors
        self.shifted_shortcuts = shifted_shortcuts
        self.full_rates = full_rates
        self.pairs: Pairs = []
        self._inputs, self._outputs = {}, {}  # the tensors of every layer by its name

    def run(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Call the clone on `tensor` `[B, H, W, C]`, pixels already normalised; return the last layer's output."""
        self._start = tensor
        clone = keras.models.clone_model(
            self.library, input_tensors=tensor, clone_function=lambda layer: layer, call_function=self._call)
        return clone.outputs[0]

    def tapped(self, tap: str) -> keras.KerasTensor:
        """Return the tensor that `tap` names (see `kseg.encoders.families`); after `run`."""
        tensors, layer = (self._inputs, tap[1:]) if tap.startswith("<") else (self._outputs, tap)
        if layer.endswith("*"):
            layer = [name for name in tensors if name.startswith(layer[:-1])][-1]
        return tensors[layer]

    def _call(self, layer, *args, **kwargs):
        # keras calls this for the operations of the library's graph in order, with the clone's tensors.
        if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.layers.InputLayer):
            return layer(*args, **kwargs)
        self._inputs[layer.name] = args[0]
        outputs = self._apply(layer, args[0], grid_before(layer), stride_of(layer))
        self._outputs[layer.name] = outputs
        return outputs

    def _apply(self, layer, tensor, grid, stride):
        """Apply the clone of `layer`, whose input lies `grid` pixels apart in the library's network."""
        kind = type(layer).__name__
        dropped = kind in _PREPROCESSING or self._is_drop_path(layer)
        if dropped or (kind == "ZeroPadding2D" and self._recomputed(layer)):
            return tensor
        if isinstance(layer, keras.Sequential):
            return self._apply_sequence(layer, tensor, grid, stride)
        if kind == "CrossStagePartial":
            return self._apply_cross_stage(layer, tensor, grid)
        if layer.name == "stem_focus":  # slices and a concatenation in keras_cv, which fail at odd sizes
            return SpaceToDepth(name=layer.name)(self._start)
        traded = grid * stride > self.output_stride
        grid *= stride if traded and self.full_rates and kind in _CONVOLUTIONS else 1
        rate = max(1, grid // self.output_stride)
        clone = self._clone(layer, kind, rate, traded)
        if clone is None:
            return tensor
        if layer.weights:
            self.pairs.append((layer, clone))
        side = layer.kernel_size[0] if kind == "Conv2D" else 0
        if traded and self.shifted_shortcuts and side == 1:
            tensor = ShiftToStridedPhase(rate, name=f"{layer.name}_shift")(tensor)
        if side and side % 2 == 0 and rate > 1:  # an even kernel's window starts at its own pixel, also when dilated
            tensor = keras.layers.ZeroPadding2D(((0, rate * (side - 1)),) * 2, name=f"{layer.name}_pad")(tensor)
        return clone(tensor)

    def _clone(self, layer, kind, rate, traded):
        config = layer.get_config()
        if kind in _CONVOLUTIONS:
            if traded:
                config["strides"] = (1, 1)
            if max(config["kernel_size"]) > 1:
                rate = rate * self.factors.get(layer.name, 1)
                config["dilation_rate"] = tuple(rate * base for base in layer.dilation_rate)
                if not self._keeps_padding(layer):
                    config["padding"] = "same" if config["kernel_size"][0] % 2 or rate == 1 else "valid"
            return _CONVOLUTIONS[kind].from_config(config)
        if kind in ("MaxPooling2D", "AveragePooling2D"):
            return self._clone_pooling(layer, config, rate, traded)
        if kind == "BatchNormalization":
            allowed = ("name", "axis", "epsilon", "center", "scale")
            return BatchNormalization(**{key: config[key] for key in allowed})
        if kind == "Lambda":  # CSPDarkNet's activation; a lambda cannot be loaded again
            probe = keras.ops.linspace(-4.0, 4.0, 9)
            if not keras.ops.all(keras.ops.isclose(layer.function(probe), keras.activations.silu(probe))):
                raise ValueError(checks.sentence("encoder_name", "must be a network whose lambdas are SiLU", layer.name,
                                                 "Install the version of keras-cv that kseg names."))
            return keras.layers.Activation("silu", name=layer.name)
        return type(layer).from_config(config)

    def _clone_pooling(self, layer, config, rate, traded):
        strided = max(layer.strides) > 1
        if (traded and strided) or (not strided and rate > 1):
            if max(layer.pool_size) == 1:
                return None
            mode = "max" if "Max" in type(layer).__name__ else "average"
            return AtrousPooling2D(layer.pool_size[0], rate, mode, name=layer.name)
        if not self._keeps_padding(layer):
            config["padding"] = "same"
        return type(layer).from_config(config)

    def _apply_sequence(self, sequence, tensor, grid, stride):
        for layer in sequence.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            own = max(getattr(layer, "strides", (1,)))
            tensor = self._apply(layer, tensor, grid, own)
            grid *= own
        return tensor

    def _apply_cross_stage(self, layer, tensor, grid):
        """keras_cv's CSP block, flattened so that its 3x3 convolutions can be dilated."""
        main = self._apply_sequence(layer.darknet_conv1, tensor, grid, 1)
        side = self._apply_sequence(layer.darknet_conv2, tensor, grid, 1)
        for index in range(layer.num_bottlenecks):
            residual = main
            for block in layer.bottleneck_convs[2 * index:2 * index + 2]:
                main = self._apply_sequence(block, main, grid, 1)
            if layer.residual:
                main = keras.layers.Add(name=f"{layer.name}_add{index}")([residual, main])
        joined = keras.layers.Concatenate(name=f"{layer.name}_concat")([main, side])
        return self._apply_sequence(layer.darknet_conv3, joined, grid, 1)

    @staticmethod
    def _is_drop_path(layer):
        # Drop path 0.2 cost short runs 3-5 points of mIoU on CamVid; segmentation papers train without it.
        return isinstance(layer, keras.layers.Dropout) and getattr(layer, "noise_shape", None) is not None

    def _consumer(self, layer):
        output = layer.output
        return next(other for other in self.library.layers
                    if not isinstance(other.input, (list, tuple)) and other.input is output)

    def _recomputed(self, layer):
        """Whether the padding `layer` gives way to TensorFlow's SAME, which is right at every size."""
        (top, bottom), (left, right) = layer.padding
        consumer = self._consumer(layer)
        stride = max(consumer.strides)
        traded = grid_of(layer.input) * stride > self.output_stride
        return (top, left) != (bottom, right) or stride == 1 or traded

    def _keeps_padding(self, layer):
        """Whether a symmetric padding layer, kept, stands before `layer`."""
        source = next((other for other in self.library.layers
                       if type(other).__name__ == "ZeroPadding2D" and other.output is single_input(layer)), None)
        return source is not None and not self._recomputed(source)
