"""The poly schedule against its formula in NumPy."""

import keras
import numpy as np
import pytest

from kseg.training import Poly


def _rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_poly_is_the_formula_of_deeplab():
    steps = np.arange(0, 100, 7)
    np.testing.assert_allclose(_rates(Poly(0.01, 100), steps), 0.01 * (1 - steps / 100) ** 0.9, rtol=1e-5)


def test_warm_up_multiplies_a_rising_line():
    steps = np.arange(30)
    wanted = 0.1 * (1 - steps / 40) ** 2 * np.minimum(1, (steps + 1) / 10)
    np.testing.assert_allclose(_rates(Poly(0.1, 40, power=2, warmup_steps=10), steps), wanted, rtol=1e-5)


def test_rate_stays_at_its_end_after_the_last_step():
    np.testing.assert_allclose(_rates(Poly(0.1, 10, end_learning_rate=0.02), [9, 10, 500]), 0.02, rtol=1e-6)
    assert _rates(Poly(0.1, 10), [10, 11]).tolist() == [0.0, 0.0]


def test_config_round_trip():
    schedule = Poly(0.1, 10, warmup_steps=3, end_learning_rate=0.01)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again.get_config() == schedule.get_config()


def test_warm_up_longer_than_the_schedule_is_refused():
    with pytest.raises(ValueError) as error:
        Poly(0.1, 10, warmup_steps=10)
    assert str(error.value) == ("`warmup_steps` must be less than the 10 steps of the schedule, got warmup_steps=10. "
                                "Shorten the warm-up or train longer.")
