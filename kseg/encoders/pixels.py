"""What networks expect of pixels: (mean, std) of each band, RGB, on the scale 0-255."""

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))  # trained on BGR: stem kernels are flipped when loaded
TORCH = (IMAGENET_MEAN, IMAGENET_STD)
MINUS_ONE_TO_ONE = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
ZERO_TO_ONE = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
EFFICIENTNET_LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
