"""Writers by the names of `camviewer.catalogue.formats`."""

from __future__ import annotations

from camviewer.catalogue.formats import format_spec
from camviewer.formats.coco import CocoWriter
from camviewer.formats.masks import MaskWriter
from camviewer.formats.overlays import OverlayWriter
from camviewer.formats.records import Writer

WRITERS: dict[str, type[Writer]] = {
    "masks": MaskWriter,
    "coco": CocoWriter,
    "overlays": OverlayWriter,
}


def writer(name: str) -> type[Writer]:
    """Return the writer of a format.

    Raises:
        UsageError: when there is no such format.
    """
    return WRITERS[format_spec(name).name]
