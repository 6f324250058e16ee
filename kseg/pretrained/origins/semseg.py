"""semseg's PSPNet (github.com/hszhao/semseg), by the authors of its paper: ResNet at stride 8, corners aligned."""

from kseg import checks
from kseg.pretrained.origins.plan import Arrays, Plan, check_like, conv_bn, resnet_name, size_of

_AUX = {"aux.0": "aux_conv", "aux.1": "aux_bn", "aux.4": "aux_logits_scores"}
_BINS = (1, 2, 3, 6)


def recognises(arrays: Arrays) -> bool:
    """Whether the names of `arrays` are those of a semseg model."""
    return "cls.4.weight" in arrays and "layer0.0.weight" in arrays


def plan(arrays: Arrays, detail: str | None = None) -> Plan:
    """Return the `Plan` of a checkpoint; `detail` is its name ("pspnet50_cityscapes") or None.

    Raises:
        ValueError: for another network than a PSPNet of four bins.
    """
    pools = {name.split(".")[2] for name in arrays if name.startswith("ppm.features.")}
    if len(pools) != len(_BINS):
        raise ValueError(checks.sentence(
            "checkpoint", f"must have the pyramid of a PSPNet, of bins {_BINS}", f"{len(pools)} pooled grids below "
            "'ppm.features.'", "kseg has no builder for semseg's other networks (PSANet)."))
    encoder = resnet_name(arrays, "", "deep" if "layer0.3.weight" in arrays else "")
    check_like(detail, f"pspnet{encoder.removeprefix('resnet').removesuffix('deep')}")
    aux = "aux.4.weight" in arrays
    modules = {**conv_bn("cls", "head"), "cls.4": "logits_scores", **(_AUX if aux else {})}
    for index, bin_count in enumerate(_BINS):
        modules |= conv_bn(f"ppm.features.{index}", f"pyramid{bin_count}", conv="1", bn="2")
    # "layer" stays at the head of the encoder's names, which have no prefix.
    return Plan("semseg", "PSPNet", {
        "encoder_name": encoder, "output_stride": 8, "aux": aux, "full_rates": True, "align_corners": True,
        "filters": size_of(arrays, "cls.0.weight")}, modules, "layer", "cls.4", kept="layer")
