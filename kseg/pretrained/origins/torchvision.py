"""torchvision's segmentation models: DeepLab v3 and FCN on dilated ResNets, DeepLab v3 on MobileNetV3-Large."""

from kseg.pretrained.origins.plan import Arrays, Plan, check_like, conv_bn, one_grid, resnet_name

_AUX = {**conv_bn("aux_classifier", "aux"), "aux_classifier.4": "aux_logits_scores"}


def recognises(arrays: Arrays) -> bool:
    """Whether the names of `arrays` are those of a torchvision segmentation model."""
    return "classifier.4.weight" in arrays and any(name.startswith("backbone.") for name in arrays)


def plan(arrays: Arrays, detail: str | None = None) -> Plan:
    """Return the `Plan` of a checkpoint, whatever its count of classes; `detail` is its name in torchvision or None."""
    mobilenet = "backbone.0.0.weight" in arrays
    aux = any(name.startswith("aux_classifier.") for name in arrays)
    encoder = "torchmobilenetv3large" if mobilenet else resnet_name(arrays, "backbone.")
    options = {"encoder_name": encoder, "output_stride": 16 if mobilenet else 8, "aux": aux}
    pyramid = "classifier.0.convs.0.0.weight" in arrays
    check_like(detail, f"{'deeplabv3' if pyramid else 'fcn'}_{'mobilenet_v3_large' if mobilenet else encoder}")
    if not pyramid:
        modules = {**conv_bn("classifier", "head1"), "classifier.4": "logits_scores"}
        return Plan("torchvision", "DilatedFCN", options, {**modules, **(_AUX if aux else {})}, "backbone.",
                    "classifier.4")
    modules = {**conv_bn("classifier.0.convs.0", "aspp_point"),
               **conv_bn("classifier.0.convs.1", "aspp_atrous1"), **conv_bn("classifier.0.convs.2", "aspp_atrous2"),
               **conv_bn("classifier.0.convs.3", "aspp_atrous3"),
               **conv_bn("classifier.0.convs.4", "aspp_image", conv="1", bn="2"),
               **conv_bn("classifier.0.project", "aspp_project"),
               "classifier.1": "head_conv", "classifier.2": "head_bn", "classifier.4": "logits_scores"}
    options = {**options, "extra_conv": True, "dropout": 0.5, "multi_grid": one_grid(encoder)}
    if mobilenet:  # rates (12, 24, 36) at output stride 16, and a stage that runs at its full rate from its first unit
        options |= {"rates": (12, 24, 36), "full_rates": True, "aux_stage": "c3"}
    return Plan("torchvision", "DeepLabV3", options, {**modules, **(_AUX if aux else {})}, "backbone.", "classifier.4")
