"""AdamW in one operation of TensorFlow per weight, which is half of what a first training step takes to trace."""

import types

import keras
from keras import ops


class DecayInStep:
    """The half of an optimiser that decays a weight in its own update, at the rate of that update.

    Keras decays all weights before it updates the first, in a pass of its own. What a weight becomes is the same.
    """

    def _factor(self, variable):
        """Return the factor on the learning rate of `variable`."""
        return 1.0

    def _apply_weight_decay(self, variables):
        """Do not decay all weights at once, as Keras does: `update_step` decays each."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self._rates = types.SimpleNamespace(known={})  # computed once a step; Keras does not track a plain object
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._rates = None  # they belong to the graph of this step

    def update_step(self, gradient, variable, learning_rate):
        key = self._factor(variable), str(variable.dtype)
        if key not in self._rates.known:
            rate = ops.cast(learning_rate, variable.dtype)
            rate = rate if key[0] == 1.0 else rate * key[0]
            self._rates.known[key] = rate, rate * self.weight_decay if self.weight_decay else None
        rate, decay = self._rates.known[key]
        if decay is not None and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * decay)
        super().update_step(gradient, variable, rate)


class _OneOperation:
    """The other half: Adam's formula by TensorFlow's own operation, where Keras composes it from some 25.

    What the weights share is computed once. Keras's own formula runs on other backends, with `amsgrad`, and for weights
    that are not float32.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if keras.backend.backend() == "tensorflow":
            step = ops.cast(self.iterations + 1, "float32")
            first, second, epsilon = (ops.cast(each, "float32") for each in (self.beta_1, self.beta_2, self.epsilon))
            self._shared = types.SimpleNamespace(  # by the operation's names
                beta1=first, beta2=second, epsilon=epsilon, beta1_power=first ** step, beta2_power=second ** step)
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._shared = None

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow" or self.amsgrad or variable.dtype != "float32":
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        handles = [(weight.value if isinstance(weight, keras.Variable) else weight).handle
                   for weight in (variable, self._momentums[index], self._velocities[index])]
        tf.raw_ops.ResourceApplyAdam(
            **dict(zip(("var", "m", "v"), handles)), **vars(self._shared), lr=tf.cast(learning_rate, "float32"),
            grad=tf.cast(gradient, "float32"))


@keras.saving.register_keras_serializable(package="kseg")
class FusedAdamW(DecayInStep, _OneOperation, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` in value, state and arguments; a first step is traced in less time.

    `kseg.training.AdamW` adds a rate for each part of a model.
    """


def adamw(learning_rate: float, weight_decay: float) -> keras.optimizers.AdamW:
    """Return the AdamW that is the fastest here: for PyTorch Keras has one of few operations, for TensorFlow none."""
    own = keras.backend.backend() == "tensorflow"
    return (FusedAdamW if own else keras.optimizers.AdamW)(learning_rate, weight_decay=weight_decay)
