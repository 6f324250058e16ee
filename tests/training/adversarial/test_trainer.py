"""Adversarial training: who moves when, plain training without the term, resuming, precision, the saturation guard."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import kseg
from kseg.layers import BatchNormalization
from kseg.models.assembly import finish, pixels_input
from kseg.models.blocks import classify
from kseg.models.first_images import FirstImages
from kseg.models.segmenter import Segmenter
from kseg.training import AdversarialTrainer, SaturationGuard, state
from kseg.training.adversarial import trainer as module
from kseg.training.adversarial.step import label_maps, step
from kseg.training.fitted import Fitted

pytestmark = pytest.mark.filterwarnings("ignore:`discriminator_accuracy` must stay between")  # few steps, tiny nets


def _segmenter(aux=True):
    """Return a segmenter with everything that could tell runs apart: statistics, dropout, decay, auxiliary head."""
    pixels = pixels_input(3, (None, None), 3)
    hidden = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels)
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", kernel_regularizer="l2", name="stem")(hidden)
    hidden = keras.layers.Dropout(0.3, name="dropout")(keras.layers.ReLU()(BatchNormalization(name="bn")(hidden)))
    extra = classify(hidden, 3, like=pixels, name="aux") if aux else None
    return finish(pixels, classify(hidden, 3, like=pixels), extra, compile=False, name="tiny")


def _discriminator(channels=3):
    """Return a small discriminator with statistics and dropout of its own."""
    maps = keras.Input((None, None, channels))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(maps)
    hidden = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(hidden))
    logits = keras.layers.GlobalAveragePooling2D(dtype="float32")(keras.layers.Conv2D(2, 1)(hidden))
    return keras.Model(maps, logits)


def _trainer(seed=1, aux=True, jit_compile=False, run_eagerly=False, **options):
    keras.utils.set_random_seed(seed)
    trainer = AdversarialTrainer(_segmenter(aux), _discriminator(), stride=2, **options)
    trainer.compile(keras.optimizers.AdamW(0.01), keras.optimizers.Adam(0.01), jit_compile=jit_compile,
                    run_eagerly=run_eagerly)
    return trainer


def _examples(count=8):
    """Return pixels uint8 `[N, 16, 24, 3]` and labels of boxes in them, with ignored pixels."""
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 90, (count, 16, 24, 3)), np.zeros((count, 16, 24), np.int32)
    for index in range(count):
        row, column = rng.integers(0, 10, 2)
        labels[index, row:row + 6, column:column + 9] = 1 + index % 2
    pixels[labels == 1] += (150, 0, 0)
    pixels[labels == 2] += (0, 150, 60)
    labels[:, :, :3] = 255
    return pixels.astype(np.uint8), labels


def _dataset(batches=2):
    return tf.data.Dataset.from_tensor_slices(_examples(4 * batches)).batch(4)


def _batch():
    return tuple(tf.constant(part) for part in _examples(4))


def _values(model):
    return [variable.numpy() for variable in model.variables]


def _equal(before, after):
    return all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_step_moves_one_network_and_leaves_no_trace_in_the_other():
    """Weights, statistics, random seeds and the optimiser of the one that does not move stay bit for bit."""
    trainer = _trainer(run_eagerly=True, alternate_every=2)
    for turn in (0, 0, 1, 1, 0):
        before = _values(trainer.segmenter), _values(trainer.discriminator)
        steps = [int(optimizer.iterations) for optimizer in trainer.optimizers]
        trainer.train_step(_batch())
        networks = (trainer.segmenter, trainer.discriminator)
        assert _equal(before[1 - turn], _values(networks[1 - turn]))
        for old, weight in zip(before[turn], networks[turn].variables):
            if weight.trainable and "bias" not in weight.path:
                assert not np.array_equal(old, weight), weight.path
        steps[turn] += 1
        assert [int(optimizer.iterations) for optimizer in trainer.optimizers] == steps
    assert int(trainer.steps_done) == 5


def test_simultaneous_gradients_are_those_of_the_two_losses():
    """SGD with rate 1 shows the gradients; a second tape computes them network by network."""
    keras.utils.set_random_seed(1)
    segmenter = _segmenter()
    segmenter.get_layer("dropout").rate = 0.0
    trainer = AdversarialTrainer(segmenter, _discriminator(), stride=2, adversarial_weight=0.7, update="simultaneous")
    trainer.discriminator.layers[3].rate = 0.0
    trainer.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), run_eagerly=True)
    pixels, labels = _batch()
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape(persistent=True) as tape:
        with keras.StatelessScope():
            outputs = segmenter(pixels, training=True)
            real, generated = label_maps(trainer, pixels, labels, outputs)
            scores = [trainer.discriminator(maps, training=True) for maps in (real, generated)]
        own = segmenter.compute_loss(pixels, labels, outputs) + 0.7 * entropy(np.ones(4), scores[1])
        other = entropy(np.ones(4), scores[0]) + entropy(np.zeros(4), scores[1])
    for network, loss in ((segmenter, own), (trainer.discriminator, other)):
        network.wanted = [weight - slope for weight, slope in zip(
            network.trainable_weights, tape.gradient(loss, network.trainable_weights))]
    trainer.train_step((pixels, labels))
    for network in (segmenter, trainer.discriminator):
        for weight, wanted in zip(network.trainable_weights, network.wanted):
            np.testing.assert_allclose(weight, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("aux", [pytest.param(False, marks=pytest.mark.slow), True])
def test_without_the_adversarial_term_it_is_plain_training_bit_for_bit(aux):
    keras.utils.set_random_seed(1)
    plain = _segmenter(aux)
    plain.compile(keras.optimizers.AdamW(0.01), kseg.losses.CrossEntropy(), metrics=[kseg.metrics.MeanIoU(3)])
    trainer = _trainer(aux=aux, adversarial_weight=0, update="simultaneous")
    assert _equal(_values(plain), _values(trainer.segmenter))
    trainer.pretrain_discriminator(_dataset(), steps=3, verbose=0)
    options = {"epochs": 3, "validation_data": _dataset(), "shuffle": False, "verbose": 0}
    expected, found = (model.fit(_dataset(), **options).history for model in (plain, trainer))
    assert _equal(_values(plain), _values(trainer.segmenter))
    assert _equal([one.numpy() for one in plain.optimizer.variables],
                  [one.numpy() for one in trainer.optimizer.variables])
    assert set(expected) == {"loss", "mean_iou", "val_loss", "val_mean_iou", *(["aux_loss"] if aux else [])}
    assert {name: found[name] for name in expected} == expected
    assert trainer.evaluate(_dataset(), verbose=0) == plain.evaluate(_dataset(), verbose=0)
    np.testing.assert_array_equal(trainer.predict(_dataset(), verbose=0), plain.predict(_dataset(), verbose=0))


def test_resumed_equals_uninterrupted(tmp_path):
    """Stopped in the middle of the discriminator's turn; both networks, both optimisers, counter and seeds."""
    def steps(trainer, first, last):
        data = tf.data.Dataset.from_tensor_slices(_examples(28)).batch(4).skip(first).take(last - first)
        return trainer.fit(data, shuffle=False, verbose=0)

    options = {"alternate_every": 2, "label_encoding": "scaling", "run_eagerly": True}
    whole, first, second = _trainer(**options), _trainer(**options), _trainer(seed=5, **options)
    steps(whole, 0, 7)
    steps(first, 0, 3)
    state.save(str(tmp_path / "state.npz"), _state_of(first), {"steps": 3})
    first.save(tmp_path / "trainer.keras")
    state.restore(str(tmp_path / "state.npz"), _state_of(second))
    assert state.facts(str(tmp_path / "state.npz")) == {"steps": 3}
    loaded = kseg.load_model(tmp_path / "trainer.keras")
    _same_but_seeds(first, loaded)  # Keras's files leave the seeds of dropout out
    steps(second, 3, 7)
    assert int(second.steps_done) == int(whole.steps_done) == 7
    assert _equal(_values(whole), _values(second))
    for one, other in zip(whole.optimizers, second.optimizers, strict=True):
        assert _equal([part.numpy() for part in one.variables], [part.numpy() for part in other.variables])


def _state_of(trainer):
    return Fitted(trainer, trainer.segmenter, trainer.segmenter.metrics[-1], trainer.optimizers).variables


def _same_but_seeds(one, other):
    assert _equal([weight.numpy() for weight in one.weights], [weight.numpy() for weight in other.weights])
    for ours, theirs in zip(one.optimizers, other.optimizers, strict=True):
        assert ours.get_config() == theirs.get_config()
        assert _equal([part.numpy() for part in ours.variables], [part.numpy() for part in theirs.variables])
    assert {**one.get_config(), "segmenter": 0, "discriminator": 0} == {
        **other.get_config(), "segmenter": 0, "discriminator": 0}


def test_weights_files_hold_both_networks_and_the_counter(tmp_path):
    trainer, other = _trainer(run_eagerly=True), _trainer(seed=5)
    trainer.train_step(_batch())
    trainer.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    assert _equal([one.numpy() for one in trainer.weights], [one.numpy() for one in other.weights])
    assert int(other.steps_done) == 1


def test_the_segmenter_bears_no_trace(tmp_path):
    trainer = _trainer(run_eagerly=True)
    trainer.train_step(_batch())
    trainer.segmenter.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        config = file.read("config.json").decode().lower()
    assert "adversarial" not in config and "discriminator" not in config
    loaded = kseg.load_model(tmp_path / "plain.keras")
    assert type(loaded) is Segmenter and loaded.count_params() == _segmenter().count_params()
    np.testing.assert_array_equal(loaded.predict(_batch()[0], verbose=0), trainer.predict(_batch()[0], verbose=0))


@pytest.mark.slow
def test_pretraining_moves_the_discriminator_alone_and_teaches_it():
    trainer = AdversarialTrainer(_segmenter(), "SmallFOV-light", stride=2)
    trainer.compile("adamw", keras.optimizers.Adam(1e-3))
    before = _values(trainer.segmenter)
    history = trainer.pretrain_discriminator(_dataset(), epochs=8, verbose=0).history
    assert _equal(before, _values(trainer.segmenter)) and int(trainer.steps_done) == 0
    assert history["discriminator_accuracy"][-1] > max(0.9, history["discriminator_accuracy"][0])
    assert set(history) == {"loss", "mean_iou", "aux_loss", "segmentation_loss", "adversarial_loss",
                            "discriminator_real_loss", "discriminator_generated_loss", "discriminator_accuracy"}


@pytest.mark.parametrize("encoding, name", [("basic", "LargeFOV"), ("product", "SmallFOV"), ("scaling", "Stanford")])
def test_ignored_pixels_are_no_class_and_carry_no_gradient(encoding, name):
    trainer = AdversarialTrainer(_segmenter(), name, label_encoding=encoding, stride=1)
    pixels, labels = _batch()
    logits = tf.where(labels[..., None] == 255, np.nan, tf.random.normal((4, 16, 24, 3)))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        real, generated = label_maps(trainer, pixels, labels, logits)
        score = tf.reduce_sum(trainer.discriminator(generated)[:, 1])
    ignored = labels.numpy() == 255
    for maps in (real, generated):
        shown = (maps[0] if name == "Stanford" else maps).numpy()
        assert not shown[ignored].any() and shown[~ignored].any(-1).all()
    slope = tape.gradient(score, logits).numpy()
    assert not slope[ignored].any() and np.isfinite(slope).all() and slope[~ignored].any()


def _trains(trainer):
    history = trainer.fit(_dataset(), epochs=3, shuffle=False, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["loss"][-1] < history["loss"][0]
    assert [int(optimizer.iterations) for optimizer in trainer.optimizers] == [3, 3]


@pytest.mark.slow
def test_runs_compiled_by_xla():
    _trains(_trainer(aux=False, jit_compile=True, alternate_every=1))


@pytest.mark.slow
def test_runs_in_half_precision_with_each_loss_scaled(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        trainer = _trainer(alternate_every=1)
    finally:
        keras.config.set_dtype_policy("float32")
    _trains(trainer)
    for optimizer in trainer.optimizers:
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert int(optimizer.step_counter) == 3 and float(optimizer.dynamic_scale) == 2.0 ** 15
    assert all(weight.dtype == "float32" for weight in trainer.trainable_weights)
    trainer.save(tmp_path / "half.keras")
    _same_but_seeds(trainer, kseg.load_model(tmp_path / "half.keras"))


RULE = "`discriminator_accuracy` must stay between 0.55 and 0.98 for the adversarial term to teach anything "
WINS = ("(epochs 1 to 2), got discriminator_accuracy=0.995. It always wins, and its gradient fades: lower the "
        "discriminator's learning rate, pre-train it less, take a smaller one (SmallFOV-light), or "
        "label_encoding='scaling', which hides that annotations are one-hot.")
GUESSES = ("(epochs 4 to 5), got discriminator_accuracy=0.5. It cannot tell annotations from predictions: raise the "
           "discriminator's learning rate, pre-train it longer, take a larger one (LargeFOV), or lower "
           "adversarial_weight.")


@pytest.mark.parametrize("accuracies, warned", [
    ([0.99, 0.995, 1.0, 1.0], [RULE + WINS]), ([0.7, 0.5, 0.99, 0.51, 0.5], [RULE + GUESSES]), ([0.5, 0.9, 0.99], [])])
def test_the_guard_warns_once_when_the_discriminator_is_stuck(recwarn, accuracies, warned):
    guard = SaturationGuard()
    for epoch, accuracy in enumerate(accuracies):
        guard.on_epoch_end(epoch, {"discriminator_accuracy": accuracy})
    assert [str(one.message) for one in recwarn] == warned


@pytest.mark.slow
@pytest.mark.parametrize("update", ["simultaneous", "alternate"])
def test_tensorflow_traces_the_step_once(monkeypatch, update):
    """No variable is made in the first trace, after which TensorFlow would trace the whole step again."""
    traced = []
    monkeypatch.setattr(module, "step", lambda trainer, *batch: traced.append(trainer) or step(trainer, *batch))
    trainer = _trainer(update=update)
    trainer.fit(_dataset(), epochs=2, shuffle=False, verbose=0)
    assert len(traced) == 1
    trainer.pretrain_discriminator(_dataset(), steps=2, verbose=0)
    assert len(traced) == 2


def test_fit_brings_a_guard_and_pretraining_none(monkeypatch):
    given = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, x, callbacks=None, **options: given.append(
        [one for one in callbacks if not isinstance(one, FirstImages)]))
    trainer, own = _trainer(), SaturationGuard(patience=5)
    trainer.fit(_dataset())
    trainer.fit(_dataset(), callbacks=(own,))
    trainer.pretrain_discriminator(_dataset())
    assert isinstance(given[0][0], SaturationGuard) and given[1:] == [[own], []]


def test_several_replicas_are_refused(monkeypatch):
    trainer = _trainer(run_eagerly=True, update="simultaneous")
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        monkeypatch.setattr(tf.distribute.Strategy, "num_replicas_in_sync", 2)
        with pytest.raises(NotImplementedError) as caught:
            trainer.train_step(_batch())
    assert str(caught.value) == ("`replicas` must be 1 for adversarial training, got replicas=2. "
                                 "Train outside of the strategy's scope, on one device.")


def test_error_sentences():
    with pytest.raises(TypeError) as caught:
        AdversarialTrainer(_discriminator())
    assert str(caught.value) == ("`segmenter` must be a model of kseg.models, got segmenter='Functional'. "
                                 "Build one, or load a trained one with kseg.load_model.")
    with pytest.raises(ValueError) as caught:
        AdversarialTrainer(_segmenter(), update="both")
    assert str(caught.value) == ("`update` must be one of ('alternate', 'simultaneous'), got update='both'. "
                                 "Choose one of ('alternate', 'simultaneous').")
    with pytest.raises(ValueError) as caught:
        AdversarialTrainer(_segmenter(), _discriminator(5))
    assert str(caught.value).startswith(
        "`discriminator` must be a name, or a functional model of maps [B, h, w, 3] (and the image [B, h, w, 3]) to "
        "logits [B, 2], got discriminator=<Functional ")
    with pytest.raises(ValueError) as caught:
        AdversarialTrainer(_segmenter(), _discriminator()).compile(keras.optimizers.AdamW(use_ema=True), "adam")
    assert str(caught.value) == ("`use_ema` must be False for adversarial training, got use_ema=True. "
                                 "Leave it out; keep the best model by validation instead.")
