"""`kseg convert` on the command line."""

import numpy as np

from kseg import cli
from tests.data.golden.weights import picture
from tests.pretrained.test_convert import checkpoint, golden


def test_a_checkpoint_becomes_a_keras_file_that_is_compared(tmp_path, capsys):
    from PIL import Image

    import kseg

    path = checkpoint(tmp_path, golden("smp/unet/resnet18")[0])
    written = tmp_path / "unet.keras"
    assert cli.main(["convert", str(path), str(written)]) == 0
    assert "UNet of smp" in capsys.readouterr().out
    pixels = picture(64, 96)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    logits = np.asarray(kseg.load_model(written)(pixels[None].astype("float32")))
    np.save(tmp_path / "logits.npy", np.moveaxis(logits, -1, 1))
    assert cli.main(["convert", str(path), str(written), "--image", str(tmp_path / "image.png"),
                     "--logits", str(tmp_path / "logits.npy")]) == 0
    out = capsys.readouterr().out
    assert "1.00000" in out and "written" in out


def test_what_cannot_be_is_said_in_one_sentence(tmp_path, capsys):
    path = checkpoint(tmp_path, {"weight": np.zeros((3, 3), "float32")})
    for words, sentence in ((["x.h5"], "`output` must end in .keras"),
                            (["x.keras"], "network that kseg has a builder for"),
                            (["x.keras", "--image", "a.png"], "`image` must be given with logits")):
        assert cli.main(["convert", str(path), *words]) == 1
        assert sentence in capsys.readouterr().err
