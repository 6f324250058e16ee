"""`kseg convert`: a PyTorch checkpoint becomes a `.keras` file."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kseg convert`."""
    parser.add_argument("checkpoint", help=".pth, .pt or .safetensors file, or a folder of smp's save_pretrained or "
                        "KerasHub's save_to_preset")
    parser.add_argument("output", help="the .keras file to write")
    parser.add_argument("--like", help="torchvision, mmsegmentation, smp, semseg or kerashub, and its network: "
                        "smp/unet/mobilenet_v2; told from the names of the arrays if left out")
    parser.add_argument("--classes", type=int, help="the classes it must have")
    parser.add_argument("--mean", type=float, nargs="+", help="that the network was trained with, on the scale 0-255, "
                        "one number or one per band; needs --std; those of its origin if left out")
    parser.add_argument("--std", type=float, nargs="+", help="deviation, as --mean")
    parser.add_argument("--image", help="an image to compare on, as it is; needs --logits")
    parser.add_argument("--logits", help=".npy file of PyTorch's logits of that image, [B, classes, H, W]")


def run(arguments: argparse.Namespace) -> None:
    """Convert, save, and print what was matched and what was left out."""
    from kseg import checks, files
    from kseg.cli.tables import say, show
    from kseg.inference.images import open_image
    from kseg.pretrained import conversion
    from kseg.pretrained.convert import compared

    if not arguments.output.endswith(".keras"):
        raise ValueError(checks.sentence("output", "must end in .keras", arguments.output, "Name the file to write."))
    if (arguments.image is None) != (arguments.logits is None):
        raise ValueError(checks.sentence("image", "must be given with logits, and they with it", arguments.image,
                                         "Pass both --image and --logits."))
    if (arguments.mean is None) != (arguments.std is None):
        raise ValueError(checks.sentence("mean", "must be given with std, and it with mean", arguments.mean,
                                         "Pass both --mean and --std."))
    report = conversion(arguments.checkpoint, arguments.like, arguments.classes,
                        normalization=arguments.mean and (arguments.mean, arguments.std))
    if arguments.image is not None:
        report = compared(report, open_image(arguments.image, report.model.in_channels, "image"), arguments.logits)
    with files.draft(arguments.output) as draft:
        report.model.save(draft)
    rows = [["network", f"{report.builder} of {report.origin}"],
            ["encoder", str(report.options["encoder_name"])],
            ["classes", str(report.model.classes)],
            ["parameters", f"{report.model.count_params():,}"],
            ["arrays matched", str(report.matched)],
            ["arrays left out", ", ".join(report.left_out) or "none"]]
    if report.max_abs_difference is not None:
        rows += [["largest difference of the logits",
                  f"{report.max_abs_difference:.3g} ({report.relative_difference:.2g} of the largest)"],
                 ["pixels of the same class", f"{report.label_agreement:.5f}"]]
    show([("conversion", "left"), ("", "left")], rows)
    say(f"written: {arguments.output}")
