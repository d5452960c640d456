"""Outlines of masks for the gallery: few points, as shares of what the frame shows."""

from __future__ import annotations

import cv2
import numpy as np

from camviewer.errors import ProjectError
from camviewer.project.records import BoolMask, ImageRecord
from camviewer.project.store import Project
from camviewer.ui.gallery.items import Outline
from camviewer.ui.gallery.pictures import THUMB, frame_of


def gallery_outline(project: Project, record: ImageRecord) -> tuple[Outline, bool, int]:
    """Return the outline of an image's largest mask, whether a person touched it, and its class."""
    if record.id is None:
        return (), False, 0
    try:
        masks = [mask for mask in project.final_masks(record.id) if mask.pixels.any()]
    except ProjectError:
        return (), False, 0
    if not masks:
        return (), False, 0
    best = max(masks, key=lambda mask: int(mask.pixels.sum()))
    return outline_of(best.pixels), best.slot == "reviewed", best.class_id


def outline_of(mask: BoolMask) -> Outline:
    """Return polygons around a mask ``[H, W]``, as shares of the gallery's frame."""
    height, width = mask.shape
    left, top, shown_w, shown_h = frame_of((width, height))
    # Twice the frame's size is as fine as the pen.
    scale = min(1.0, 2 * THUMB.width() / (shown_w * width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Of 50 megapixels, every n-th is plenty for a thumbnail; the mean over those left smooths.
    step = max(1, int(1 / scale) // 4)
    small = cv2.resize(
        mask[::step, ::step].astype(np.uint8), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    )
    contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1)
    polygons = []
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:6]:
        points = contour.reshape(-1, 2).astype(float) + 0.5
        if len(points) < 3:
            continue
        x = (points[:, 0] / size[0] - left) / shown_w
        y = (points[:, 1] / size[1] - top) / shown_h
        polygons.append(tuple(zip(x.tolist(), y.tolist(), strict=True)))
    return tuple(polygons)
