"""Is the map on the lesion or on an artefact? Where its energy lies, and what happens when the artefact is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.evaluation.localisation import energy_gain, energy_inside
from camviewer.images.geometry import FloatMap
from camviewer.regions.artefacts import SIDE, Artefacts, find_artefacts
from camviewer.regions.find import BoolMask

Pixels = NDArray[np.uint8]
Scores = Callable[[Pixels], NDArray[np.float64]]
"""An upright RGB image to one number a class: logits or probabilities."""

RING = 0.1
"""Width of the border ring, as a share of the shorter side."""
FLAGGED = 1.0
"""Energy over area share from which an artefact gets a flag: more than chance."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Energy of the map's positive part on a region, divided by the region's share of the area: 1.0 is chance.

    Attributes:
        lesion: on the mask; None where there is none, or no positive value.
        border: on the outer ring of a tenth of the shorter side.
        artefacts: on each kind that was found.
        flags: kinds of artefact that hold more than chance.
    """

    lesion: float | None
    border: float | None
    artefacts: dict[str, float]
    flags: tuple[str, ...]


def attention(values: FloatMap, lesion: BoolMask, artefacts: Artefacts) -> Attention:
    """Return where the energy of a map lies.

    Args:
        values: raw map upsampled to the image, ``[H, W]``.
        lesion: mask of the same size.
        artefacts: of the same image; what they share with the lesion counts for both.

    Raises:
        ValueError: when the shapes differ.
    """
    gains = {kind: energy_gain(values, mask) for kind, mask in artefacts.masks.items()}
    found = {str(kind): gain for kind, gain in gains.items() if not np.isnan(gain)}
    return Attention(
        _defined(energy_gain(values, lesion)),
        _defined(energy_gain(values, ring((lesion.shape[0], lesion.shape[1])))),
        found,
        tuple(kind for kind, gain in found.items() if gain > FLAGGED and kind in artefacts.flags),
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """What is said of a computed mask beside its doubt.

    Attributes:
        inside: share of the map's positive part on the mask, 0..1; None without one.
        findings: kinds of artefact that cover a noticeable share, and ``map on KIND`` where the map favours one.
    """

    inside: float | None
    findings: tuple[str, ...]


def survey(pixels: Pixels, values: FloatMap, mask: BoolMask) -> Survey:
    """Return the findings of an image, its map and its mask, all of the same size, from a copy of at most 512 pixels.

    Raises:
        ValueError: when image and map differ in size.
    """
    height, width = mask.shape
    if pixels.shape[:2] != mask.shape or values.shape != mask.shape:
        raise ValueError(f"image of {pixels.shape[:2]}, map of {values.shape}, mask of {mask.shape}")
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    energy = np.asarray(cv2.resize(np.nan_to_num(values), size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    lesion = np.asarray(cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.bool_)
    artefacts = find_artefacts(small)
    favoured = attention(energy, lesion, artefacts).flags
    return Survey(
        _defined(energy_inside(energy, lesion)) if lesion.any() else None,
        (*artefacts.flags, *(f"map on {kind}" for kind in favoured)),
    )


def ring(shape: tuple[int, int], *, share: float = RING) -> BoolMask:
    """Return the border ring of an image, bool ``[H, W]``."""
    width = max(1, round(share * min(shape)))
    mask = np.ones(shape, dtype=np.bool_)
    mask[width : shape[0] - width, width : shape[1] - width] = False
    return mask


def without(pixels: Pixels, mask: BoolMask) -> Pixels:
    """Return the image with `mask` inpainted from its surroundings (Telea 2004), on a copy of at most 512 pixels.

    Outside of the mask nothing changes.
    """
    if not mask.any():
        return pixels
    height, width = mask.shape
    scale = min(1.0, 512 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_AREA)
    hole = cv2.dilate((hole > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    radius = max(3.0, 0.01 * max(size))
    painted = cv2.resize(cv2.inpaint(small, hole, radius, cv2.INPAINT_TELEA), (width, height))
    return np.where(mask[:, :, None], painted, pixels).astype(np.uint8)


def effect(scores: Scores, pixels: Pixels, masks: Mapping[str, BoolMask], class_index: int) -> dict[str, float]:
    """Return by how much the score of a class rises when each region is inpainted away.

    Stronger than the map: a negative number means that the network used the artefact *for* this class.

    Args:
        scores: of the network.
        pixels: upright RGB image.
        masks: regions by name.
        class_index: whose score.
    """
    whole = float(scores(pixels)[class_index])
    return {name: float(scores(without(pixels, mask))[class_index]) - whole for name, mask in masks.items()}


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
