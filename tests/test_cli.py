"""The command line: help without TensorFlow, options to recipes, errors as one sentence."""

import json
import subprocess
import sys
import warnings

import pytest

import kseg
from kseg import cli
from kseg.cli.recipe_options import recipe
from kseg.training import TrainingRecipe


def _recipe(*words):
    return recipe(cli.parser().parse_args(["train", *words]))


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in cli.GROUPS),
                                   *([*name.split(), "--help"] for name in cli.COMMANDS), ["train", "--epochs", "x"]])
def test_help_and_parse_errors_load_no_tensorflow(words):
    script = ("import sys\nfrom kseg.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
              "    assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n    sys.exit(end.code)\n")
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if "--help" in words else 2), done.stderr
    assert "Traceback" not in done.stderr


def test_warnings_are_lines_like_errors():
    before = warnings.formatwarning
    with cli._warnings_without_code():
        assert warnings.formatwarning(UserWarning("look"), UserWarning, "a.py", 3) == "kseg: warning: look\n"
    assert warnings.formatwarning is before


def test_no_option_gives_the_default_recipe():
    assert _recipe() == TrainingRecipe()


def test_options_become_a_recipe():
    words = ("--model UNet --encoder-name resnet34 --output-stride 16 --aux --in-channels 1 --option dropout=0.2 "
             "--data folder --data-dir here --data-option classes=2 --image-size 96 64 --augment unet "
             "--class-aware 0.5 --epochs 3 --optimizer sgd --learning-rate 0.1 --multiplier encoder=0.1 "
             "--multiplier head=2 --no-bias-decay --loss cross_entropy dice=0.5 --class-weights median_frequency "
             "--freeze-encoder --ema 0.99")
    assert _recipe(*words.split()) == TrainingRecipe(
        model="UNet", encoder_name="resnet34", data="folder", data_dir="here", data_options={"classes": 2},
        model_options={"output_stride": 16, "aux": True, "in_channels": 1, "dropout": 0.2}, image_size=(96, 64),
        augment="unet", class_aware=0.5, epochs=3, optimizer="sgd", learning_rate=0.1, decay_biases=False,
        multipliers={"encoder": 0.1, "head": 2.0}, loss={"cross_entropy": 1.0, "dice": 0.5},
        class_weights="median_frequency", freeze_encoder=True, ema=0.99)


def test_a_stored_recipe_is_repeated_and_overridden(tmp_path):
    import json

    stored = TrainingRecipe(model="FCN8s", epochs=7, model_options={"dropout": 0.1},
                            data_options={"label_map": {255: 1}})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"recipe": stored.to_dict(), "status": "finished"}))
    assert _recipe("--recipe", str(path)) == stored
    changed = _recipe("--recipe", str(path), "--epochs", "2")
    assert (changed.model, changed.epochs, changed.data_options) == ("FCN8s", 2, {"label_map": {255: 1}})


def test_what_is_typed_overrides_the_stored_also_with_the_defaults(tmp_path):
    import json

    stored = TrainingRecipe(epochs=18, batch_size=4, learning_rate=5e-4, loss={"dice": 1.0}, ema=0.9,
                            freeze_encoder=True, decay_biases=False, multipliers={"encoder": 0.1},
                            model_options={"output_stride": 16, "aux": True}, data_options={"classes": 2})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"recipe": stored.to_dict()}))
    words = ("--epochs 10 --batch-size 8 --learning-rate 0.001 --loss cross_entropy --ema none --no-freeze-encoder "
             "--bias-decay --output-stride 8 --data-option channels=1 --multiplier head=2 --model PSPNet")
    assert _recipe("--recipe", str(path), *words.split()) == TrainingRecipe(
        epochs=10, multipliers={"encoder": 0.1, "head": 2.0}, model_options={"output_stride": 8, "aux": True},
        data_options={"classes": 2, "channels": 1})
    assert _recipe("--recipe", str(path), "--no-aux").model_options == {"output_stride": 16, "aux": False}
    fine = _recipe("--recipe", str(path), "--adversarial", "m.keras", "--update", "alternate")
    assert (fine.start_from, fine.epochs, fine.update) == ("m.keras", 18, "alternate")
    assert "ema" not in fine.to_dict() and "model_options" not in fine.to_dict()


@pytest.mark.parametrize("words, sentence", [
    (["train"], "`output` must name a new folder for the run, got output=None. Write for example --output runs/first."),
    (["train", "--output", "x", "--workers", "2"],
     "`workers` must come with --ray, which says on which cluster, got workers=2. Add --ray local, or its address."),
    (["train", "--output", "x", "--ray", "local", "--in-stages"], "`ray` must be left out with --in-stages, got "
     "ray='local'. Train the stages one by one, or in one process."),
    (["train", "--output", "x", "--ray", "local", "--workers", "3"], "`workers` must divide batch_size=8, got "
     "workers=3. Each step's batch is split evenly over them; for example batch_size=6."),
    (["train", "--resume", "x", "--in-stages"],
     "`resume` must be left out with --in-stages, got resume='x'. "
     "Repeat the first command line: finished stages are not trained again."),
    (["train", "--resume", "x", "--epochs", "30", "--aux"],
     "`resume` must be given without other options (epochs, aux), got resume='x'. "
     "A run goes on as it began; for a changed one write --recipe RUN/run.json with a new --output."),
    (["train", "--output", "x", "--model", "PSPNett"],
     "`model` must be one of ('FCN32s', 'FCN16s', 'FCN8s', 'SegNet', 'SegNetBasic', 'UNet', 'DeepLabV1', 'DeepLabV2', "
     "'DeepLabV3', 'DeepLabV3Plus', 'RefineNet', 'PSPNet', 'DilatedFCN'), got model='PSPNett'. Did you mean 'PSPNet'?"),
    (["train", "--output", "x", "--image-size", "0", "64"],
     "`image_size` must be two positive integers (height, width), got image_size=[0, 64]. "
     "Write for example image_size=(384, 512)."),
    (["export", "m.keras", "m.tflite"],
     "`image_size` must be given for TFLite and wherever data is used, got image_size=None. "
     "Add for example --image-size 384 512."),
    (["export", "m.keras", "m.tflite", "--quantize", "int8"],
     "`data` must be given for int8 and for --evaluate, got data=None. "
     "Add for example --data folder --data-dir my_images."),
    (["export", "m.keras", "serving/m/1", "--quantize", "float16"],
     "`quantize` must be left out for a SavedModel, got quantize='float16'. "
     "Give a path that ends in .tflite or a folder and --web."),
    (["export", "m.keras", "serving/m/1", "--labels"],
     "`labels` must be left out for a SavedModel, got labels=True. "
     "Give a path that ends in .tflite or a path that ends in .onnx."),
    (["export", "m.keras", "m.tflite", "--image-size", "32", "32", "--opset", "17"],
     "`opset` must be left out for a TFLite file, got opset=17. Give a path that ends in .onnx."),
    (["export", "m.keras", "m.onnx", "--quantize", "float16"],
     "`quantize` must be left out for an ONNX file, got quantize='float16'. "
     "Give a path that ends in .tflite or a folder and --web."),
    (["export", "m.keras", "m.tflite", "--image-size", "32", "32", "--probabilities"],
     "`probabilities` must be left out for a TFLite file, got probabilities=True. Give a folder as the path."),
    (["export", "m.keras", "page", "--title", "Street"],
     "`title` must be left out for a SavedModel, got title='Street'. Give a folder and --web."),
    (["export", "m.keras", "page", "--web", "--labels"],
     "`labels` must be left out for a web page, got labels=True. "
     "Give a path that ends in .tflite or a path that ends in .onnx."),
    (["export", "m.tflite", "page", "--web", "--threshold", "0.3"],
     "`threshold` must be left out for a .tflite file, which has its own, got threshold=0.3. Give the .keras file."),
    (["export", "m.keras", "serving/m/1", "--data", "shapes"],
     "`image_size` must be given for TFLite and wherever data is used, got image_size=None. "
     "Add for example --image-size 384 512."),
    (["evaluate", "m.keras", "--data", "shapes", "--at-image-size"],
     "`image_size` must be given with --at-image-size, got image_size=None. Add for example --image-size 384 512."),
    (["evaluate", "none.keras", "--data", "shapes"], None),
    (["evaluate", "m.keras", "--data", "shapes", "--workers", "2"],
     "`workers` must come with --ray, got workers=2. Add --ray local to have several processes on this machine."),
    (["predict", "m.keras", "a.png", "b.png", "--output", "x", "--ray", "local"],
     "`inputs` must be one folder, list of files (.txt) or set of records with --ray, without --polygons, got "
     "inputs=['a.png', 'b.png']. Name the files in a list."),
    (["predict", "m.keras", "a.png", "--output", "x", "--format", "parquet"],
     "`format` must be 'png' without --ray, got format='parquet'. Add --ray local."),
    (["check-data", "--data", "camvid", "--data-dir", "nowhere"], None),
    (["request", "http://localhost:1", "street", "none.jpg", "--output", "x"],
     "`images` must be the path of a file, got images='none.jpg'. Check the spelling of the path."),
    (["request", "localhost", "street", __file__, "--output", "x"], None),
    (["serve-config", "nowhere"], "`folder` must be the path of a folder, got folder='nowhere'. "
     "Check the spelling of the path."),
])
def test_errors_are_one_sentence_on_stderr(capsys, words, sentence):
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("kseg: `") and err.count("\n") == 1
    if sentence is not None:
        assert err == f"kseg: {sentence}\n"


def test_check_data_prints_a_table_writes_json_and_says_by_its_status_whether_training_would_fail(tmp_path, capsys):
    from tests.data.conftest import make_folder

    folder = make_folder(tmp_path / "set", count=3)
    words = ["check-data", "--data", "folder", "--data-dir", folder, "--data-option", "classes=3"]
    assert cli.main([*words, "--json", str(tmp_path / "report.json")]) == 0
    out = capsys.readouterr().out
    assert "3 pairs, 0 errors" in out and "report.json" in out
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["ok"] is True
    (tmp_path / "set" / "train" / "labels" / "001.png").write_bytes(b"")
    assert cli.main([*words, "--json", "-"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in report["errors"]] == ["unreadable labels"]
    assert cli.main(words) == 1
    assert "error: unreadable labels (1)" in capsys.readouterr().out


def test_a_map_of_colours_is_typed_as_json_and_divides_a_folder(tmp_path, capsys):
    import numpy as np
    from PIL import Image

    colours = np.array([[102, 102, 51], [0, 60, 0], [9, 9, 9]], np.uint8)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for index in range(6):
        name, ids = f"scene{index // 2}_{index}.png", np.arange(54).reshape(6, 9) % 3
        Image.fromarray(np.full((6, 9, 3), index, np.uint8)).save(tmp_path / "images" / name)
        Image.fromarray(colours[ids]).save(tmp_path / "masks" / name)
    words = ["--data", "folder", "--data-dir", str(tmp_path), "--data-option",
             'label_map={"102,102,51": 0, "0,60,0": 1, "other": 255}', "--data-option", r"split_groups=(scene\d)_"]
    assert cli.main(["check-data", *words, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == 2 and found["class_pixels"] == [36, 36] and round(found["void_share"], 3) == 0.333
    options = _recipe(*words).data_options
    assert options == {"label_map": {(102, 102, 51): 0, (0, 60, 0): 1, "other": 255}, "split_groups": r"(scene\d)_"}
    assert cli.main(["check-data", *words[:-3], 'label_map={"red": 0}']) == 1
    assert "`label_map` must be a dict from stored values, colours" in capsys.readouterr().err


def test_check_data_shows_its_progress_on_a_terminal(tmp_path, capsys, monkeypatch):
    import sys

    from tests.data.conftest import make_folder

    words = ["check-data", "--data", "folder", "--data-dir", make_folder(tmp_path / "set", count=3)]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert cli.main(words) == 0
    assert "3/3" in capsys.readouterr().err
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_traceback_on_request():
    with pytest.raises(ValueError):
        cli.main(["train", "--traceback"])


@pytest.mark.parametrize("words, sentence", [
    (["train", "--option", "dropout"], "write name=value, e.g. output_stride=16, got 'dropout'"),
    (["train", "--multiplier", "head=ten"], "write name=number, e.g. head=10, got 'head=ten'"),
])
def test_unreadable_words_are_refused(capsys, words, sentence):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2 and sentence in capsys.readouterr().err


def test_a_server_that_is_away(capsys, tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert cli.main(["request", "http://localhost:1", "street", str(tmp_path / "a.png"), "--output",
                     str(tmp_path / "out"), "--retries", "0"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("kseg: ") and err.count("\n") == 1


def test_request_never_replaces_an_image_unasked(capsys, tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "a.png")
    words = ["request", "http://localhost:1", "street", str(tmp_path / "a.png"), "--output", str(tmp_path)]
    assert cli.main(words) == 1
    assert capsys.readouterr().err == (
        f"kseg: `output` must not hold these files already, got output={str(tmp_path / 'a.png')!r}. "
        "Take another folder or pass --overwrite.\n")
    assert cli.main([*words, "--overwrite", "--retries", "0"]) == 1
    assert "http://localhost:1" in capsys.readouterr().err  # past the check, to a server that is away


def test_serve_config_writes_files_and_prints_the_command(capsys, tmp_path):
    (tmp_path / "street" / "1").mkdir(parents=True)
    (tmp_path / "street" / "1" / "saved_model.pb").write_bytes(b"")
    assert cli.main(["serve-config", str(tmp_path), "--rest-port", "9000"]) == 0
    assert "docker run --rm -p 9000:8501" in capsys.readouterr().out
    assert 'name: "street"' in (tmp_path / "models.config").read_text()


@pytest.mark.parametrize("epochs, warmup_steps", [(1, 10), (5, 50), (30, 50)])
def test_the_demo_warms_up_for_less_than_it_trains(monkeypatch, epochs, warmup_steps):
    import kseg.demo

    seen = []
    monkeypatch.setattr(kseg.demo, "demo", lambda output, recipe, verbose: seen.append(recipe))
    with pytest.raises(AttributeError):  # there is no result to print
        cli.main(["demo", "--epochs", str(epochs), "--traceback"])
    assert (seen[0].epochs, seen[0].warmup_steps) == (epochs, warmup_steps)


def test_models_prints_builders_and_encoders(capsys):
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert "DeepLabV3Plus" in out and "efficientnetlite0" in out
    rows = {line.split()[1]: line for line in out.splitlines() if len(line.split()) > 2}
    assert "keras, MIT" in rows["kerasresnet50"] and " none " in rows["resnet50deep"]
    assert "torchvision," in rows["resnet34"] and "0.664" in rows["torchvision/deeplabv3_resnet50"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:after epoch")
def test_export_compares_a_model_of_one_band_on_images_of_one_band(tmp_path, monkeypatch, capsys):
    import keras

    from kseg.data import shapes
    from tests.export.tiny import tiny_model

    monkeypatch.setattr(shapes, "COUNTS", {"train": 8, "validation": 5, "test": 4})
    keras.utils.set_random_seed(0)
    tiny_model(5, channels=1).save(tmp_path / "grey.keras")
    assert cli.main(["export", str(tmp_path / "grey.keras"), str(tmp_path / "m.tflite"), "--image-size", "32", "32",
                     "--data", "shapes"]) == 0
    assert "5 images" in capsys.readouterr().out


def test_export_writes_onnx_that_predict_takes(tmp_path, capsys):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    from PIL import Image

    from kseg.export import read_metadata
    from tests.export.tiny import tiny_model

    tiny_model(5).save(tmp_path / "m.keras")
    Image.new("RGB", (30, 20), (90, 30, 200)).save(tmp_path / "one.png")
    assert cli.main(["export", str(tmp_path / "m.keras"), str(tmp_path / "m.onnx"), "--labels", "--opset", "16"]) == 0
    assert "the exported model answers as the original" in capsys.readouterr().out
    described = read_metadata(tmp_path / "m.onnx")
    assert (described["opset"], described["output"], described["classes"]) == (16, "labels", 5)
    assert cli.main(["predict", str(tmp_path / "m.onnx"), str(tmp_path / "one.png"), "--output", str(tmp_path / "out"),
                     "--quiet"]) == 0
    assert Image.open(tmp_path / "out" / "labels" / "one.png").size == (30, 20)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:after epoch")
def test_train_evaluate_predict_export_from_the_command_line(tmp_path, monkeypatch, capsys):
    """One small model through every subcommand."""
    from PIL import Image

    from kseg import models
    from kseg.data import shapes
    from tests.training.tiny import tiny_builder

    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    monkeypatch.setattr(shapes, "COUNTS", {"train": 8, "validation": 5, "test": 4})
    run, model = str(tmp_path / "run"), str(tmp_path / "run" / "best.keras")
    assert cli.main(["train", "--output", run, "--image-size", "32", "32", "--batch-size", "4", "--epochs", "1",
                     "--verbose", "0"]) == 0
    assert "mean" in capsys.readouterr().out
    assert cli.main(["train", "--resume", run, "--verbose", "0"]) == 0
    assert cli.main(["check-data", "--data", "shapes"]) == 0
    assert cli.main(["evaluate", model, "--data", "shapes", "--quiet", "--output", str(tmp_path / "report")]) == 0
    Image.fromarray(shapes.generate("test", 0, (32, 48))[0]).save(tmp_path / "one.png")
    assert cli.main(["predict", model, str(tmp_path / "one.png"), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert Image.open(tmp_path / "out" / "labels" / "one.png").size == (48, 32)
    assert cli.main(["export", model, str(tmp_path / "m.tflite"), "--image-size", "32", "32"]) == 0
    assert "the exported model answers as the original" in capsys.readouterr().out
    assert cli.main(["export", model, str(tmp_path / "serving" / "m" / "1")]) == 0
    assert "97 x 129" in capsys.readouterr().out  # any size
    assert cli.main(["export", model, str(tmp_path / "serving" / "m" / "2"), "--image-size", "32", "32",
                     "--data", "shapes"]) == 0
    assert "5 images" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:after epoch")  # a tiny model may answer one class for an epoch
def test_a_model_is_trained_on_a_coco_set(tmp_path, monkeypatch, capsys):
    from kseg import models
    from tests.data.sources import annotations
    from tests.training.tiny import tiny_builder

    monkeypatch.setattr(models, "PSPNet", tiny_builder, raising=False)
    for split in ("train", "val"):
        maps = annotations.label_maps(count=8, size=(20, 30))
        annotations.write_images(str(tmp_path / "set" / split), maps)
        annotations.dump(str(tmp_path / "set" / "labels" / f"{split}.json"), annotations.coco(maps))
    words = ["train", "--data", "coco", "--data-dir", str(tmp_path / "set"), "--data-option",
             "annotations=labels/{split}.json", "--data-option", 'classes=["background", "dog", "person"]',
             "--data-option", "overlap=listed", "--image-size", "16", "16", "--batch-size", "4", "--epochs", "1",
             "--verbose", "0", "--class-weights", "median_frequency", "--output", str(tmp_path / "run")]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "dog" in out and "toothbrush" not in out
    stored = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["recipe"]
    assert stored["data_options"] == {"annotations": "labels/{split}.json", "overlap": "listed",
                                      "classes": ["background", "dog", "person"]}


def test_data_convert_writes_a_folder_shows_its_progress_and_refuses_another(tmp_path, capsys, monkeypatch):
    import sys

    from tests.data.sources import annotations

    annotations.write_coco(str(tmp_path / "set"))
    words = ["data", "convert", "coco", str(tmp_path / "plain"), "--data-dir", str(tmp_path / "set"), "--data-option",
             'classes=["background", "dog"]']
    assert cli.main(words) == 0
    shown = capsys.readouterr()
    assert "train" in shown.out and "3" in shown.out and "--data folder" in shown.out and shown.err == ""
    assert (tmp_path / "plain" / "classes.txt").read_text(encoding="utf-8").startswith("background 0 0 0\ndog ")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert cli.main([*words, "--splits", "train"]) == 0
    assert "3/3" in capsys.readouterr().err
    assert cli.main(words[:4] + ["--data-dir", str(tmp_path / "set")]) == 1
    assert "kseg: `splits` must have the same classes, ['background', 'dog']; 'train' has" in capsys.readouterr().err


def test_draw(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["draw", "unet", "--option", "filters=4", "--classes", "5"]) == 0
    assert capsys.readouterr().out == "unet.svg\n" and "UNet" in (tmp_path / "unet.svg").read_text()
    kseg.models.SegNetBasic(2, filters=4, compile=False, name="mine").save("own.keras")
    assert cli.main(["draw", "own.keras", "--output", "folder/own.png"]) == 0
    assert (tmp_path / "folder" / "own.png").read_bytes().startswith(b"\x89PNG")
    for arguments, said in [
            (["UNett"], "Did you mean 'UNet'?"), (["UNet", "--option", "filter=4"], "Did you mean 'filters'?"),
            (["UNet", "--output", "net.jpg"], "`path` must end in .svg or .png, got path='net.jpg'."),
            (["none.keras"], "`path` must be the path of a file, got path='none.keras'."),
            (["own.keras", "--classes", "3"], "`model` must be a builder's name, to be given classes, got")]:
        assert cli.main(["draw", *arguments]) == 1
        assert said in capsys.readouterr().err
