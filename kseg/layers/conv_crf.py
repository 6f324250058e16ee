"""The convolutional CRF: mean field inside a window, differentiable and trainable with the network."""

from typing import Any

import keras
from keras import ops

from kseg import checks
from kseg.layers.resize_to import ResizeTo
from kseg.types import Config, Shape, Tensor

NORMALIZATIONS = ("none", "symmetric")


@keras.saving.register_keras_serializable(package="kseg")
class ConvCRF(keras.layers.Layer):
    """Refine logits by mean field among the pixels of a window.

    Per iteration `Q = softmax((u - w) · log P + w · (message + message M))`, where P is the logits' softmax, the
    message is the windowed sum of k(i, j) Q_j with
    `k = 3 exp(-|p_i - p_j|² / 2·3²) + 10 exp(-|I_i - I_j|² / 2·13²)` at the default numbers, w is a trained weight per
    class and M a trained class compatibility. The colour kernel has no position term: the window supplies the
    locality, and a pixel's message includes its own value. Messages pass between means of `blur` x `blur` pixels, so
    a window of 11 covers 44 pixels, and are resized bilinearly to full resolution. The first message is computed from
    probabilities (the authors' program starts from log-probabilities).
    Reference: Teichmann, Cipolla, Convolutional CRFs for Semantic Segmentation, BMVC 2019, arXiv:1805.04777,
    section 4; default numbers from the authors' program.

    Training keeps about `iterations · filter_size² · classes · 4 / blur²` bytes per pixel for the gradient.

    Args:
        iterations: int, mean-field updates. Default 5.
        filter_size: int, odd, side of the window in cells of `blur` pixels. Default 11.
        blur: int, side of the cells. Default 4; 1 passes messages at full resolution.
        position_sigma: float, width of the smoothness kernel in pixels. Default 3.
        position_weight: float, weight of the smoothness kernel. Default 3.
        color_sigma: float, width of the appearance kernel in grey levels of 0-255. Default 13.
        color_weight: float, weight of the appearance kernel. Default 10.
        normalization: "none", the authors' default: messages grow with the window and sharpen untrained; or "symmetric"
            (D^-1/2 K D^-1/2, D the kernel summed over the window): messages stay near 1, and the
            refinement has to be learned, or `initial_weight` raised. Default "none".
        initial_weight: float, w before training. Default 0.2.
        unary_weight: float, u. Default 1.
        class_compatibility: bool, whether to train M, which starts at 0. Default True.
        dtype: default "float32", also under mixed precision.

    Inputs: logits float `[B, H, W, C]` and pixels `[B, H, W, channels]`, uint8 or float, 0-255; H and W may be unknown.
    Output: refined logits, float32 `[B, H, W, C]`.
    Raises:
        ValueError: if `filter_size` is even, `normalization` is unknown or a number is out of range.
    """

    def __init__(self, iterations: int = 5, filter_size: int = 11, blur: int = 4, position_sigma: float = 3.0,
                 position_weight: float = 3.0, color_sigma: float = 13.0, color_weight: float = 10.0,
                 normalization: str = "none", initial_weight: float = 0.2, unary_weight: float = 1.0,
                 class_compatibility: bool = True, dtype: str = "float32", **kwargs: Any):
        super().__init__(dtype=dtype, **kwargs)
        self.iterations = checks.positive_integer("iterations", iterations)
        self.filter_size = checks.positive_integer("filter_size", filter_size)
        if self.filter_size % 2 == 0:
            raise ValueError(checks.sentence("filter_size", "must be odd", filter_size, "Use 11, the paper's default."))
        self.blur = checks.positive_integer("blur", blur)
        self.position_sigma = checks.number_between("position_sigma", position_sigma, 0.01, 1e4)
        self.position_weight = checks.number_between("position_weight", position_weight, 0, 1e4)
        self.color_sigma = checks.number_between("color_sigma", color_sigma, 0.01, 1e4)
        self.color_weight = checks.number_between("color_weight", color_weight, 0, 1e4)
        self.normalization = checks.one_of("normalization", normalization, NORMALIZATIONS)
        self.initial_weight = checks.number_between("initial_weight", initial_weight, 0, 1e4)
        self.unary_weight = checks.number_between("unary_weight", unary_weight, 0, 1e4)
        self.class_compatibility = bool(class_compatibility)
        self.resize = ResizeTo(dtype=dtype, name="resize")

    def build(self, logits_shape: Shape, pixels_shape: Shape) -> None:
        classes = logits_shape[-1]
        self.class_weight = self.add_weight(name="class_weight", shape=(classes,),
                                            initializer=keras.initializers.Constant(self.initial_weight))
        if self.class_compatibility:
            self.compatibility = self.add_weight(name="compatibility", shape=(classes, classes), initializer="zeros")

    def call(self, logits: Tensor, pixels: Tensor) -> Tensor:
        log_unary = ops.log_softmax(ops.cast(logits, self.compute_dtype), axis=-1)
        kernel = self._kernel(self._pooled(ops.cast(pixels, self.compute_dtype)))
        weight = ops.convert_to_tensor(self.class_weight)
        refined = log_unary
        for _ in range(self.iterations):
            message = self._passed(kernel, self._pooled(ops.softmax(refined, axis=-1)))
            if self.class_compatibility:
                message = message + ops.matmul(message, ops.convert_to_tensor(self.compatibility))
            message = self._upsampled(message, log_unary)
            refined = (self.unary_weight - weight) * log_unary + weight * message
        return refined

    def _pooled(self, values):
        """Return the means of `blur` x `blur` cells, `[B, ceil(H / blur), ceil(W / blur), C]`, real pixels only."""
        if self.blur == 1:
            return values
        extra = [[0, 0], [0, self.blur - 1], [0, self.blur - 1], [0, 0]]
        total = ops.average_pool(ops.pad(values, extra), self.blur, self.blur, padding="valid")
        share = ops.average_pool(ops.pad(ops.ones_like(values[..., :1]), extra), self.blur, self.blur, padding="valid")
        return total / share

    def _upsampled(self, message, reference):
        if self.blur == 1:
            return message
        whole = ops.repeat(ops.repeat(message[..., :1], self.blur, axis=1), self.blur, axis=2)
        resized = self.resize(message, whole)  # [B, blur ceil(H / blur), blur ceil(W / blur), C]
        shape = ops.shape(reference)
        return resized[:, :shape[1], :shape[2]]

    def _windows(self, values):
        """Return, for each column offset of the window, the column of neighbours: a list of `[B, h, w, rows, C]`."""
        last = self.filter_size - 1
        reach = last // 2
        padded = ops.pad(values, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
        rows = ops.stack([padded[:, row:row - last or None] for row in range(last + 1)], axis=3)
        return [rows[:, :, column:column - last or None] for column in range(last + 1)]

    def _kernel(self, pixels):
        """Return, for each column offset, the weights of its neighbours: a list of `[B, h, w, rows, 1]`."""
        reach = self.filter_size // 2
        centre = ops.expand_dims(pixels, 3)
        kernel = []
        for column, neighbours in enumerate(self._windows(pixels)):
            unlike = ops.sum(ops.square(neighbours - centre), axis=-1, keepdims=True)
            apart = [[(row - reach) ** 2 + (column - reach) ** 2] for row in range(self.filter_size)]
            apart = ops.convert_to_tensor(apart, dtype=self.compute_dtype) * float(self.blur ** 2)  # [rows, 1]
            kernel.append(self.color_weight * ops.exp(unlike * (-0.5 / self.color_sigma ** 2))
                          + self.position_weight * ops.exp(apart * (-0.5 / self.position_sigma ** 2)))
        if self.normalization == "none":
            return kernel
        root = ops.rsqrt(self._passed(kernel, ops.ones_like(pixels[..., :1])))  # [B, h, w, 1]
        return [weights * ops.expand_dims(root, 3) * neighbours
                for weights, neighbours in zip(kernel, self._windows(root))]

    def _passed(self, kernel, values):
        """Return the windowed sum of kernel times values, `[B, h, w, C]`; nothing comes from outside the image."""
        return sum(ops.sum(weights * neighbours, axis=3) for weights, neighbours in zip(kernel, self._windows(values)))

    def compute_output_shape(self, logits_shape: Shape, pixels_shape: Shape) -> Shape:
        return logits_shape

    def compute_output_spec(self, logits: Tensor, pixels: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(logits.shape, dtype=self.compute_dtype)

    def get_config(self) -> Config:
        names = ("iterations", "filter_size", "blur", "position_sigma", "position_weight", "color_sigma",
                 "color_weight", "normalization", "initial_weight", "unary_weight", "class_compatibility")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
