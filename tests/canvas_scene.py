"""A picture and a map for tests of canvas and panels."""

from __future__ import annotations

import numpy as np

from camviewer.images.geometry import Geometry, plan_input
from camviewer.project.records import ActivationMap


def picture(width: int = 600, height: int = 450) -> np.ndarray:
    """A picture whose red is x and green is y, so that every pixel says where it is."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x % 256, y % 256, np.full_like(x, 90)], axis=-1).astype(np.uint8)


def blob(size: tuple[int, int] = (600, 450), *, sign: float = 1.0, mode: str = "squash") -> ActivationMap:
    """A map with one hump of value 8 on a ground of -1."""
    plan = plan_input(size, mode=mode, input_size=(224, 224))
    y, x = np.mgrid[0:7, 0:7]
    values = sign * (9 * np.exp(-((x - 3.0) ** 2 + (y - 2.0) ** 2) / 3) - 1)
    if sign < 0:
        values = np.minimum(values, -0.1)
    return ActivationMap(
        4, "cam", "layer4", values.astype(np.float32), Geometry(size, (224, 224), (7, 7), plan.input_to_image)
    )
