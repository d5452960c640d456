"""Values for people and programs that compute: a CSV summary, and soft masks of the maps."""

from __future__ import annotations

import csv
import io

import numpy as np
from PIL import Image

from camviewer.catalogue.parameters import Value
from camviewer.formats.names import UniqueNames, safe_part
from camviewer.formats.records import Context, Item, Loss, Writer, in_part
from camviewer.formats.strict_json import finite
from camviewer.regions.measures import mask_box

COLUMNS = [
    *("file", "part", "status", "width", "height", "predicted", "probability"),
    *("class", "area_px", "area_fraction", "x0", "y0", "x1", "y1", "score", "doubt", "method", "layer", "refine"),
    *("flags", "note"),
]


class CsvWriter(Writer):
    """Writes ``summary.csv``: a row a mask, and one for an image without regions."""

    places_images = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._append([COLUMNS])

    def add(self, item: Item) -> None:
        width, height = item.size
        name, probability = (item.top[0][1], finite(item.top[0][2])) if item.top else ("", None)
        head = [item.file, item.split, item.status, width, height, name, _blank(probability)]
        tail = [" ".join(item.flags), item.note]
        rows = []
        for mask in item.masks:
            bounds = mask_box(mask.pixels)
            if bounds is None:
                continue
            area = int(np.count_nonzero(mask.pixels))
            region = [self.context.name_of(mask.class_id), area, area / (width * height), *bounds]
            sure = [_blank(finite(mask.score)), _blank(None if mask.reviewed else finite(mask.doubt))]
            rows.append([*head, *region, *sure, mask.method, mask.layer, mask.refine, *tail])
        self._append(rows or [[*head, *[""] * 12, *tail]])

    def _append(self, rows: list[list[object]] | list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.context.output.append("summary.csv", text.getvalue().encode("utf-8", "replace"))


def _blank(value: float | None) -> object:
    return "" if value is None else value


class SoftMaskWriter(Writer):
    """Writes each map over the whole image: 16-bit PNG of the positive part, or the raw values as ``.npz``."""

    places_images = False

    def add(self, item: Item) -> None:
        names = UniqueNames()
        for found in item.maps:
            tail = names.take(safe_part(f"{found.method}_{found.layer}_{self.context.name_of(found.class_id)}"))
            path = in_part(item, f"{item.stem}_{tail.replace(' ', '_')}")
            values = found.geometry.upsample(found.values)
            buffer = io.BytesIO()
            if self.context.options.get("kind", "png") == "npz":
                np.savez_compressed(buffer, map=values)
                self.context.output.write(path + ".npz", buffer.getvalue())
                continue
            positive = np.maximum(values, 0)
            peak = float(positive.max())
            scaled = np.rint(positive * (65535 / peak)) if peak > 0 else positive
            Image.fromarray(scaled.astype(np.uint16)).save(buffer, "PNG")
            self.context.output.write(path + ".png", buffer.getvalue())

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return Loss(len(item.maps))
