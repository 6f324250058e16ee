"""Logits of PyTorch's segmentation models with drawn weights, in golden files of a few kilobytes.

    python tests/data/golden/make_segmentation.py

Needs torch, torchvision, timm and segmentation_models_pytorch 0.6, and not kseg. mmsegmentation's networks and semseg's
are laid out here on torchvision's ResNet, with their names. Each file holds the names and shapes of the weights, which
the test draws again, and samples of the logits of three pictures.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
from weights import BANDS, draw_all, picture, sample  # noqa: E402

SIZES = ((97, 129), (128, 128), (225, 225))
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class ConvModule(nn.Module):
    """A convolution without bias, batch normalisation and ReLU, named as mmcv names them."""

    def __init__(self, inputs, outputs, size, dilation=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, padding=size // 2 * dilation, dilation=dilation, groups=groups,
                              bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, values):
        return torch.relu(self.bn(self.conv(values)))


class Separable(nn.Module):
    def __init__(self, inputs, outputs, dilation=1):
        super().__init__()
        self.depthwise_conv = ConvModule(inputs, inputs, 3, dilation, inputs)
        self.pointwise_conv = ConvModule(inputs, outputs, 1)

    def forward(self, values):
        return self.pointwise_conv(self.depthwise_conv(values))


def resized(values, size):
    return nn.functional.interpolate(values, size=size, mode="bilinear", align_corners=False)


class Head(nn.Module):
    """The decode head of mmsegmentation's `kind`, for a ResNet-50."""

    def __init__(self, kind, classes, channels):
        super().__init__()
        self.kind = kind
        if kind == "pspnet":
            self.psp_modules = nn.ModuleList(
                nn.Sequential(nn.AdaptiveAvgPool2d(side), ConvModule(2048, channels, 1)) for side in (1, 2, 3, 6))
            self.bottleneck = ConvModule(2048 + 4 * channels, channels, 3)
        elif kind == "fcn":
            self.convs = nn.Sequential(ConvModule(2048, channels, 3), ConvModule(channels, channels, 3))
            self.conv_cat = ConvModule(2048 + channels, channels, 3)
        else:
            atrous = Separable if kind == "deeplabv3plus" else lambda *sizes: ConvModule(*sizes[:2], 3, sizes[2])
            self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(2048, channels, 1))
            self.aspp_modules = nn.ModuleList(
                [ConvModule(2048, channels, 1), *(atrous(2048, channels, rate) for rate in (12, 24, 36))])
            self.bottleneck = ConvModule(5 * channels, channels, 3)
        if kind == "deeplabv3plus":
            self.c1_bottleneck = ConvModule(256, 48, 1)
            self.sep_bottleneck = nn.Sequential(Separable(channels + 48, channels), Separable(channels, channels))
        self.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, c2, c5):
        size = c5.shape[2:]
        if self.kind == "pspnet":
            values = self.bottleneck(torch.cat([c5, *(resized(part(c5), size) for part in self.psp_modules)], 1))
        elif self.kind == "fcn":
            values = self.conv_cat(torch.cat([c5, self.convs(c5)], 1))
        else:
            parts = [resized(self.image_pool(c5), size), *(part(c5) for part in self.aspp_modules)]
            values = self.bottleneck(torch.cat(parts, 1))
        if self.kind == "deeplabv3plus":
            detail = self.c1_bottleneck(c2)
            values = self.sep_bottleneck(torch.cat([resized(values, detail.shape[2:]), detail], 1))
        return self.conv_seg(values)


class Auxiliary(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.convs = nn.Sequential(ConvModule(1024, 256, 3))
        self.conv_seg = nn.Conv2d(256, classes, 1)


class MMSegmentation(nn.Module):
    """A ResNet-50-v1c at output stride 8 (stem of 32, 32 and 64 channels), a head, and the auxiliary head."""

    def __init__(self, kind, classes=19, channels=512):
        import torchvision

        super().__init__()
        backbone = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        del backbone.fc, backbone.conv1, backbone.bn1
        layers, inputs = [], 3
        for width, stride in ((32, 2), (32, 1), (64, 1)):
            layers += [nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        backbone.stem = nn.Sequential(*layers)
        self.backbone, self.decode_head = backbone, Head(kind, classes, channels)
        self.auxiliary_head = Auxiliary(classes)

    def forward(self, pixels):
        net = self.backbone
        c2 = net.layer1(net.maxpool(net.stem(pixels)))
        c5 = net.layer4(net.layer3(net.layer2(c2)))
        return resized(self.decode_head(c2, c5), pixels.shape[2:])


class Semseg(nn.Module):
    """semseg's PSPNet of 50 layers: every 3x3 convolution of layer3 and layer4 dilated, corners aligned."""

    def __init__(self, classes=19):
        import torchvision

        super().__init__()
        net = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        stem, inputs = [], 3
        for width, stride in ((64, 2), (64, 1), (128, 1)):
            stem += [nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        self.layer0 = nn.Sequential(*stem, net.maxpool)
        net.layer1[0].conv1 = nn.Conv2d(inputs, 64, 1, bias=False)
        net.layer1[0].downsample[0] = nn.Conv2d(inputs, 256, 1, bias=False)
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        for stage, rate in ((self.layer3, 2), (self.layer4, 4)):
            stage[0].conv2.dilation = stage[0].conv2.padding = (rate, rate)
        self.ppm = nn.Module()
        self.ppm.features = nn.ModuleList(nn.Sequential(
            nn.AdaptiveAvgPool2d(bins), nn.Conv2d(2048, 512, 1, bias=False), nn.BatchNorm2d(512), nn.ReLU())
            for bins in (1, 2, 3, 6))
        self.cls, self.aux = (nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout2d(0.1),
            nn.Conv2d(width, classes, 1)) for channels, width in ((4096, 512), (1024, 256)))

    def forward(self, pixels):
        def aligned(values, size):
            return nn.functional.interpolate(values, size=size, mode="bilinear", align_corners=True)

        c5 = self.layer4(self.layer3(self.layer2(self.layer1(self.layer0(pixels)))))
        values = self.cls(torch.cat([c5, *(aligned(part(c5), c5.shape[2:]) for part in self.ppm.features)], 1))
        return aligned(values, pixels.shape[2:])


def networks():
    """Yield (name, function that makes the network, multiple that its sides must have)."""
    import segmentation_models_pytorch as smp
    from torchvision.models import segmentation

    for name in ("deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large", "fcn_resnet50",
                 "fcn_resnet101"):
        yield f"torchvision/{name}", lambda name=name: getattr(segmentation, name)(
            weights=None, weights_backbone=None, num_classes=21, aux_loss=True), 1
    for kind, channels in (("pspnet", 512), ("deeplabv3", 512), ("deeplabv3plus", 512), ("fcn", 512)):
        yield f"mmsegmentation/{kind}_r50", lambda kind=kind, channels=channels: MMSegmentation(
            kind, channels=channels), 1
    yield "semseg/pspnet50", Semseg, 1
    for model, encoder in (("Unet", "resnet18"), ("Unet", "resnet34"), ("Unet", "resnet50"), ("Unet", "mobilenet_v2"),
                           ("Unet", "efficientnet-b0"), ("Unet", "tu-tf_efficientnet_lite0"),
                           ("Unet", "vgg16_bn"), ("Unet", "densenet121"), ("Unet", "xception"), ("Unet", "mit_b0"),
                           ("Unet", "tu-convnext_tiny"), ("Unet", "tu-mobilenetv2_100"),
                           ("PSPNet", "resnet18"), ("PSPNet", "mobilenet_v2"), ("PSPNet", "efficientnet-b0"),
                           ("PSPNet", "tu-tf_efficientnet_lite0"),
                           ("DeepLabV3", "resnet18"), ("DeepLabV3", "resnet50"), ("DeepLabV3", "mobilenet_v2"),
                           ("DeepLabV3Plus", "resnet34"), ("DeepLabV3Plus", "resnet50"),
                           ("DeepLabV3Plus", "mobilenet_v2"),
                           ("DeepLabV3Plus", "efficientnet-b0"), ("DeepLabV3Plus", "efficientnet-b1"),
                           ("DeepLabV3Plus", "tu-tf_efficientnet_lite0")):
        yield f"smp/{model.lower()}/{encoder}", lambda model=model, encoder=encoder: getattr(smp, model)(
            encoder, encoder_weights=None, classes=5), {"Unet": 1, "PSPNet": 8}.get(model, 32)
    for bands in BANDS:
        yield f"smp/unet/resnet18/{bands}", lambda bands=bands: smp.Unet(
            "resnet18", encoder_weights=None, classes=5, in_channels=bands), 1


def main(wanted):
    for name, make, multiple in networks():
        if wanted and not any(part in name for part in wanted):
            continue
        model = make().eval()
        state = model.state_dict()
        shapes = {key: tuple(value.shape) for key, value in state.items()}
        # At 1, torch's float32 is off its own float64 by up to 1e-4 in these.
        gain = 0.8 if "mobilenet" in name or "lite0" in name else 1.0
        model.load_state_dict({key: torch.from_numpy(np.asarray(value))
                               for key, value in draw_all(shapes, gain).items()})
        logits = {}
        mean, std = ((127.5,) * 3,) * 2 if name.endswith(("lite0", "xception")) else (MEAN, STD)
        mean, std = BANDS[int(name[-1])] if name.count("/") == 3 else (mean, std)
        for height, width in sorted({tuple(-(-side // multiple) * multiple for side in size) for size in SIZES}):
            pixels = (picture(height, width, len(mean)).astype("float32") - np.float32(mean)) / np.float32(std)
            with torch.inference_mode():
                found = model(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))
            found = found["out"] if isinstance(found, dict) else found
            values = found[0].numpy().transpose(1, 2, 0)
            logits[f"{height}x{width}"] = sample(values, 9)
            logits[f"largest_{height}x{width}"] = np.float32(np.abs(values).max())
        np.savez_compressed(HERE / f"segmentation_{name.replace('/', '__')}.npz",
                            shapes=json.dumps(shapes), gain=gain, **logits)
        print(name, {key: value.shape for key, value in logits.items() if value.ndim})


if __name__ == "__main__":
    main(sys.argv[1:])
