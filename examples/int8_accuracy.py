"""What int8 costs a trained model: mean IoU on the embedded shapes, Keras float32 against TFLite int8, per encoder.

    python examples/int8_accuracy.py --encoders resnet18 mobilenetv2 efficientnetlite0

Each encoder starts from random weights in a small DeepLab v3+, is trained on shapes, exported as int8 with training
images for calibration, and evaluated on all validation images.
"""

import argparse
import json
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402

import kseg  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["resnet18", "mobilenetv2", "efficientnetlite0"])
    parser.add_argument("--side-length", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--json", help="write the reports here")
    arguments = parser.parse_args()
    reports = {}
    for encoder in arguments.encoders:
        reports[encoder] = measure(encoder, arguments)
        print(f"{encoder:<20} Keras {reports[encoder]['miou_original']:.4f}  int8 "
              f"{reports[encoder]['miou_exported']:.4f}  change {reports[encoder]['miou_change']:+.4f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(reports, file, indent=1)


def measure(encoder, arguments):
    """Train, export and compare one encoder; return the parity report as a dict."""
    keras.utils.set_random_seed(0)
    size = (arguments.side_length, arguments.side_length)
    train = kseg.data.load("shapes", "train", image_size=size, batch_size=16, augment=True, seed=0)
    plain = kseg.data.load("shapes", "train", image_size=size, batch_size=16, seed=0)
    validation = kseg.data.load("shapes", "validation", image_size=size, batch_size=16)
    model = kseg.models.DeepLabV3Plus(len(kseg.data.label_set("shapes")), encoder, filters=64, decoder_filters=64)
    steps = arguments.epochs * max(1, int(train.cardinality()))
    schedule = keras.optimizers.schedules.PolynomialDecay(arguments.learning_rate, steps, power=0.9)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=1e-4), loss=kseg.losses.CrossEntropy())
    model.fit(train, epochs=arguments.epochs, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        report = kseg.export.tflite(model, os.path.join(folder, "m.tflite"), size, "int8", plain, minimum_agreement=0,
                                    maximum_miou_drop=1, evaluate_on=validation)
    return report.to_dict()


if __name__ == "__main__":
    main()
