"""Time a training step of SegNet's pooling and unpooling against TensorFlow's argmax pooling and a scatter.

    python examples/unpooling_benchmark.py

Prints the median seconds of each and their ratio (below 1: kseg is faster).
"""

import statistics
import time

import tensorflow as tf

from kseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D

SHAPES = ((4, 180, 240, 64), (4, 90, 120, 128), (4, 45, 60, 256), (4, 23, 30, 512))
ROUNDS = 15


def ours(pixels):
    maxima, places = MaxPoolingWithArgmax2D()(pixels)
    return MaxUnpooling2D()(maxima, places, pixels)


def argmax_and_scatter(pixels):
    maxima, flat = tf.nn.max_pool_with_argmax(pixels, 2, 2, "SAME", include_batch_in_index=True)
    size = tf.size(pixels)
    scattered = tf.scatter_nd(tf.reshape(flat, [-1, 1]), tf.reshape(maxima, [-1]), [tf.cast(size, tf.int64)])
    return tf.reshape(scattered, tf.shape(pixels))


def step(function):
    @tf.function
    def run(pixels, upstream):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            outputs = function(pixels)
        return outputs, tape.gradient(outputs, pixels, output_gradients=upstream)
    return run


def seconds(run, *arguments):
    started = time.perf_counter()
    run(*arguments)[1].numpy()
    return time.perf_counter() - started


def main():
    for shape in SHAPES:
        pixels, upstream = tf.nn.relu(tf.random.normal(shape)), tf.random.normal(shape)
        runs = [step(ours), step(argmax_and_scatter)]
        times = [[], []]
        for round_index in range(ROUNDS + 2):
            for kind, run in enumerate(runs):
                elapsed = seconds(run, pixels, upstream)
                if round_index >= 2:  # the first rounds trace and warm up
                    times[kind].append(elapsed)
        mine, theirs = (statistics.median(kind) for kind in times)
        print(f"{shape}: kseg {mine * 1e3:.1f} ms, argmax + scatter {theirs * 1e3:.1f} ms, ratio {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
