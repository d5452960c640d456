"""A bright square comes back as a box around it, through the command line and in every resize mode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camviewer.cli import main
from camviewer.images.geometry import RESIZE_MODES

NETWORK = '''
import torch
from torch import nn

def build():
    """Brightness in cells of 8 x 8 pixels, averaged, is the score of the only bright class."""
    identity = nn.Conv2d(3, 1, 1, bias=False)
    network = nn.Sequential(identity, nn.AvgPool2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.fill_(1 / 3)
        network[4].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        network[4].bias.zero_()
    return network
'''
WIDTH, HEIGHT = 1000, 700


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_a_square_comes_back_as_a_box(mode: str, tmp_path: Path) -> None:
    squares = {"a": (200, 60, 400, 260), "b": (480, 300, 640, 460), "c": (600, 400, 840, 640)}
    network = tmp_path / "net.py"
    network.write_text(NETWORK)
    images = tmp_path / "images"
    images.mkdir()
    for name, (x0, y0, x1, y1) in squares.items():
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[y0:y1, x0:x1] = 255
        Image.fromarray(pixels).save(images / f"{name}.png")
    out = tmp_path / "out"
    arguments = [
        "explain",
        str(images),
        "--model",
        str(network),
        "--trust-code",
        "--out",
        str(out),
        "--save",
        "maps,boxes",
    ]
    arguments += ["--method", "gradcam", "--classes", "0", "--threshold", "0.5", "--mean", "0,0,0", "--std", "1,1,1"]
    assert main([*arguments, "--resize-mode", mode, "--input-size", "224", "--layer", "1"]) == 0
    rows = {row["file"]: row for row in json.loads((out / "explain.json").read_text())["images"]}
    for name, square in squares.items():
        row = rows[f"{name}.png"]
        (scale_x, _, _), (_, scale_y, _) = row["maps"][0]["to_image"]
        (box,) = row["boxes"]
        cell = np.array([scale_x, scale_y, scale_x, scale_y])
        assert np.all(np.abs(np.array(box["xyxy"]) - square) <= cell), (mode, name, box["xyxy"])
