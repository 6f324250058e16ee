"""Where the strides of a network laid out anew end and its dilation begins."""


class StridePlan:
    """Hands out `(stride, rate)`: strides until the output stride is reached, from then on dilation (never both).

    The rate belongs to the tensor that is read: a convolution that gives up its stride runs at the rate before it, and
    the next ones at the new one. Dense features, subsampled, then equal the strided ones exactly.

    Args:
        output_stride: int, input pixels per pixel of the last stage.
        used: int, the stride of the tensor that the plan begins with.
        full_rates: bool, whether a convolution that gives up its stride runs at the new rate already.
    `rate` is that of the next convolution.
    """

    def __init__(self, output_stride: int, used: int, full_rates: bool = False):
        self.output_stride = output_stride
        self.used = used
        self.full_rates = full_rates
        self.rate = 1

    def take(self, stride: int) -> tuple[int, int]:
        """Return the (stride, rate) of a convolution that has `stride` in the network without dilation."""
        rate = self.rate
        if self.used * stride <= self.output_stride:
            self.used *= stride
            return stride, rate
        self.rate *= stride
        return 1, self.rate if self.full_rates else rate
