"""A small explain folder to write and read in tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from camviewer.formats.explain_json import ExplainedBox, ExplainedMap, ExplainWriter, TopScore
from camviewer.images.geometry import CellPositions, Geometry, plan_input
from camviewer.models.records import Preprocessing
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule


def a_run(**changes) -> Run:
    fields = {
        "architecture": "resnet18",
        "weights": "w.pth",
        "weights_sha256": "ab" * 32,
        "classes": ("melanoma", "naevus"),
        "preprocessing": asdict(Preprocessing()),
        "layers": ("layer4",),
        "methods": ("gradcam",),
        "method_parameters": {"gradcam": {}},
        "target": "score",
        "rule": RegionRule(),
        "offset": True,
        "tta": "none",
        "fuse": "none",
        "seed": 0,
        "device": "cpu",
        "precision": "exact",
        "versions": {"camviewer": "0.1.0"},
    }
    return Run(**{**fields, **changes})


def a_map(size=(60, 40), *, method="gradcam", layer="layer4", class_index=0, seed=0, mode="squash") -> ActivationMap:
    plan = plan_input(size, mode=mode, input_size=(224, 224), resize_size=256)
    geometry = Geometry(size, plan.input_size, (7, 7), plan.input_to_image, CellPositions((0, 0), (32, 32)))
    values = np.random.default_rng(seed).normal(size=(7, 7)).astype(np.float32)
    return ActivationMap(class_index, method, layer, values, geometry)


def a_mask(size=(60, 40)) -> np.ndarray:
    mask = np.zeros((size[1], size[0]), bool)
    mask[5:20, 10:30] = True
    mask[8, 12] = False
    return mask


TOP = [TopScore(i, f"c{i}", float(-i), 0.5 / (i + 1)) for i in range(7)]


def write_one(out: Path, files=("a.jpg",), **kwargs) -> Path:
    with ExplainWriter(out, a_run()) as writer:
        for i, file in enumerate(files):
            entry = ExplainedMap(a_map(seed=i), (ExplainedBox((10.0, 5.0, 30.0, 20.0), 0.4, 0.9),), a_mask(), **kwargs)
            writer.add_image(file, size=(60, 40), top=TOP, maps=[entry])
        return writer.finish()
