from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camviewer.catalogue.architectures import architecture
from camviewer.training.datasets import Files, LabelledImages, Stack
from camviewer.training.sources import LOOKED_AT, usual_side


def data(source: Files | Stack, count: int) -> LabelledImages:
    return LabelledImages(
        tuple(map(str, range(count))), np.zeros(count, np.int64), ("a",), np.arange(count, dtype=np.int64), source
    )


@pytest.mark.parametrize(
    ("size", "arch", "side"),
    [
        ((200, 150), "camnet", 192),  # a square of 173
        ((600, 450), "camnet", 224),
        ((600, 450), "efficientnet_v2_s", 384),
        ((160, 160), "resnet18", 160),
        ((32, 32), "resnet18", 112),
        ((32, 32), "vit_b_16", 224),  # takes no other
    ],
)
def test_small_pictures_are_not_enlarged(size: tuple[int, int], arch: str, side: int) -> None:
    pixels = np.zeros((3, size[1], size[0], 3), np.uint8)
    assert usual_side(architecture(arch), data(Stack(pixels), 3)) == side


def test_the_side_goes_by_the_files_that_can_be_read(tmp_path: Path) -> None:
    paths = []
    for number in range(2 * LOOKED_AT):
        paths.append(tmp_path / f"{number}.png")
        if number % 3:
            Image.new("RGB", (128, 128)).save(paths[-1])
        elif number % 2:
            paths[-1].write_bytes(b"no picture")
    assert usual_side(architecture("camnet"), data(Files(tuple(paths)), len(paths))) == 128
    assert usual_side(architecture("camnet"), data(Files((tmp_path / "absent.png",)), 1)) == 224
