"""Reader of an explain folder: `read_explain` checks ``explain.json`` and gives its rows, maps, masks and geometry."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from camviewer.errors import FormatError
from camviewer.formats.explain_json import FILE, SCHEMA, SOURCES, TopScore
from camviewer.formats.names import check_inside, check_relative
from camviewer.formats.rasters import read_mask_png
from camviewer.formats.strict_json import Fields, read_json
from camviewer.images.geometry import (
    RESIZE_MODES,
    Affine,
    CellPositions,
    FloatMap,
    Geometry,
    InputPlan,
    Size,
    plan_input,
)
from camviewer.project.records import BoolMask, Run

_LARGEST_MAP = 1 << 28
_LARGEST_SIDE = 1 << 20


@dataclass(frozen=True, slots=True)
class MapRow:
    """A map of an image; `file` is None when maps were not saved."""

    id: int
    class_index: int
    method: str
    layer: str
    file: str | None
    shape: tuple[int, int]
    to_image: Affine


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A box of an image; `map` is the id of the map it was found in."""

    map: int
    xyxy: tuple[float, float, float, float]
    class_index: int
    score: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class MaskRow:
    """A mask of an image; `reason` says why it is empty, `doubt` (0..1, None: not judged) how likely it is wrong."""

    map: int
    class_index: int
    file: str
    refine: str
    reason: str
    doubt: float | None = None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A row of ``images``; `error` is (kind, message) and excludes all but `file`.

    `source` is where the image lay when it was explained, or None when that is not known.
    """

    file: str
    size: Size = (0, 0)
    top: tuple[TopScore, ...] = ()
    maps: tuple[MapRow, ...] = ()
    boxes: tuple[BoxRow, ...] = ()
    masks: tuple[MaskRow, ...] = ()
    mask: str | None = None
    error: tuple[str, str] | None = None
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class ExplainFolder:
    """A read explain folder."""

    folder: Path
    run: Run
    images: tuple[ImageRow, ...]

    def read_map(self, row: MapRow) -> FloatMap:
        """Return a map's raw float32 values ``[rows, columns]``.

        Raises:
            FormatError: when the file is missing, too large, no float32 array or of another shape than its row says.
        """
        if row.file is None:
            raise FormatError("The maps of this result were not saved; explain again with maps.")
        path = self.folder / row.file
        try:
            if path.stat().st_size > _LARGEST_MAP:
                raise FormatError(f"{row.file} is too large to be a map.")
            with path.open("rb") as handle:
                values = np.lib.format.read_array(handle, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise FormatError(f"{row.file} cannot be read as a map.", details=repr(error)) from error
        if values.dtype != np.float32 or values.shape != row.shape:
            raise FormatError(f"{row.file} holds {values.dtype} {values.shape}, not float32 {row.shape}.")
        return values

    def read_mask(self, image: ImageRow, row: MaskRow) -> BoolMask:
        """Return a mask as bool ``[height, width]``.

        Raises:
            FormatError: when the file cannot be read or has another size than the image.
        """
        return read_mask_png(self.folder / row.file, size=image.size, name=row.file)

    def geometry(self, image: ImageRow, row: MapRow) -> Geometry:
        """Return where the map's cells lie, rebuilt from ``to_image`` and the run's preprocessing."""
        plan = _plan(image.size, self.run.preprocessing)
        cells = row.to_image.then(plan.input_to_image.inverse())
        return Geometry(
            image_size=image.size,
            input_size=plan.input_size,
            grid_size=(row.shape[1], row.shape[0]),
            input_to_image=plan.input_to_image,
            cells=CellPositions((cells.shift_x - 0.5, cells.shift_y - 0.5), (cells.scale_x, cells.scale_y)),
        )


def _plan(size: Size, preprocessing: dict[str, Any]) -> InputPlan:
    """Return how the run made its input; the image itself when the run does not say."""
    mode, side = preprocessing.get("resize_mode"), preprocessing.get("input_size")
    shorter = preprocessing.get("resize_size")
    if mode not in RESIZE_MODES or not (isinstance(side, (list, tuple)) and len(side) == 2):
        return plan_input(size, mode="native", input_size=size)
    return plan_input(
        size,
        mode=mode,
        input_size=(int(side[0]), int(side[1])),
        resize_size=int(shorter) if isinstance(shorter, (int, float)) else None,
    )


def read_explain(folder: Path) -> ExplainFolder:
    """Read and check ``explain.json`` of `folder` (or the file itself).

    Raises:
        FormatError: naming file and field, when it is missing, malformed, or of another schema.
    """
    path = folder if folder.name == FILE else folder / FILE
    top = read_json(path)
    if top.integer("schema") != SCHEMA:
        top.fail("schema", f"is {top.integer('schema')}; this version reads {SCHEMA}")
    run = _read_run(top.object("run"))
    images = [_read_image(entry) for entry in top.objects("images")]
    sources = _read_sources(path.parent, len(images))
    placed = tuple(replace(image, source=source) for image, source in zip(images, sources, strict=True))
    return ExplainFolder(path.parent, run, placed)


def _read_sources(folder: Path, count: int) -> list[Path | None]:
    """Return where each image lies; all unknown when ``sources.json`` is missing or belongs to other rows."""
    nothing: list[Path | None] = [None] * count
    if not (folder / SOURCES).is_file():
        return nothing
    try:
        listed = read_json(folder / SOURCES).data.get("sources")
    except FormatError:
        return nothing
    if not isinstance(listed, list) or len(listed) != count:
        return nothing
    return [Path(os.path.normpath(folder / text)) if isinstance(text, str) and text else None for text in listed]


def _read_run(fields: Fields) -> Run:
    for key in ("architecture", "weights", "weights_sha256", "target", "rule", "components", "normalise"):
        fields.text(key)
    for key in ("refine", "offset", "tta", "fuse", "device", "precision"):
        fields.text(key)
    for key in ("classes", "layers", "methods"):
        fields.texts(key)
    for key in ("preprocessing", "method_parameters", "refine_parameters", "versions"):
        fields.object(key)
    fields.number("threshold")
    fields.integer("seed")
    return Run.from_json(fields.data)


def _read_image(fields: Fields) -> ImageRow:
    file = check_inside(fields.text("file"), file=fields.file, field=fields.name("file"))
    if fields.has("error"):
        error = fields.object("error")
        return ImageRow(file, error=(error.text("kind"), error.text("message")))
    size = (fields.integer("width", minimum=1), fields.integer("height", minimum=1))
    if max(size) > _LARGEST_SIDE:
        fields.fail("width", "and height are too large for an image")
    maps = tuple(_read_map_row(entry) for entry in fields.objects("maps"))
    known = {row.id for row in maps}
    boxes = tuple(_read_box(entry, known) for entry in fields.objects("boxes"))
    masks = tuple(_read_mask_row(entry, known) for entry in fields.objects("masks"))
    mask = _path(fields, "mask") if fields.has("mask") else None
    if mask != (masks[0].file if masks else None):
        fields.fail("mask", "is not the file of the first mask")
    top = tuple(
        TopScore(
            entry.integer("index", minimum=0),
            entry.text("name"),
            entry.number_or_none("logit"),
            entry.number_or_none("probability"),
        )
        for entry in fields.objects("top")
    )
    return ImageRow(file, size, top, maps, boxes, masks, mask)


def _path(fields: Fields, key: str) -> str:
    return check_relative(fields.text(key), file=fields.file, field=fields.name(key))


def _read_map_row(fields: Fields) -> MapRow:
    shape = fields.numbers("shape", 2)
    if not all(side.is_integer() and 1 <= side <= _LARGEST_SIDE for side in shape):
        fields.fail("shape", "needs two whole numbers of at least 1")
    rows = fields.data.get("to_image")
    if not isinstance(rows, list) or len(rows) != 2:
        fields.fail("to_image", "needs 2 rows of 3 numbers")
    matrix = [
        list(Fields({f"to_image[{i}]": row}, file=fields.file, where=fields.where).numbers(f"to_image[{i}]", 3))
        for i, row in enumerate(rows)
    ]
    if matrix[0][1] or matrix[1][0] or not matrix[0][0] or not matrix[1][1]:
        fields.fail("to_image", "needs a scale on its diagonal and no shear")
    return MapRow(
        fields.integer("id"),
        fields.integer("class_index", minimum=0),
        fields.text("method"),
        fields.text("layer"),
        _path(fields, "file") if fields.has("file") else None,
        (int(shape[0]), int(shape[1])),
        Affine.from_matrix(matrix),
    )


def _known_map(fields: Fields, known: set[int]) -> int:
    number = fields.integer("map")
    if number not in known:
        fields.fail("map", f"names map {number}, which the image does not have")
    return number


def _read_box(fields: Fields, known: set[int]) -> BoxRow:
    x0, y0, x1, y1 = fields.numbers("xyxy", 4)
    if x1 < x0 or y1 < y0:
        fields.fail("xyxy", "needs x0 <= x1 and y0 <= y1")
    return BoxRow(
        _known_map(fields, known),
        (x0, y0, x1, y1),
        fields.integer("class_index", minimum=0),
        fields.number_or_none("score"),
        fields.number_or_none("probability"),
    )


def _read_mask_row(fields: Fields, known: set[int]) -> MaskRow:
    return MaskRow(
        _known_map(fields, known),
        fields.integer("class_index", minimum=0),
        _path(fields, "file"),
        fields.text("refine"),
        fields.text("reason", ""),
        fields.number_or_none("doubt") if fields.has("doubt") else None,
    )
