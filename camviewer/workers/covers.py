"""Four small pictures of a project for the welcome page, of the thumbnails that are kept anyway."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camviewer.project.peek import first_images
from camviewer.workers.thumbnail_cache import DiskCache

PICTURES = 4
_LOOKED_AT = 12

Cover = tuple[NDArray[np.uint8], ...]
"""RGB ``[h, w, 3]``, at most `PICTURES`."""


def read_covers(projects: Sequence[Path], cache: DiskCache, side: int) -> dict[Path, Cover]:
    """Return what is kept of each project's first images at `side` pixels; no image file is read for it."""
    covers = {}
    for project in projects:
        kept = (cache.get(image, side) for image in first_images(project, _LOOKED_AT))
        covers[project] = tuple(picture for picture in kept if picture is not None)[:PICTURES]
    return covers
