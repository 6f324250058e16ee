"""SGD and AdamW with a learning-rate multiplier for each part of a model.

DeepLab and PSPNet train the classifier at ten times the rate of the encoder (DeepLab, PAMI 2018, arXiv:1606.00915,
section 4.1; PSPNet's released solver). A part is a top-level layer; its rate scales the update and the decoupled
weight decay.
"""

import typing

import keras

from kseg import checks, replicas
from kseg.models.fused_adamw import DecayInStep, FusedAdamW

Rate = float | keras.optimizers.schedules.LearningRateSchedule


class _Parts:
    """What is known of the weights; a plain object, which Keras does not track."""

    def __init__(self):
        self.rate_by_weight = None  # id of a weight -> factor, once a model is bound
        self.spared_ids, self.spared_words = (), ()
        self.weights = ()  # (id, name, rank) of each weight, in the optimiser's order

    def rate(self, index):
        """Return the factor on the learning rate of weight `index`."""
        return (self.rate_by_weight or {}).get(self.weights[index][0], 1.0)

    def decays(self, index, biases):
        """Return whether weight `index` decays; `biases`: whether one-dimensional ones do."""
        identity, name, rank = self.weights[index]
        return (identity not in self.spared_ids and not any(word in name for word in self.spared_words)
                and (biases or rank > 1))


class _PartRates(DecayInStep):
    """The shared half: which weight has which rate, of which its decay is part."""

    def _set_parts(self, multipliers, decay_biases):
        multipliers = {} if multipliers is None else multipliers
        if not isinstance(multipliers, dict):
            raise TypeError(checks.sentence("multipliers", "must be a dict of part -> factor", multipliers,
                                            "Write for example multipliers={'encoder': 1.0, 'head': 10.0}."))
        self.multipliers = {str(part): checks.number_between("multipliers", factor, 0, 1e6)
                            for part, factor in multipliers.items()}
        self.decay_biases = bool(decay_biases)
        self._parts = _Parts()

    def bind_model(self, model: keras.Model) -> None:
        """Learn which weights belong to which part of `model`; `Segmenter.compile` calls it.

        Raises:
            ValueError: if a key of `multipliers` is neither a top-level layer, nor "encoder" or "head".
        """
        if not self.multipliers:
            return
        names = [layer.name for layer in model.layers if layer.weights]
        for part in self.multipliers:
            checks.one_of("multipliers", part, ("head", *names), context=f" for model {model.name!r}")
        others = self.multipliers.get("head", 1.0)
        self._parts.rate_by_weight = {
            id(weight): self.multipliers.get(layer.name, 1.0 if layer.name == "encoder" else others)
            for layer in model.layers for weight in layer.trainable_weights}

    def exclude_from_weight_decay(self, var_list: list | None = None, var_names: list[str] | None = None) -> None:
        """As in Keras: weights, or words in their names, that do not decay. Call it before training begins."""
        self._parts.spared_ids = tuple(id(variable) for variable in var_list or ())
        self._parts.spared_words = tuple(var_names or ())

    def build(self, variables):
        if self.built:
            return
        if self.multipliers and self._parts.rate_by_weight is None:
            raise ValueError(checks.sentence(
                "multipliers", "must be bound to a model before the first step", dict(self.multipliers),
                "Call optimizer.bind_model(model) after model.compile(optimizer); kseg's models do it themselves."))
        super().build(variables)
        self._parts.weights = tuple((id(weight), weight.name, len(weight.shape)) for weight in variables)

    def _clip_gradients(self, grads):
        """Clip the gradients of the whole batch; Keras clips those of each replica before it adds them up."""
        several = replicas.count()
        if several == 1 or not (self.clipnorm or self.global_clipnorm or self.clipvalue):
            return super()._clip_gradients(grads)
        return [gradient / several for gradient in super()._clip_gradients(replicas.summed(grads))]

    def _use_weight_decay(self, variable):
        return self._parts.decays(self._get_variable_index(variable), self.decay_biases)

    def _factor(self, variable):
        return self._parts.rate(self._get_variable_index(variable))

    def get_config(self):
        return {**super().get_config(), "multipliers": dict(self.multipliers), "decay_biases": self.decay_biases}


@keras.saving.register_keras_serializable(package="kseg")
class SGD(_PartRates, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with learning-rate multipliers for the parts of a model.

    Args:
        learning_rate: float or schedule. Default 0.01.
        momentum: float. Default 0.9.
        nesterov: bool.
        weight_decay: float or None, decoupled: `weight -= rate * weight_decay * weight`.
        multipliers: dict of part -> factor on the learning rate, or None. A part is the name of a top-level layer;
            "encoder" is one, "head" stands for every layer but the encoder that has no key of its own.
            Example: {"encoder": 1.0, "head": 10.0} (DeepLab section 4.1).
        decay_biases: bool; False spares one-dimensional weights (biases, batch normalisation) the decay.
        arguments: as `keras.optimizers.SGD`: clipnorm, use_ema, ...
    """

    def __init__(self, learning_rate: Rate = 0.01, momentum: float = 0.9, nesterov: bool = False,
                 weight_decay: float | None = None, multipliers: dict[str, float] | None = None,
                 decay_biases: bool = True, **arguments: typing.Any) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay,
                         **arguments)
        self._set_parts(multipliers, decay_biases)


@keras.saving.register_keras_serializable(package="kseg")
class AdamW(_PartRates, FusedAdamW):
    """`keras.optimizers.AdamW` with learning-rate multipliers for the parts of a model.

    Args:
        learning_rate: float or schedule. Default 1e-3.
        weight_decay: float, decoupled: `weight -= rate * weight_decay * weight`. Default 1e-4.
        multipliers: dict of part -> factor on the learning rate, or None; see `SGD`.
        decay_biases: bool; False spares one-dimensional weights (biases, batch normalisation) the decay.
        arguments: as `keras.optimizers.AdamW`: beta_1, clipnorm, use_ema, ...
    """

    def __init__(self, learning_rate: Rate = 1e-3, weight_decay: float | None = 1e-4,
                 multipliers: dict[str, float] | None = None, decay_biases: bool = True,
                 **arguments: typing.Any) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **arguments)
        self._set_parts(multipliers, decay_biases)
