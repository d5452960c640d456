"""Binary shapes: discs, filling, growing, components, sizes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.regions.find import BoolMask

Labels = NDArray[np.int32]


def disc(radius: int) -> NDArray[np.uint8]:
    """Return the kernel of a disc, ``[2 r + 1, 2 r + 1]``."""
    shape = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, shape), dtype=np.uint8)


def grown(mask: BoolMask, radius: int) -> BoolMask:
    """Return the mask widened by `radius` pixels."""
    return np.asarray(cv2.dilate(mask.view(np.uint8), disc(radius)), dtype=np.bool_) if radius > 0 else mask


def shrunk(mask: BoolMask, radius: int) -> BoolMask:
    """Return the mask narrowed by `radius` pixels; the image's border does not eat into it."""
    return np.asarray(cv2.erode(mask.view(np.uint8), disc(radius)), dtype=np.bool_) if radius > 0 else mask


def opened(mask: BoolMask, radius: int) -> BoolMask:
    """Return the mask without what a disc does not fit into."""
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disc(radius)), dtype=np.bool_)


def closed(mask: BoolMask, radius: int) -> BoolMask:
    """Return the mask with gaps closed that a disc does not fit into."""
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, disc(radius)), dtype=np.bool_)


def components(mask: BoolMask) -> tuple[int, Labels, NDArray[np.int32]]:
    """Return how many 8-connected components there are, their labels from 1, and OpenCV's table with the background."""
    count, labels, table, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return count - 1, np.asarray(labels, dtype=np.int32), np.asarray(table, dtype=np.int32)


def largest(mask: BoolMask) -> BoolMask:
    """Return the component of most pixels; an empty mask stays empty."""
    count, labels, table = components(mask)
    if count < 2:
        return mask
    return np.asarray(labels == int(np.argmax(table[1:, cv2.CC_STAT_AREA])) + 1, dtype=np.bool_)


def filled(mask: BoolMask) -> BoolMask:
    """Return the mask without holes: everything that the outside does not reach."""
    outside = cv2.copyMakeBorder((~mask).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0], dtype=np.bool_)


def enlarged(mask: BoolMask, shape: tuple[int, int]) -> BoolMask:
    """Return the mask at another size ``(H, W)``, its outline interpolated instead of stepped."""
    if mask.shape == shape:
        return mask
    size = (shape[1], shape[0])
    soft = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft >= 0.5, dtype=np.bool_)


def frame(shape: tuple[int, int]) -> BoolMask:
    """Return the outermost pixels of an image."""
    mask = np.ones(shape, dtype=np.bool_)
    mask[1:-1, 1:-1] = False
    return mask
