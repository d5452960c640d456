"""`explain` with the default layer and Grad-CAM runs on every architecture, the second image on the faster copy."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from probe import draw_pixels

from camviewer import cli
from camviewer.catalogue.architectures import ARCHITECTURES


@pytest.mark.nightly
@pytest.mark.parametrize("name", [entry.name for entry in ARCHITECTURES if not entry.own])
def test_explain(name: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(3):
        Image.fromarray(draw_pixels(seed)).save(tmp_path / "images" / f"{seed}.png")
    options = ["--model", name, "--method", "gradcam", "--method", "gradcampp", "--batch-size", "1", "--device", "cpu"]
    status = cli.main(["explain", str(tmp_path / "images"), *options, "--out", str(tmp_path / "out")])
    gc.collect()
    assert status == 0
    found = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert found["run"]["layers"] and torch.is_grad_enabled()
    for image in found["images"]:
        assert "error" not in image and [m["method"] for m in image["maps"]] == ["gradcam", "gradcampp"]
