"""Batch normalisation of several replicas: their moving statistics made equal, as those of one are saved."""

import keras
import numpy as np
import tensorflow as tf

from kseg.models.walk import batch_normalization_of


class EqualStatistics(keras.callbacks.Callback):
    """Sets the moving statistics of all replicas to their mean, before each validation and at the end of each epoch.

    A replica averages the statistics of the parts that it sees; saved are those of the first one. As moving averages
    are linear, the mean at the end of an epoch is that of steps which each averaged over the replicas.
    """

    def on_test_begin(self, logs=None):
        self._average()

    def on_epoch_end(self, epoch, logs=None):
        self._average()

    def _average(self):
        strategy = tf.distribute.get_strategy()
        for layer in batch_normalization_of(self.model):
            for weight in layer.non_trainable_variables if layer.trainable else ():  # a mean of equals may round
                values = [one.numpy() for one in strategy.experimental_local_results(weight.value)]
                weight.assign(np.mean(values, axis=0))
