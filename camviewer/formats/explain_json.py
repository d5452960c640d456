"""The explain folder: ``explain.json`` (schema 1) beside raw maps, masks and overlays; the writer.

``{"schema": 1, "run": {fields of Run}, "images": [a row an image]}``. All paths in it are relative to its folder and
POSIX. A row's ``file`` is the image's path relative to the input it came from. ``sources.json`` beside it remembers
where the images lie, relative to the folder, so that an export can find them again; it may be absent.
The reader is `camviewer.formats.explain_reader.read_explain`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import CamviewerError
from camviewer.formats import disk
from camviewer.formats.names import UniqueNames, check_inside, safe_part, safe_stem
from camviewer.formats.rasters import mask_png, png
from camviewer.formats.strict_json import encode, finite
from camviewer.images.geometry import (
    FloatMap,
    Size,
)
from camviewer.project.records import ActivationMap, BoolMask, Run

FILE = "explain.json"
SOURCES = "sources.json"
SCHEMA = 1
TOP = 5


@dataclass(frozen=True, slots=True)
class TopScore:
    """One class of an image; `logit` and `probability` are None where the network returned no finite number."""

    index: int
    name: str
    logit: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class ExplainedBox:
    """A box found in a map: half-open float pixel edges of the upright image."""

    xyxy: tuple[float, float, float, float]
    score: float | None
    probability: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedMap:
    """One map with what was found in it, as handed to `ExplainWriter.add_image`.

    Attributes:
        map: raw map.
        boxes: found in it.
        mask: bool ``[height, width]`` of the upright image, or None when no mask is wanted.
        mask_box: around the mask; None when it is empty or not wanted.
        refine: refinement that drew the mask.
        reason: why the mask is empty.
        overlay: RGB ``[height, width, 3]`` to save as PNG, or None.
        doubt: how likely the mask is wrong, 0..1, or None when not judged.
        findings: artefacts in the image, and ``map on KIND`` where the map favours one.
        three_valued: the mask for training, 0, class index + 1, or 255 (ignore), uint8 ``[height, width]``, or None.
    """

    map: ActivationMap
    boxes: tuple[ExplainedBox, ...] = ()
    mask: BoolMask | None = None
    refine: str = "none"
    reason: str = ""
    overlay: NDArray[np.uint8] | None = None
    doubt: float | None = None
    findings: tuple[str, ...] = ()
    three_valued: NDArray[np.uint8] | None = None
    mask_box: ExplainedBox | None = None


class ExplainWriter:
    """Writes an explain folder image by image, in memory that does not grow with their number.

    Everything goes to a hidden folder inside `out` until `finish` moves it into place, so an interrupted or failed
    run changes nothing that was there. Used as a context manager, leaving without `finish` (or with an exception)
    throws the unfinished part away.

    After an `ExportError` of `add_image` the rows before it are intact: `finish` keeps them, `abort` drops them.

    Args:
        out: folder of the results, made when missing.
        run: what computed them.
        save_maps: write maps as ``.npy``; rows of maps then carry ``file: null`` otherwise.
    """

    def __init__(self, out: Path, run: Run, *, save_maps: bool = True) -> None:
        self.out = out
        self._save_maps = save_maps
        self._names = UniqueNames()
        self._next_map = 1
        self._images = 0
        self._staging = disk.partial_folder(out)
        self._rows: BinaryIO | None = None
        self._sources: BinaryIO | None = None
        try:
            with disk.writing(out / FILE):
                self._rows = (self._staging / FILE).open("wb")
                self._sources = (self._staging / SOURCES).open("wb")
                head = encode({"schema": SCHEMA, "run": run.to_json()})
                self._rows.write(head[:-1] + b', "images": [')
                self._sources.write(b'{"schema": 1, "sources": [')
                self._rows.flush()
                self._sources.flush()
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def add_image(
        self,
        file: str,
        *,
        size: Size,
        top: Sequence[TopScore],
        maps: Iterable[ExplainedMap] = (),
        refused: Mapping[str, str] | None = None,
        source: Path | None = None,
    ) -> None:
        """Write one image's files and its row.

        Args:
            file: POSIX path relative to the input it came from.
            size: upright (width, height).
            top: classes, best first; the first five are kept.
            maps: in the order they were asked for; taken one by one, so they may be made on demand.
            refused: by method that was asked for and has no map, why.
            source: where the image lies.

        Raises:
            FormatError: when `file` is absolute or climbs out of its input.
            ExportError: when the disk does not take it; nothing of this image is then left.
        """
        check_inside(file, file=FILE, field="file")
        stem = self._names.take(safe_stem(file))
        written: list[Path] = []
        map_rows: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        masks: list[dict[str, Any]] = []
        used = UniqueNames()
        number = self._next_map
        try:
            for entry in maps:
                found = entry.map
                tail = used.take(
                    safe_part(f"{found.method}_{found.layer}")[:80].replace(" ", "_") + f"_c{found.class_index}"
                )
                map_file = f"maps/{stem}_{tail}.npy" if self._save_maps else None
                if map_file is not None:
                    self._write(map_file, _npy(found.values), written)
                map_row: dict[str, Any] = {
                    "id": number,
                    "class_index": found.class_index,
                    "method": found.method,
                    "layer": found.layer,
                    "file": map_file,
                    "shape": list(found.values.shape),
                    "to_image": found.geometry.to_image.matrix(),
                }
                if found.flags:
                    map_row["flags"] = list(found.flags)
                map_rows.append(map_row)
                boxes.extend(
                    {
                        "map": number,
                        "xyxy": [float(edge) for edge in box.xyxy],
                        "class_index": found.class_index,
                        "score": finite(box.score),
                        "probability": finite(box.probability),
                    }
                    for box in entry.boxes
                )
                if entry.mask is not None:
                    mask_file = f"masks/{stem}_{tail}.png"
                    self._write(mask_file, mask_png(entry.mask), written)
                    row = {
                        "map": number,
                        "class_index": found.class_index,
                        "file": mask_file,
                        "refine": entry.refine,
                    }
                    if not entry.mask.any():
                        row["reason"] = entry.reason or "no region"
                    if entry.mask_box is not None:
                        row["xyxy"] = [float(edge) for edge in entry.mask_box.xyxy]
                        row["score"] = finite(entry.mask_box.score)
                    if entry.doubt is not None:
                        row["doubt"] = finite(entry.doubt)
                    if entry.findings:
                        row["findings"] = list(entry.findings)
                    masks.append(row)
                if entry.three_valued is not None:
                    map_row["three_valued"] = f"three_valued/{stem}_{tail}.png"
                    self._write(map_row["three_valued"], png(entry.three_valued), written)
                if entry.overlay is not None:
                    self._write(f"overlays/{stem}_{tail}.png", png(entry.overlay), written)
                number += 1
            image_row: dict[str, Any] = {
                "file": file,
                "width": size[0],
                "height": size[1],
                "top": [
                    {
                        "index": score.index,
                        "name": score.name,
                        "logit": finite(score.logit),
                        "probability": finite(score.probability),
                    }
                    for score in top[:TOP]
                ],
                "maps": map_rows,
                "boxes": boxes,
                "masks": masks,
                "mask": masks[0]["file"] if masks else None,
            }
            if refused:
                image_row["refused"] = [{"method": name, "reason": reason} for name, reason in refused.items()]
            self._add_row(image_row, source)
        except BaseException:
            for path in written:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        self._next_map = number

    def add_error(self, file: str, error: CamviewerError, *, source: Path | None = None) -> None:
        """Write the row of an image that could not be explained."""
        check_inside(file, file=FILE, field="file")
        self._add_row({"file": file, "error": {"kind": error.kind, "message": error.message}}, source)

    def finish(self) -> Path:
        """Close the result, move it into place and return the path of ``explain.json``.

        Raises:
            ExportError: when the disk does not take the end; earlier results are then unchanged.
        """
        assert self._rows is not None and self._sources is not None, "finish is called once"
        target = self.out / FILE
        try:
            with disk.writing(target):
                for handle in (self._rows, self._sources):
                    handle.write(b"\n]}\n")
                    handle.flush()
                    os.fsync(handle.fileno())
                    handle.close()
                self._rows = self._sources = None
                last = [self._staging / SOURCES, self._staging / FILE]
                for folder, _, names in os.walk(self._staging):
                    for name in names:
                        path = Path(folder) / name
                        if path not in last:
                            self._move(path)
                for path in last:  # explain.json comes last: it names only files that are there
                    self._move(path)
        finally:
            self.abort()
        return target

    def abort(self) -> None:
        """Throw the unfinished part away; does nothing after `finish`."""
        for handle in (self._rows, self._sources):
            if handle is not None:
                with contextlib.suppress(OSError):
                    handle.close()
        self._rows = self._sources = None
        disk.remove(self._staging)

    def _move(self, path: Path) -> None:
        target = self.out / path.relative_to(self._staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)

    def _write(self, name: str, data: bytes, written: list[Path]) -> None:
        path = self._staging / name
        written.append(path)
        with disk.writing(self.out / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _add_row(self, row: dict[str, Any], source: Path | None) -> None:
        assert self._rows is not None and self._sources is not None, "the writer is closed"
        separator = b",\n" if self._images else b"\n"
        known = None if source is None else _relative_to(source, self.out)
        lengths = (self._rows.tell(), self._sources.tell())
        try:
            with disk.writing(self.out / FILE):
                self._rows.write(separator + encode(row))
                self._rows.flush()
                self._sources.write(separator + encode(known))
                self._sources.flush()
        except BaseException:
            self._rows = self._cut(self._rows, self._staging / FILE, lengths[0])
            self._sources = self._cut(self._sources, self._staging / SOURCES, lengths[1])
            raise
        self._images += 1

    @staticmethod
    def _cut(handle: BinaryIO, path: Path, length: int) -> BinaryIO:
        """Return `path` opened anew behind its first `length` bytes, so that a half-written row is gone."""
        with contextlib.suppress(OSError):  # the buffer still holds what the disk refused
            handle.close()
        fresh = path.open("r+b")
        fresh.truncate(length)
        fresh.seek(length)
        return fresh


def _relative_to(source: Path, folder: Path) -> str:
    """Return `source` relative to `folder`, or absolute on another drive."""
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:
        return source.absolute().as_posix()


def _npy(values: FloatMap) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values, dtype=np.float32), allow_pickle=False)
    return buffer.getvalue()
