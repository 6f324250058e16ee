"""The FCN of torchvision and mmsegmentation."""

import math

import pytest

from kseg.models import DilatedFCN
from tests.conftest import without_values
from tests.models.tiny_backbone import tiny_backbone


def test_parameters_are_those_of_torchvision():
    """torchvision's fcn_resnet50 states 35,322,218, its auxiliary head of 2,364,245 included."""
    model = without_values(DilatedFCN, 21, "resnet50", aux=True, compile=False)
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == 35_322_218


def test_the_head_is_made_of_what_was_asked_for():
    names = {layer.name for layer in DilatedFCN(3, tiny_backbone(), output_stride=32, convolutions=2,
                                                concatenate_input=True, filters=8).layers}
    assert {"head1_conv", "head2_conv", "head_concat", "head_fuse_conv"} <= names
    names = {layer.name for layer in DilatedFCN(3, tiny_backbone(), output_stride=32).layers}
    assert "head1_conv" in names and not {"head2_conv", "head_fuse_conv"} & names


def test_a_head_without_a_convolution_is_refused():
    with pytest.raises(ValueError, match="`convolutions` must be"):
        DilatedFCN(3, convolutions=0)
