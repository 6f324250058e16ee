"""PyTorch itself beside kseg, where it is installed: a file that torch.save wrote, and the logits it gives."""

import numpy as np
import pytest

from kseg import pretrained
from tests.data.golden.weights import picture

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
smp = pytest.importorskip("segmentation_models_pytorch", reason="segmentation_models_pytorch is not installed")
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def randomize(model):
    """Give batch normalisation statistics and weights of its own: an untouched one hides errors."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("make", [
    lambda: smp.Unet("resnet34", encoder_weights=None, classes=4),
    lambda: smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=4),
    lambda: smp.PSPNet("resnet18", encoder_weights=None, classes=1),
], ids=["Unet", "DeepLabV3Plus", "PSPNet of one class"])
def test_logits_of_a_file_that_torch_wrote(make, new_format, tmp_path):
    model = make().eval()
    randomize(model)
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "model.pth",
               _use_new_zipfile_serialization=new_format)
    pixels = picture(96, 128)
    inputs = (pixels.astype("float32") - np.float32(MEAN)) / np.float32(STD)
    with torch.inference_mode():
        logits = model(torch.from_numpy(inputs.transpose(2, 0, 1)[None])).numpy()
    report = pretrained.conversion(tmp_path / "model.pth", image=pixels, logits=logits)
    assert report.relative_difference < 1e-4 and report.label_agreement > 0.999
