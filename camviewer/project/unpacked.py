"""The masks of the image that is worked on: after an edit only the tiles that differ are unpacked again."""

from __future__ import annotations

import sys

import numpy as np

from camviewer.errors import ProjectError
from camviewer.project.mask_blob import Tiles, redraw, tiles
from camviewer.project.overview import packed_final_masks
from camviewer.project.records import BoolMask, Mask
from camviewer.project.store import Project

State = tuple[Tiles, BoolMask]


class UnpackedMasks:
    """Final masks of one image of one project at a time. A mask that did not change is the same object.

    Pixels that were handed out never change. Of each mask the array of the state before is kept, and brought up to
    date instead of copying 50 megabytes, as soon as nobody else holds it.
    """

    def __init__(self) -> None:
        self._image: tuple[Project, int] | None = None
        self._known: dict[int, tuple[Tiles, Mask]] = {}
        self._spare: dict[int, State] = {}

    def read(self, project: Project, image_id: int) -> list[Mask]:
        """Return what `Project.final_masks` returns.

        Raises:
            ProjectError: when the project cannot be read, or holds a damaged mask.
        """
        if self._image != (project, image_id):
            self._image, self._known, self._spare = (project, image_id), {}, {}
        known, self._known = self._known, {}
        try:
            for class_id, (slot, stored) in packed_final_masks(project, image_id).items():
                found, (width, height) = tiles(stored.blob), stored.blob.size
                before, mask = known.pop(class_id, ({}, None))
                if mask is None or mask.pixels.shape != (height, width):
                    pixels = np.zeros((height, width), dtype=np.bool_)
                    redraw(pixels, {}, found)
                elif found == before:
                    pixels = mask.pixels
                else:
                    pixels = self._brought(class_id, (before, mask.pixels), found)
                fresh = Mask(pixels, class_id, slot, stored.refine, stored.reason, stored.run)
                same = mask is not None and pixels is mask.pixels and _facts(mask) == _facts(fresh)
                self._known[class_id] = found, mask if mask is not None and same else fresh
        except (ValueError, KeyError, TypeError) as error:
            raise ProjectError(
                f"{project.path.name} holds a damaged region; the others can still be read.", details=repr(error)
            ) from error
        return [mask for _, mask in self._known.values()]

    def _brought(self, class_id: int, present: State, found: Tiles) -> BoolMask:
        """Return the pixels of the tiles `found`, made of an array that is free or of a copy of the present one."""
        spare = self._spare.pop(class_id, None)
        if spare is None or spare[1].shape != present[1].shape or _holders(spare) > _FREE:
            spare = present[0], present[1].copy()
        redraw(spare[1], spare[0], found)
        self._spare[class_id] = present
        return spare[1]


def _holders(state: State) -> int:
    return sys.getrefcount(state[1])


_FREE = _holders(({}, np.zeros((1, 1), dtype=np.bool_)))
"""What `_holders` counts where only the state itself holds the array."""


def _facts(mask: Mask) -> tuple[object, ...]:
    return mask.class_id, mask.slot, mask.refine, mask.reason, mask.run
