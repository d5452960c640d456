"""The architectures that can be named: torchvision's classifiers and camviewer's own, without torch."""

from __future__ import annotations

from dataclasses import dataclass

from camviewer.errors import ModelError


@dataclass(frozen=True, slots=True)
class ArchitectureSpec:
    """One architecture.

    Attributes:
        name: as in ``--model``.
        title: as papers write it.
        family: group in lists.
        input_size: side of the square input its published weights were trained for.
        fixed_size: whether it takes no other size.
        own: whether camviewer holds the network itself.
    """

    name: str
    title: str
    family: str
    input_size: int = 224
    fixed_size: bool = False
    own: bool = False


def _many(family: str, rows: str, input_size: int = 224, *, fixed_size: bool = False) -> tuple[ArchitectureSpec, ...]:
    """Return a family from lines ``name | title [| input size]``."""
    specs = []
    for row in rows.strip().splitlines():
        name, title, *size = (part.strip() for part in row.split("|"))
        specs.append(ArchitectureSpec(name, title, family, int(size[0]) if size else input_size, fixed_size))
    return tuple(specs)


ARCHITECTURES: tuple[ArchitectureSpec, ...] = (
    *_many("AlexNet", "alexnet | AlexNet"),
    *_many(
        "ConvNeXt",
        """
        convnext_tiny  | ConvNeXt-T
        convnext_small | ConvNeXt-S
        convnext_base  | ConvNeXt-B
        convnext_large | ConvNeXt-L
        """,
    ),
    *_many(
        "DenseNet",
        """
        densenet121 | DenseNet-121
        densenet161 | DenseNet-161
        densenet169 | DenseNet-169
        densenet201 | DenseNet-201
        """,
    ),
    *_many(
        "EfficientNet",
        """
        efficientnet_b0 | EfficientNet-B0
        efficientnet_b1 | EfficientNet-B1 | 240
        efficientnet_b2 | EfficientNet-B2 | 288
        efficientnet_b3 | EfficientNet-B3 | 300
        efficientnet_b4 | EfficientNet-B4 | 380
        efficientnet_b5 | EfficientNet-B5 | 456
        efficientnet_b6 | EfficientNet-B6 | 528
        efficientnet_b7 | EfficientNet-B7 | 600
        """,
    ),
    *_many(
        "EfficientNetV2",
        """
        efficientnet_v2_s | EfficientNetV2-S | 384
        efficientnet_v2_m | EfficientNetV2-M | 480
        efficientnet_v2_l | EfficientNetV2-L | 480
        """,
    ),
    *_many("GoogLeNet", "googlenet | GoogLeNet"),
    *_many("Inception", "inception_v3 | Inception v3 | 299"),
    *_many("MaxViT", "maxvit_t | MaxViT-T", fixed_size=True),
    *_many(
        "MNASNet",
        """
        mnasnet0_5  | MNASNet 0.5
        mnasnet0_75 | MNASNet 0.75
        mnasnet1_0  | MNASNet 1.0
        mnasnet1_3  | MNASNet 1.3
        """,
    ),
    *_many("MobileNetV2", "mobilenet_v2 | MobileNetV2"),
    *_many(
        "MobileNetV3",
        """
        mobilenet_v3_large | MobileNetV3-Large
        mobilenet_v3_small | MobileNetV3-Small
        """,
    ),
    *_many(
        "RegNet",
        """
        regnet_x_400mf | RegNetX-400MF
        regnet_x_800mf | RegNetX-800MF
        regnet_x_1_6gf | RegNetX-1.6GF
        regnet_x_3_2gf | RegNetX-3.2GF
        regnet_x_8gf   | RegNetX-8GF
        regnet_x_16gf  | RegNetX-16GF
        regnet_x_32gf  | RegNetX-32GF
        regnet_y_400mf | RegNetY-400MF
        regnet_y_800mf | RegNetY-800MF
        regnet_y_1_6gf | RegNetY-1.6GF
        regnet_y_3_2gf | RegNetY-3.2GF
        regnet_y_8gf   | RegNetY-8GF
        regnet_y_16gf  | RegNetY-16GF
        regnet_y_32gf  | RegNetY-32GF
        regnet_y_128gf | RegNetY-128GF | 384
        """,
    ),
    *_many(
        "ResNet",
        """
        resnet18  | ResNet-18
        resnet34  | ResNet-34
        resnet50  | ResNet-50
        resnet101 | ResNet-101
        resnet152 | ResNet-152
        """,
    ),
    *_many(
        "ResNeXt",
        """
        resnext50_32x4d  | ResNeXt-50 32x4d
        resnext101_32x8d | ResNeXt-101 32x8d
        resnext101_64x4d | ResNeXt-101 64x4d
        """,
    ),
    *_many(
        "Wide ResNet",
        """
        wide_resnet50_2  | Wide ResNet-50-2
        wide_resnet101_2 | Wide ResNet-101-2
        """,
    ),
    *_many(
        "ShuffleNetV2",
        """
        shufflenet_v2_x0_5 | ShuffleNetV2 x0.5
        shufflenet_v2_x1_0 | ShuffleNetV2 x1.0
        shufflenet_v2_x1_5 | ShuffleNetV2 x1.5
        shufflenet_v2_x2_0 | ShuffleNetV2 x2.0
        """,
    ),
    *_many(
        "SqueezeNet",
        """
        squeezenet1_0 | SqueezeNet 1.0
        squeezenet1_1 | SqueezeNet 1.1
        """,
    ),
    *_many(
        "Swin Transformer",
        """
        swin_t | Swin-T
        swin_s | Swin-S
        swin_b | Swin-B
        """,
    ),
    *_many(
        "Swin Transformer V2",
        """
        swin_v2_t | Swin V2-T | 256
        swin_v2_s | Swin V2-S | 256
        swin_v2_b | Swin V2-B | 256
        """,
    ),
    *_many(
        "VGG",
        """
        vgg11    | VGG-11
        vgg11_bn | VGG-11 BN
        vgg13    | VGG-13
        vgg13_bn | VGG-13 BN
        vgg16    | VGG-16
        vgg16_bn | VGG-16 BN
        vgg19    | VGG-19
        vgg19_bn | VGG-19 BN
        """,
    ),
    *_many(
        "Vision Transformer",
        """
        vit_b_16 | ViT-B/16
        vit_b_32 | ViT-B/32
        vit_l_16 | ViT-L/16
        vit_l_32 | ViT-L/32
        vit_h_14 | ViT-H/14 | 518
        """,
        fixed_size=True,
    ),
    ArchitectureSpec("camnet", "CamNet", "camviewer", 224, own=True),
)

BY_NAME = {spec.name: spec for spec in ARCHITECTURES}


def architecture(name: str) -> ArchitectureSpec:
    """Return the architecture called `name`.

    Raises:
        ModelError: when there is none; the message names the nearest.
    """
    try:
        return BY_NAME[name]
    except KeyError:
        import difflib

        near = difflib.get_close_matches(name, BY_NAME, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "camviewer-cli layers --help lists them."
        raise ModelError(f"There is no architecture {name!r}. {hint}") from None
