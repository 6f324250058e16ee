"""mmsegmentation's PSPNet, DeepLab v3, DeepLab v3+ and FCN on dilated ResNets ("-d8", corners not aligned)."""

from kseg import checks
from kseg.pretrained.origins.plan import Arrays, Plan, check_like, conv_bn, one_grid, resnet_name, size_of

_AUX = {"auxiliary_head.convs.0.conv": "aux_conv", "auxiliary_head.convs.0.bn": "aux_bn",
        "auxiliary_head.conv_seg": "aux_logits_scores"}
_CLASSIFIER = {"decode_head.conv_seg": "logits_scores"}


def recognises(arrays: Arrays) -> bool:
    """Whether the names of `arrays` are those of an mmsegmentation model."""
    return "decode_head.conv_seg.weight" in arrays


def plan(arrays: Arrays, detail: str | None = None) -> Plan:
    """Return the `Plan` of a checkpoint of output stride 8; `detail` is its name ("pspnet_r50_cityscapes") or None.

    Raises:
        ValueError: for a head that kseg has no builder for.
    """
    aux = "auxiliary_head.conv_seg.weight" in arrays
    stem = "v1c" if "backbone.stem.0.weight" in arrays else ""
    encoder = resnet_name(arrays, "backbone.", stem)
    options = {"encoder_name": encoder, "output_stride": 8}
    head = {name.split(".")[1] for name in arrays if name.startswith("decode_head.")}
    layout = next((layout for part, layout in (
        ("sep_bottleneck", _deeplab_v3_plus), ("aspp_modules", _deeplab_v3), ("psp_modules", _pspnet),
        ("convs", _fcn)) if part in head), None)
    if layout is None:
        raise ValueError(checks.sentence(
            "checkpoint", "must have the decode head of a PSPNet, DeepLabV3, DeepLabV3+ or FCN",
            ", ".join(sorted(head)), "kseg has no builder for this network."))
    builder, own, modules, moved = layout(arrays, aux)
    family = {"DilatedFCN": "fcn"}.get(builder, builder.lower())
    check_like(detail, f"{family}_r{encoder.removeprefix('resnet').removesuffix(stem)}")
    if builder == "DeepLabV3":
        own["multi_grid"] = one_grid(encoder)
    with_aux = builder != "DeepLabV3Plus" and aux
    ignored = ("auxiliary_head.",) if aux and not with_aux else ()
    return Plan("mmsegmentation", builder, {**options, **own}, {
        **_CLASSIFIER, **modules, **(_AUX if with_aux else {})}, "backbone.", "decode_head.conv_seg", moved, ignored)


def _module(name, layer):
    return conv_bn(f"decode_head.{name}", layer, conv="conv", bn="bn")


def _separable(name, layer):
    return {f"decode_head.{name}.depthwise_conv.conv": f"{layer}_depthwise",
            f"decode_head.{name}.depthwise_conv.bn": f"{layer}_depthwise_bn",
            **_module(f"{name}.pointwise_conv", f"{layer}_pointwise")}


def _pspnet(arrays, aux):
    modules = _module("bottleneck", "head")
    for index, bin_count in enumerate((1, 2, 3, 6)):
        modules |= _module(f"psp_modules.{index}.1", f"pyramid{bin_count}")
    return "PSPNet", {"aux": aux, "filters": _channels(arrays)}, modules, {}


def _fcn(arrays, aux):
    convolutions = len({name.split(".")[2] for name in arrays if name.startswith("decode_head.convs.")})
    joined = "decode_head.conv_cat.conv.weight" in arrays
    modules = {key: layer for index in range(convolutions)
               for key, layer in _module(f"convs.{index}", f"head{index + 1}").items()}
    modules |= _module("conv_cat", "head_fuse") if joined else {}
    options = {"aux": aux, "convolutions": convolutions, "concatenate_input": joined, "filters": _channels(arrays)}
    return "DilatedFCN", options, modules, {}


def _channels(arrays):
    return size_of(arrays, "decode_head.conv_seg.weight", 1)


def _pyramid(convolution):
    modules = {**_module("image_pool.1", "aspp_image"), **_module("aspp_modules.0", "aspp_point"),
               **_module("bottleneck", "aspp_project")}
    for index in (1, 2, 3):
        modules |= convolution(f"aspp_modules.{index}", f"aspp_atrous{index}")
    return modules


_IMAGE_FIRST = {"aspp_project_conv": (4, 0, 1, 2, 3)}


def _deeplab_v3(arrays, aux):
    options = {"aux": aux, "projection_size": 3, "filters": _channels(arrays)}
    return "DeepLabV3", options, _pyramid(_module), _IMAGE_FIRST


def _deeplab_v3_plus(arrays, aux):
    separable = "decode_head.aspp_modules.1.depthwise_conv.conv.weight" in arrays
    low_level = size_of(arrays, "decode_head.c1_bottleneck.conv.weight")
    modules = {**_pyramid(_separable if separable else _module), **_module("c1_bottleneck", "low_level")}
    for index in (0, 1):
        modules |= _separable(f"sep_bottleneck.{index}", f"decoder{index + 1}")
    options = {"projection_size": 3, "separable": True, "low_level_filters": low_level,
               "filters": _channels(arrays), "decoder_filters": _channels(arrays)}
    return "DeepLabV3Plus", options, modules, _IMAGE_FIRST
