"""Rows of a project file as records, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from camviewer.images.geometry import Affine, CellPositions, Geometry
from camviewer.project.mask_blob import MaskBlob, unpack
from camviewer.project.records import ActivationMap, Box, ImageRecord, Mask, Slot

IMAGE_COLUMNS = (
    "id, path, width, height, file_size, sha256, status, flags, note, top, error, reviewer, reviewed_at, changed_at, "
    "doubt, findings"
)
BOX_COLUMNS = "id, run_id, class_id, origin, x0, y0, x1, y1, score, probability"
MASK_COLUMNS = "class_id, slot, run_id, width, height, x0, y0, x1, y1, area, refine, reason, data"
MAP_COLUMNS = (
    "id, run_id, class_index, method, layer, row_count, column_count, data, geometry, seconds, precision, flags"
)


@dataclass(frozen=True, slots=True)
class StoredMask:
    """A mask as it lies in the file, without class and slot: packed pixels and where they come from."""

    blob: MaskBlob
    refine: str = "none"
    reason: str = ""
    run: int | None = None


def path_bytes(path: PurePosixPath) -> bytes:
    """Return a path for ``CAST(? AS TEXT)``: names that are not UTF-8 keep their bytes."""
    return path.as_posix().encode("utf-8", "surrogateescape")


def plain(text: str) -> str:
    """Return a sentence with what is not Unicode replaced."""
    return text.encode("utf-8", "replace").decode()


def read_image(row: Sequence[Any]) -> ImageRecord:
    """Return the image of a row of `IMAGE_COLUMNS`."""
    return ImageRecord(
        path=PurePosixPath(row[1]),
        size=(row[2], row[3]),
        file_size=row[4],
        sha256=row[5],
        status=row[6],
        flags=read_flags(row[7]),
        note=row[8],
        top=tuple((int(index), float(logit), float(p)) for index, logit, p in json.loads(row[9])),
        error=row[10],
        id=row[0],
        reviewer=row[11],
        reviewed_at=row[12],
        changed_at=row[13],
        doubt=row[14],
        findings=read_flags(row[15]),
    )


def read_map(row: Sequence[Any]) -> ActivationMap:
    """Return the map of a row of `MAP_COLUMNS`."""
    values = np.frombuffer(row[7], "<f4").reshape(row[5], row[6]).astype(np.float32)
    return ActivationMap(
        class_index=row[2],
        method=row[3],
        layer=row[4],
        values=values,
        geometry=geometry_from_json(json.loads(row[8])),
        seconds=row[9],
        precision=row[10],
        flags=tuple(json.loads(row[11])),
        run=row[1],
        id=row[0],
    )


def box_values(box: Box) -> tuple[Any, ...]:
    """Return a box as the columns after `id`."""
    edges = (float(box.x0), float(box.y0), float(box.x1), float(box.y1))
    return (box.run, box.class_id, box.origin, *edges, box.score, box.probability)


def read_box(row: Sequence[Any]) -> Box:
    """Return the box of a row of `BOX_COLUMNS`."""
    x0, y0, x1, y1 = row[4:8]
    return Box(x0, y0, x1, y1, class_id=row[2], origin=row[3], score=row[8], probability=row[9], id=row[0], run=row[1])


def read_mask(row: Sequence[Any]) -> Mask:
    """Return the mask of a row of `MASK_COLUMNS`."""
    stored = read_stored_mask(row)
    return Mask(unpack(stored.blob), row[0], row[1], stored.refine, stored.reason, stored.run)


def read_stored_mask(row: Sequence[Any]) -> StoredMask:
    """Return the mask of a row of `MASK_COLUMNS`, still packed."""
    blob = MaskBlob((row[3], row[4]), (row[5], row[6], row[7], row[8]), row[9], row[12])
    return StoredMask(blob, refine=row[10], reason=row[11], run=row[2])


def mask_values(class_id: int, slot: Slot, mask: StoredMask) -> tuple[Any, ...]:
    """Return a mask as `MASK_COLUMNS`."""
    blob = mask.blob
    return (class_id, slot, mask.run, *blob.size, *blob.bounds, blob.area, mask.refine, mask.reason, blob.data)


def flags_text(flags: Iterable[str]) -> str:
    """Return flags as they are kept: each once, in order of their names."""
    return json.dumps(sorted(set(flags)))


def read_flags(text: str) -> tuple[str, ...]:
    """Return kept flags."""
    return tuple(json.loads(text))


def geometry_to_json(geometry: Geometry) -> dict[str, Any]:
    """Return a geometry as JSON values."""
    affine, cells = geometry.input_to_image, geometry.cells
    return {
        "image_size": geometry.image_size,
        "input_size": geometry.input_size,
        "grid_size": geometry.grid_size,
        "input_to_image": [affine.scale_x, affine.scale_y, affine.shift_x, affine.shift_y],
        "cells": None if cells is None else [*cells.start, *cells.step],
    }


def geometry_from_json(data: dict[str, Any]) -> Geometry:
    """Return the geometry of `geometry_to_json`."""
    cells = data["cells"]
    return Geometry(
        image_size=tuple(data["image_size"]),
        input_size=tuple(data["input_size"]),
        grid_size=tuple(data["grid_size"]),
        input_to_image=Affine(*data["input_to_image"]),
        cells=None if cells is None else CellPositions((cells[0], cells[1]), (cells[2], cells[3])),
    )
