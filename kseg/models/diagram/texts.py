"""What stands beside the boxes of a diagram, read from their layers."""

import re

from kseg.layers import AdaptiveAveragePooling2D, ChainedResidualPooling
from kseg.models.diagram.elements import Box

# What the layers of kseg's builders are, by the beginning of their names; others are called as they are.
_NAMES = (
    (r"aspp_point$", "ASPP"),
    (r"aspp_atrous\d+$|aspp\d*$", "ASPP"),
    (r"aspp_image$", "image pooling"),
    (r"aspp_project$", "projection"),
    (r"pyramid\d+$", "pyramid"),
    (r"low_level$", "low level"),
    (r"refine(\d+)$", r"RefineNet-\1"),
    (r"score_c\d$|fc8$|logits$|aux_logits$", "scores"),
    (r"aux$", "auxiliary"),
    (r"side_(\w+)$", r"from \1"),
    (r"(?:down|encoder)(\d)$", r"down \1"),
    (r"up(\d)$", r"up \1"),
    (r"decoder(\d*)$", r"decoder \1"),
    (r"head\d*$", "head"),
)
_LONGEST = 14  # characters of a name


def lines_of(box: Box) -> list[str]:
    """Return the lines beside a box: what it is, its kernels or bins, its channels, its rates."""
    channels = [] if box.channels is None else [f"{box.channels}"]
    rates = [f"rate{'s' if len(box.rates) > 1 else ''} {', '.join(map(str, box.rates))}"] if box.rates else []
    if box.kind == "input":
        return ["pixels", *channels]
    if box.kind == "output":
        return ["logits" if box.name == "logits" else _short(box.name), *channels]
    if box.kind == "stage":
        return [box.name.replace("places", "c"), *channels, *rates]
    if box.kind == "join":
        return []
    if box.kind == "block":
        return [_title(box.name) if box.name else f"stride {box.stride}", *_block(box), *channels, *rates]
    bins = [layer.bins for layer in box.layers if isinstance(layer, AdaptiveAveragePooling2D)]
    return [_title(box.name), *(f"{side}×{side} bins" for side in bins if side > 1 or box.name != "aspp_image"),
            *_kernels(box, hide_points=bool(bins)), *channels, *rates]


def one_line_of(box: Box) -> list[str]:
    """Return the same in at most two lines, for boxes that stand above one another."""
    lines = lines_of(box)
    if box.kind != "pooling" and box.rates and len(lines) >= 4:  # name, kernel, channels, rate
        return [f"{lines[1]}, {lines[3]}", lines[2]]
    if len(lines) == 3 and lines[0] in ("ASPP", "pyramid"):
        return lines[1:]
    return [lines[0], ", ".join(lines[1:])] if len(lines) > 2 else lines


def _title(name):
    for pattern, title in _NAMES:
        if re.match(pattern, name):
            return re.sub(pattern, title, name).strip()
    return _short(name)


def _short(name):
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST - 1]}…"


def _kernels(box, hide_points=False):
    """Return ["2 × 3×3"]: how many kernels there are of each size wider than one pixel, or of 1x1 alone."""
    sides = [tuple(layer.kernel_size) for layer in box.kernels]
    wide = [side for side in sides if max(side) > 1]
    if not sides or (hide_points and not wide):
        return []
    chosen = wide or sides
    shown = []
    for side in dict.fromkeys(chosen):
        count = chosen.count(side)
        shown.append(f"{f'{count} × ' if count > 1 else ''}{side[0]}×{side[1]}")
    return [", ".join(shown)]


def _block(box):
    """Return what is inside a block of RefineNet: residual units, a fusion, a chain of poolings."""
    names = [layer.name for layer in box.layers]
    units = [sum(bool(re.search(pattern, name)) for name in names)
             for pattern in (r"\d_unit\d+_add", r"output_unit\d+_add")]
    chains = [layer for layer in box.layers if isinstance(layer, ChainedResidualPooling)]
    if not chains:
        return []
    fused = any(name.endswith("_sum") for name in names)
    return [f"{units[0]} RCU", *(["fusion"] if fused else []), *(f"CRP × {chain.stages}" for chain in chains),
            f"{units[1]} RCU"]
