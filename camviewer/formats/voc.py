"""Pascal VOC: boxes in XML, masks in palette PNGs; writer and reader.

The devkit counts pixels from 1 and includes the last: the half-open box ``[1, 4)`` is ``2..4``. Other programs write
``x, x + width`` from 0; the option ``coordinates`` says which.
"""

from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import defusedxml.ElementTree
import numpy as np
from defusedxml import DefusedXmlException
from numpy.typing import NDArray
from PIL import Image

from camviewer.catalogue.parameters import Value
from camviewer.errors import FormatError
from camviewer.formats.indexed import found_masks, measure_overlap, numbers, raster
from camviewer.formats.names import UniqueNames, safe_part
from camviewer.formats.records import Context, Edges, Item, Loss, Writer, boxes_of, differing
from camviewer.images.geometry import Size

Coordinates = Literal["devkit", "zero"]
_LARGEST_FILE = 64 << 20
_BLANK = " \t\r\n"  # what editors put around a value; a name may begin with other white space
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def palette() -> list[int]:
    """Return VOC's 256 colours as flat RGB, made by spreading the bits of the index over the channels."""
    colours = []
    for index in range(256):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
        colours += channels
    return colours


def indexed_png(values: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit palette PNG in VOC's colours."""
    image = Image.fromarray(values).convert("P")
    image.putpalette(palette())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class VocWriter(Writer):
    """Writes the tree of the devkit."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._numbers = numbers(context.categories, title="Pascal VOC")
        names = UniqueNames()
        # One name in the XML and in labelmap.txt, whose fields colons part.
        self._names = {
            entry.id: names.take(_NOT_XML.sub("_", entry.name).replace(":", "_")) for entry in context.categories
        }
        self._lists: dict[str, list[str]] = {}

    def add(self, item: Item) -> None:
        output = self.context.output
        name = self.context.place_image(item, f"JPEGImages/{item.flat}").rsplit("/", 1)[-1]
        output.write(f"Annotations/{item.flat}.xml", self._xml(item, name))
        output.write(f"SegmentationClass/{item.flat}.png", indexed_png(raster(item, self._numbers)))
        output.write(f"SegmentationObject/{item.flat}.png", indexed_png(_objects(item)))
        self._lists.setdefault(item.split or "train", []).append(item.flat)

    def _xml(self, item: Item, name: str) -> bytes:
        root = ElementTree.Element("annotation")
        _add(root, "folder", "JPEGImages")
        _add(root, "filename", name)
        _add(ElementTree.SubElement(root, "source"), "database", "camviewer")
        size = ElementTree.SubElement(root, "size")
        for key, value in (("width", item.size[0]), ("height", item.size[1]), ("depth", 3)):
            _add(size, key, str(value))
        _add(root, "segmented", str(int(any(mask.pixels.any() for mask in item.masks))))
        shift = 1 if self.context.options.get("coordinates", "devkit") == "devkit" else 0
        for box in boxes_of(item):
            if box.class_id not in self._names:
                continue
            entry = ElementTree.SubElement(root, "object")
            fixed = (("pose", "Unspecified"), ("truncated", "0"), ("occluded", "0"), ("difficult", "0"))
            for key, text in (("name", self._names[box.class_id]), *fixed):
                _add(entry, key, text)
            bounds = ElementTree.SubElement(entry, "bndbox")
            x0, y0, x1, y1 = box.xyxy
            for key, value in (
                ("xmin", math.floor(x0) + shift),
                ("ymin", math.floor(y0) + shift),
                ("xmax", math.ceil(x1)),
                ("ymax", math.ceil(y1)),
            ):
                _add(bounds, key, str(value))
        return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))

    def close(self) -> None:
        lists = {**self._lists}
        lists["trainval"] = [*lists.get("train", []), *lists.get("val", [])]
        for part, stems in lists.items():
            data = "".join(stem + "\n" for stem in stems).encode("utf-8", "replace")
            for kind in ("Main", "Segmentation"):
                self.context.output.write(f"ImageSets/{kind}/{part}.txt", data)
        colours = palette()
        lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
        for class_id, name in self._names.items():
            at = 3 * self._numbers[class_id]
            red, green, blue = colours[at : at + 3]
            lines.append(f"{name}:{red},{green},{blue}::")
        text = "\n".join(lines) + "\n"
        self.context.output.write("labelmap.txt", text.encode("utf-8", "replace"))

    def read_back(self, item: Item) -> int:
        values = read_indexed(self.context.output.path(f"SegmentationClass/{item.flat}.png"), size=item.size)
        return differing(item, found_masks(values, self._numbers))

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        loss = measure_overlap(item)
        return Loss(len(boxes_of(item)), loss.pixels, loss.of)


def _objects(item: Item) -> NDArray[np.uint8]:
    """Return a number for each connected region, 1 to 254."""
    result = np.zeros((item.size[1], item.size[0]), dtype=np.uint8)
    number = 0
    for mask in sorted(item.masks, key=lambda entry: -int(np.count_nonzero(entry.pixels))):
        count, labels = cv2.connectedComponents(mask.pixels.astype(np.uint8), connectivity=8)
        for label in range(1, count):
            number = number % 254 + 1
            result[labels == label] = number
    return result


def _add(parent: ElementTree.Element, key: str, text: str) -> None:
    ElementTree.SubElement(parent, key).text = _NOT_XML.sub("_", text)


@dataclass(frozen=True, slots=True)
class VocBox:
    """An object of an annotation file."""

    name: str
    xyxy: Edges


@dataclass(frozen=True, slots=True)
class VocAnnotation:
    """A read annotation file; `size` is (width, height)."""

    file: str
    size: Size
    boxes: tuple[VocBox, ...]


def read_voc(path: Path, *, coordinates: Coordinates = "devkit") -> VocAnnotation:
    """Return image name, size and boxes of an annotation file.

    Raises:
        FormatError: naming file and field; also for entity declarations and external references.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FormatError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MB and is not read.")
        root = defusedxml.ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
    except OSError as error:
        raise FormatError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except DefusedXmlException as error:
        raise FormatError(f"{path.name} declares entities, which annotation files have no use for.") from error
    except (ElementTree.ParseError, ValueError, RecursionError, LookupError) as error:
        raise FormatError(f"{path.name} is not valid XML.", details=repr(error)) from error
    if root.tag != "annotation":
        raise FormatError(f"{path.name} holds <{safe_part(str(root.tag))}>, not <annotation>.")
    size = (int(_number(root, "size/width", path)), int(_number(root, "size/height", path)))
    if min(size) < 1:
        raise FormatError(f"{path.name}: size needs at least 1 x 1 pixels.")
    shift = 1 if coordinates == "devkit" else 0
    boxes = []
    for i, entry in enumerate(root.findall("object")):
        name = (entry.findtext("name") or "").strip(_BLANK)
        if not name:
            raise FormatError(f"{path.name}: object[{i}].name is missing.")
        x0, y0, x1, y1 = (
            _number(entry, f"bndbox/{key}", path, f"object[{i}].") for key in ("xmin", "ymin", "xmax", "ymax")
        )
        if x1 < x0 or y1 < y0:
            raise FormatError(f"{path.name}: object[{i}].bndbox is turned inside out.")
        boxes.append(VocBox(name, (x0 - shift, y0 - shift, x1, y1)))
    return VocAnnotation((root.findtext("filename") or "").strip(_BLANK), size, tuple(boxes))


def _number(root: ElementTree.Element, key: str, path: Path, prefix: str = "") -> float:
    text = root.findtext(key)
    field = prefix + key.replace("/", ".")
    if text is None:
        raise FormatError(f"{path.name}: {field} is missing.")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e9:
        raise FormatError(f"{path.name}: {field} needs a number.")
    return value


def read_indexed(path: Path, *, size: Size | None = None) -> NDArray[np.uint8]:
    """Return the class numbers of a palette or grey PNG, uint8 ``[height, width]``.

    Raises:
        FormatError: when it cannot be read, has colours, or another size.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in {"P", "L"}:
                raise FormatError(f"{path.name} is {image.mode}, not a picture of class numbers.")
            if size is not None and image.size != size:
                raise FormatError(f"{path.name} has another size than its image.")
            return np.array(image, dtype=np.uint8)
    except FormatError:
        raise
    except (OSError, ValueError, SyntaxError) as error:
        raise FormatError(f"{path.name} cannot be read as an image.", details=repr(error)) from error


def read_labelmap(path: Path) -> dict[int, str]:
    """Return class names by their number in the PNGs, from a ``labelmap.txt`` of ``name:r,g,b:parts:actions`` lines.

    Raises:
        FormatError: naming file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path.name} cannot be read as text.", details=repr(error)) from error
    flat = palette()
    number_of = {tuple(flat[3 * i : 3 * i + 3]): i for i in range(256)}
    names = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(":")
        colour = fields[1].split(",") if len(fields) > 1 else []
        if len(colour) != 3 or not all(part.strip().isdigit() for part in colour):
            raise FormatError(f"{path.name}: line {number} needs name:red,green,blue.")
        index = number_of.get(tuple(int(part) for part in colour))
        if index is None:
            raise FormatError(f"{path.name}: line {number} has a colour that is not in VOC's palette.")
        names[index] = fields[0].strip()
    return names
