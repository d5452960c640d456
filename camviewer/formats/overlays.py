"""Pictures for people: the image, its heat map, the outlines of its regions and its boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.formats.pictures import missing
from camviewer.formats.rasters import png
from camviewer.formats.records import Item, Writer, in_part
from camviewer.images.colormaps import colourise
from camviewer.images.decode import read_image


class OverlayWriter(Writer):
    """Writes ``NAME_overlay.png``."""

    places_images = False
    reads_images = True

    def add(self, item: Item) -> None:
        if item.source is None:
            raise missing(item.file)
        pixels = self._draw(item, read_image(item.source))
        self.context.output.write(in_part(item, f"{item.stem}_overlay.png"), png(pixels))

    def _draw(self, item: Item, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        options = self.context.options
        if options["heat"] and item.maps:
            values = np.maximum(item.maps[0].geometry.upsample(item.maps[0].values), 0)
            heat = colourise(values, 0.0, float(values.max()), str(options["colours"]))
            opacity = float(options["opacity"])
            pixels = cv2.addWeighted(heat, opacity, pixels, 1 - opacity, 0.0).astype(np.uint8)
        pixels = np.ascontiguousarray(pixels)
        width = int(options["width"])
        colours = {entry.id: _rgb(entry.colour) for entry in self.context.categories}
        for mask in item.masks:
            # A dark line under the coloured one keeps it visible on any ground.
            found, _ = cv2.findContours(mask.pixels.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(pixels, found, -1, (0, 0, 0), width + 2)
            cv2.drawContours(pixels, found, -1, colours.get(mask.class_id, (255, 255, 255)), width)
        for box in item.boxes:
            corners = [round(edge) for edge in box.xyxy]
            first, second = (corners[0], corners[1]), (max(corners[2] - 1, 0), max(corners[3] - 1, 0))
            cv2.rectangle(pixels, first, second, (0, 0, 0), width + 2)
            cv2.rectangle(pixels, first, second, colours.get(box.class_id, (255, 255, 255)), width)
        return pixels


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
