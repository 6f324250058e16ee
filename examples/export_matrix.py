"""Every builder, trained on the embedded shapes, in every exported form: does it answer as the Keras model?

    python examples/export_matrix.py runs/matrix --encoder-weights efficientnet_lite0_imagenet.npz

Each model is trained as `kseg train` does, on 96x96 pixels (SegNet 64x64), batch 8, then exported as a SavedModel for
any size, a SavedModel for one size (both also answer encoded images), and TFLite float32, float16 and int8. Label
agreement is measured on images of the validation split, the mean IoU of int8 on all of it against Keras in float32.
`--encoders` adds DeepLab v3+ on other encoders. Called again it goes on: finished models are not run again.

OUTPUT gets a folder a model, matrix.md and matrix.json. Figures seen: README, "Deployment".
"""

import argparse
import json
import os

import numpy as np

import kseg
from kseg.cli.tables import show
from kseg.training import TrainingRecipe, resume, train

SIZE = (96, 96)
STRIDE_16 = {"model_options": {"output_stride": 16}}
OWN_ENCODER = {"encoder_name": None, "encoder_weights": None, "image_size": (64, 64),
               "mixed_precision": "mixed_bfloat16"}  # from random weights: longer, on smaller images
BUILDERS = {  # name -> fields of its recipe
    "FCN32s": {}, "FCN16s": {}, "FCN8s": {},
    "SegNet": {**OWN_ENCODER, "steps": 1000}, "SegNetBasic": {**OWN_ENCODER, "steps": 1500},
    "UNet": {},
    "DeepLabV1": STRIDE_16, "DeepLabV2": STRIDE_16, "DeepLabV3": STRIDE_16, "DeepLabV3Plus": STRIDE_16,
    "RefineNet": {"model_options": {"filters": 64}, "learning_rate": 3e-4},
    "PSPNet": STRIDE_16, "DilatedFCN": STRIDE_16,
}
FORMS = ("SavedModel", "its bytes", "fixed size", "float32", "float16", "int8")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--builders", nargs="+", default=list(BUILDERS), choices=list(BUILDERS))
    parser.add_argument("--encoder-name", default="efficientnetlite0")
    parser.add_argument("--encoder-weights")
    parser.add_argument("--encoders", nargs="*", default=[], help="of further DeepLabV3Plus, from random weights")
    parser.add_argument("--steps", type=int, default=150)
    return parser.parse_args()


def trained(folder, builder, fields):
    """Return the trained model of one run; a finished run is loaded, an interrupted one goes on."""
    if os.path.exists(os.path.join(folder, "run.json")):
        return resume(folder, verbose=2).model
    recipe = TrainingRecipe(model=builder, data="shapes", augment={"flip": 0.5}, warmup_steps=20, validate_every=100,
                            **fields)
    return train(recipe, folder, verbose=2).model


def measured(name, builder, fields, output):
    """Train and export one model; return name -> number, read back where an earlier call measured."""
    folder = os.path.join(output, name)
    results = os.path.join(folder, "results.json")
    if os.path.exists(results):
        with open(results, encoding="utf-8") as file:
            return json.load(file)
    model, size = trained(os.path.join(folder, "run"), builder, fields), fields["image_size"]
    train_images = kseg.data.load("shapes", "train", image_size=size, batch_size=16, seed=0)
    validation = kseg.data.load("shapes", "validation", image_size=size, batch_size=16)
    images = np.concatenate([pixels for pixels, _ in validation.take(2)])
    lenient = {"minimum_agreement": 0, "images": images, "overwrite": True}
    dynamic = kseg.export.saved_model(model, os.path.join(folder, "any", "1"), **lenient)
    fixed = kseg.export.saved_model(model, os.path.join(folder, "fixed", "1"), image_size=size, **lenient)
    values = {"SavedModel": dynamic.label_agreement, "its bytes": min(dynamic.bytes_agreement, fixed.bytes_agreement),
              "fixed size": fixed.label_agreement}
    for form, quantize in (("float32", None), ("float16", "float16"), ("int8", "int8")):
        parity = kseg.export.tflite(model, os.path.join(folder, f"{form}.tflite"), size, quantize, **lenient,
                                    calibration=train_images if quantize == "int8" else None, maximum_miou_drop=1,
                                    evaluate_on=validation if quantize == "int8" else None)
        values[form] = parity.label_agreement
    values.update({"mean_iou": parity.miou_original, "int8_change": parity.miou_change,
                   "worst_layers": parity.layer_errors[:3]})
    with open(f"{results}.part", "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
    os.replace(f"{results}.part", results)
    return values


def report(found, output):
    """Print the table and write matrix.md and matrix.json of the models so far."""
    heads = ["model", "mIoU, Keras", "int8, change", *FORMS]
    rows = [[name, f"{values['mean_iou']:.3f}", f"{values['int8_change']:+.3f}",
             *(f"{values[form]:.4f}" for form in FORMS)] for name, values in found.items()]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---", *["---:"] * (len(heads) - 1)], *rows)]
    with open(os.path.join(output, "matrix.md"), "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))
    with open(os.path.join(output, "matrix.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    show([("model", "left"), *((head, "right") for head in heads[1:])], rows,
         "share of equal labels in each form; mean IoU on shapes")


def main():
    arguments = parse()
    shared = {"encoder_name": arguments.encoder_name, "encoder_weights": arguments.encoder_weights,
              "image_size": SIZE, "steps": arguments.steps}
    jobs = {name: (name, {**shared, **BUILDERS[name]}) for name in arguments.builders}
    for encoder in arguments.encoders:
        jobs[f"DeepLabV3Plus-{encoder}"] = ("DeepLabV3Plus", {"encoder_name": encoder, "image_size": SIZE, **STRIDE_16,
                                                              "steps": 2 * arguments.steps})
    found = {}
    for name, (builder, fields) in jobs.items():
        found[name] = measured(name, builder, fields, arguments.output)
        report(found, arguments.output)


if __name__ == "__main__":
    main()
