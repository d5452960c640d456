"""Outlines of masks for the gallery: few points, as shares of what the frame shows."""

from __future__ import annotations

import cv2
import numpy as np

from camviewer.images.geometry import Size
from camviewer.project.mask_blob import thinned
from camviewer.project.overview import packed_final_masks
from camviewer.project.records import BoolMask, ImageRecord
from camviewer.project.store import Project
from camviewer.ui.gallery.items import Outline
from camviewer.ui.gallery.pictures import THUMB, frame_of


def gallery_outline(project: Project, record: ImageRecord) -> tuple[Outline, bool, int]:
    """Return the outline of an image's largest mask, whether a person touched it, and its class."""
    if record.id is None:
        return (), False, 0
    found = packed_final_masks(project, record.id)
    if not any(stored.blob.area for _, stored in found.values()):
        return (), False, 0
    class_id, (slot, stored) = max(found.items(), key=lambda entry: entry[1][1].blob.area)
    try:
        # Of 50 megapixels, every n-th is plenty for a thumbnail; the mean over those left smooths.
        step = max(1, int(1 / _scale(stored.blob.size)) // 4)
        return outline_of(thinned(stored.blob, step), stored.blob.size), slot == "reviewed", class_id
    except ValueError:  # a damaged region; whoever opens the image is told
        return (), False, 0


def _scale(size: Size) -> float:
    """Return how much smaller than the image its outline is found; twice the frame's size is as fine as the pen."""
    return min(1.0, 2 * THUMB.width() / (frame_of(size)[2] * size[0]))


def outline_of(mask: BoolMask, image_size: Size) -> Outline:
    """Return polygons around a mask ``[h, w]`` of an image of `image_size`, as shares of the gallery's frame."""
    left, top, shown_w, shown_h = frame_of(image_size)
    scale = _scale(image_size)
    size = (max(1, round(image_size[0] * scale)), max(1, round(image_size[1] * scale)))
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
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
