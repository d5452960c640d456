"""The masks of the image that is worked on: after an edit only the tiles that differ are unpacked again."""

from __future__ import annotations

from camviewer.errors import ProjectError
from camviewer.project.mask_blob import Tiles, redrawn, tiles, unpack
from camviewer.project.overview import packed_final_masks
from camviewer.project.records import Mask
from camviewer.project.store import Project


class UnpackedMasks:
    """Final masks of one image of one project at a time. A mask that did not change is the same object."""

    def __init__(self) -> None:
        self._image: tuple[Project, int] | None = None
        self._known: dict[int, tuple[Tiles, Mask]] = {}

    def read(self, project: Project, image_id: int) -> list[Mask]:
        """Return what `Project.final_masks` returns.

        Raises:
            ProjectError: when the project cannot be read, or holds a damaged mask.
        """
        if self._image != (project, image_id):
            self._image, self._known = (project, image_id), {}
        known, self._known = self._known, {}
        try:
            for class_id, (slot, stored) in packed_final_masks(project, image_id).items():
                found, before = tiles(stored.blob), known.get(class_id)
                width, height = stored.blob.size
                if before is None or before[1].pixels.shape != (height, width):
                    pixels = unpack(stored.blob)
                else:
                    pixels = redrawn(before[1].pixels, before[0], found)
                mask = Mask(pixels, class_id, slot, stored.refine, stored.reason, stored.run)
                same = before is not None and pixels is before[1].pixels and _facts(before[1]) == _facts(mask)
                self._known[class_id] = found, before[1] if before is not None and same else mask
        except (ValueError, KeyError, TypeError) as error:
            raise ProjectError(
                f"{project.path.name} holds a damaged region; the others can still be read.", details=repr(error)
            ) from error
        return [mask for _, mask in self._known.values()]


def _facts(mask: Mask) -> tuple[object, ...]:
    return mask.class_id, mask.slot, mask.refine, mask.reason, mask.run
