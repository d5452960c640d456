"""Annotation servers: CVAT for images 1.1 (XML) and Label Studio (predictions in JSON)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from camviewer import __version__
from camviewer.formats.records import Context, Item, Writer
from camviewer.formats.strict_json import encode, finite
from camviewer.project.records import BoolMask
from camviewer.regions.measures import mask_box

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def run_lengths(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return lengths and values of the runs of a flat array."""
    if not values.size:
        return np.zeros(0, np.int64), values
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return np.diff(np.append(starts, values.size)).astype(np.int64), values[starts]


def box_rle(mask: BoolMask) -> list[int]:
    """Return a cropped mask as CVAT writes it: row by row, lengths of 0, 1, 0, ..., the first may be 0."""
    lengths, values = run_lengths(mask.ravel())
    return [*([0] if values.size and values[0] else []), *(int(length) for length in lengths)]


def _attribute(text: object) -> str:
    return quoteattr(_NOT_XML.sub("_", str(text)))


class CvatWriter(Writer):
    """Writes ``annotations.xml``; masks are exact."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0
        labels = "".join(
            f"<label><name>{_attribute(entry.name)[1:-1]}</name><color>{entry.colour.lower()}</color></label>"
            for entry in context.categories
        )
        # Parts of a data set are subsets of a project's tasks; readers pass over images of a subset that is not named.
        parts = "".join(f"<task><subset>{part}</subset></task>" for part in context.splits if part)
        whole = f"<project><tasks>{parts}</tasks>" if parts else "<task>"
        self._append(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
            f"<meta>{whole}<labels>{labels}</labels>{'</project>' if parts else '</task>'}</meta>\n"
        )

    def add(self, item: Item) -> None:
        name = self.context.place_image(item, f"images/{item.stem}")
        name = item.file if self.context.images == "reference" else name.removeprefix("images/")
        width, height = item.size
        part = f" subset={_attribute(item.split)}" if item.split else ""
        lines = [f'<image id="{self._next}" name={_attribute(name)}{part} width="{width}" height="{height}">']
        fixed = 'source="auto" occluded="0" z_order="0"'
        for box in item.boxes:
            x0, y0, x1, y1 = box.xyxy
            label = _attribute(self.context.name_of(box.class_id))
            lines.append(
                f'<box label={label} {fixed} xtl="{x0:.2f}" ytl="{y0:.2f}" xbr="{x1:.2f}" ybr="{y1:.2f}"></box>'
            )
        for mask in item.masks:
            bounds = mask_box(mask.pixels)
            if bounds is None:
                continue
            x0i, y0i, x1i, y1i = bounds
            runs = ", ".join(map(str, box_rle(mask.pixels[y0i:y1i, x0i:x1i])))
            label = _attribute(self.context.name_of(mask.class_id))
            lines.append(
                f'<mask label={label} {fixed} rle="{runs}" left="{x0i}" top="{y0i}" '
                f'width="{x1i - x0i}" height="{y1i - y0i}"></mask>'
            )
        self._append("\n".join([*lines, "</image>\n"]))
        self._next += 1

    def close(self) -> None:
        self._append("</annotations>\n")

    def _append(self, text: str) -> None:
        self.context.output.append("annotations.xml", text.encode("utf-8", "replace"))


class LabelStudioWriter(Writer):
    """Writes ``tasks.json`` with predictions: rectangles in percent, brush masks in the server's own run lengths.

    ``labels.xml`` is the labelling setup they fit into.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._first = True
        self._append(b"[")

    def add(self, item: Item) -> None:
        name = self.context.place_image(item, f"images/{item.stem}")
        results = list(self._results(item))
        scores = [score for score in (finite(mask.score) for mask in item.masks) if score is not None]
        task = {
            "data": {"image": name if self.context.images != "reference" else item.file, "part": item.split},
            "predictions": [
                {
                    "model_version": f"camviewer {__version__}",
                    "score": scores[0] if scores else 0.0,
                    "result": results,
                }
            ],
        }
        self._append((b"\n" if self._first else b",\n") + encode(task))
        self._first = False

    def _results(self, item: Item) -> Iterator[dict[str, Any]]:
        width, height = item.size
        common = {
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
        }
        for i, box in enumerate(item.boxes):
            x0, y0, x1, y1 = box.xyxy
            value = {
                "x": 100 * x0 / width,
                "y": 100 * y0 / height,
                "width": 100 * (x1 - x0) / width,
                "height": 100 * (y1 - y0) / height,
                "rotation": 0,
                "rectanglelabels": [self.context.name_of(box.class_id)],
            }
            yield {"id": f"box{i}", "type": "rectanglelabels", "from_name": "box", "value": value, **common}
        for i, mask in enumerate(item.masks):
            if not mask.pixels.any():
                continue
            value = {
                "format": "rle",
                "rle": brush_rle(mask.pixels),
                "brushlabels": [self.context.name_of(mask.class_id)],
            }
            yield {"id": f"mask{i}", "type": "brushlabels", "from_name": "mask", "value": value, **common}

    def close(self) -> None:
        self._append(b"\n]\n")
        labels = "".join(
            f"<Label value={_attribute(entry.name)} background={_attribute(entry.colour)}/>"
            for entry in self.context.categories
        )
        setup = (
            '<View>\n<Image name="image" value="$image"/>\n'
            f'<RectangleLabels name="box" toName="image">{labels}</RectangleLabels>\n'
            f'<BrushLabels name="mask" toName="image">{labels}</BrushLabels>\n</View>\n'
        )
        self.context.output.write("labels.xml", setup.encode("utf-8", "replace"))

    def _append(self, data: bytes) -> None:
        self.context.output.append("tasks.json", data)


_SIZES = (3, 4, 8, 16)


def brush_rle(mask: BoolMask) -> list[int]:
    """Return a mask as Label Studio's brush: bytes of a bit stream over its RGBA pixels, 0 or 255 each.

    The stream holds the number of values (32 bits), the bits a value less 1 (5), four length sizes less 1 (4 each),
    then for each run a 1, the index of its length size (2), its length less 1, and its value (8).
    """
    lengths, values = run_lengths(mask.ravel())
    bits = [f"{mask.size * 4:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for length, inside in zip(lengths * 4, values, strict=True):
        left = int(length)
        while left:
            size = next((i for i, bits_ in enumerate(_SIZES) if left <= 1 << bits_), 3)
            run = min(left, 1 << _SIZES[size])
            bits.append(f"1{size:02b}{run - 1:0{_SIZES[size]}b}{255 if inside else 0:08b}")
            left -= run
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return [int(byte) for byte in int(stream, 2).to_bytes(len(stream) // 8, "big")]
