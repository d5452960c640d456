"""What a format writes: categories and, image by image, masks, boxes and maps in upright full-image pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from camviewer.catalogue.parameters import Value
from camviewer.formats.output import Output
from camviewer.formats.pictures import ImageMode, place
from camviewer.images.geometry import FloatMap, Geometry, Size
from camviewer.project.records import BoolMask
from camviewer.regions.measures import mask_box

Edges = tuple[float, float, float, float]
Split = Literal["", "train", "val", "test"]


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the export; `id` counts from 1 (0 is background everywhere)."""

    id: int
    name: str
    colour: str = "#FF6F3C"


@dataclass(frozen=True, slots=True, eq=False)
class ItemMask:
    """A mask of one category, bool ``[height, width]``.

    `rule` says in words where its map was cut, `doubt` (0..1, None when not judged) how likely it is wrong.
    """

    class_id: int
    pixels: BoolMask
    refine: str = "none"
    reviewed: bool = False
    score: float | None = None
    method: str = ""
    layer: str = ""
    rule: str = ""
    doubt: float | None = None


@dataclass(frozen=True, slots=True)
class ItemBox:
    """A box of one category, half-open pixel edges."""

    class_id: int
    xyxy: Edges
    score: float | None = None
    probability: float | None = None
    reviewed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ItemMap:
    """A raw map of one category."""

    class_id: int
    method: str
    layer: str
    values: FloatMap
    geometry: Geometry


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One image of an export.

    Attributes:
        file: path as the project or the explain folder names it, POSIX.
        stem: safe and unique within the export, without suffix, may hold folders.
        flat: the same without folders.
        source: the image's file, or None when it is not known.
        size: upright (width, height).
        reviewed: whether a person confirmed the regions.
        status: of the project, or ``unreviewed``.
        top: best classes as (category id, name, probability), best first.
        temperature: that the probabilities of `top` are written at; None for the network's own.
    """

    file: str
    stem: str
    flat: str
    source: Path | None
    size: Size
    masks: tuple[ItemMask, ...] = ()
    boxes: tuple[ItemBox, ...] = ()
    maps: tuple[ItemMap, ...] = ()
    reviewed: bool = False
    status: str = "unreviewed"
    split: Split = ""
    group: str = ""
    note: str = ""
    flags: tuple[str, ...] = ()
    top: tuple[tuple[int, str, float | None], ...] = ()
    temperature: float | None = None


def overlap(*, pixels: int, added: int, of: int) -> float:
    """Return the IoU of masks of `of` pixels with a copy that misses ``pixels - added`` and has `added` too many."""
    return (of - (pixels - added)) / (of + added) if of + added else 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """What a format cannot hold of one image.

    Attributes:
        regions: annotations the format writes.
        pixels: pixels that a reader of the format would get wrong, `added` of them beyond the masks.
        of: pixels of the masks.
        notes: sentences for the report.
    """

    regions: int = 0
    pixels: int = 0
    of: int = 0
    notes: tuple[str, ...] = ()
    added: int = 0

    @property
    def iou(self) -> float:
        """Overlap of what a reader gets with the masks, 0..1."""
        return overlap(pixels=self.pixels, added=self.added, of=self.of)


@dataclass(frozen=True, slots=True)
class Context:
    """What every writer of an export knows.

    Attributes:
        output: takes the files.
        target: where the result's folder will lie, for relative paths to images.
        categories: by id, from 1.
        options: values of the format's parameters.
        splits: parts in use; ``("",)`` when the export is not split.
        images: what happens to image files.
        strip: remove metadata from copied images.
        reviewed: whether every image was reviewed.
        created: ISO 8601, UTC.
        total: images that will be written, about; 0 when that is not known.
        source: name of what is exported.
        runs: fields of the runs that computed it, as `Run.to_json` has them.
    """

    output: Output
    target: Path
    categories: tuple[Category, ...]
    options: dict[str, Value] = field(default_factory=dict)
    splits: tuple[Split, ...] = ("",)
    images: ImageMode = "reference"
    strip: bool = False
    reviewed: bool = True
    created: str = ""
    total: int = 0
    source: str = ""
    runs: tuple[dict[str, Any], ...] = ()

    def name_of(self, class_id: int) -> str:
        """Return a category's name."""
        return next((entry.name for entry in self.categories if entry.id == class_id), str(class_id))

    def place_image(
        self,
        item: Item,
        stem: str,
        *,
        ending: str = "",
        mode: ImageMode | None = None,
        modes: frozenset[str] | None = None,
    ) -> str:
        """Put the item's image into the result and return its path relative to the folder, POSIX.

        Args:
            stem: path without suffix.
            ending: suffix to convert to, or "" for the image's own.
            mode: instead of the context's own.
            modes: Pillow's names of the pixels that readers take, None for all.
        """
        return place(
            item.source,
            file=item.file,
            output=self.output,
            target=self.target,
            stem=stem,
            ending=ending,
            mode=mode or self.images,
            strip=self.strip,
            modes=modes,
        )


class Writer(ABC):
    """Writes one export image by image, in memory that does not grow with their number."""

    places_images: ClassVar[bool] = True
    """Whether images are copied, linked or referenced, as the context says."""
    reads_images: ClassVar[bool] = False
    """Whether images are read whatever the context says."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def needs_images(self) -> bool:
        """Whether an image whose file is gone cannot be written."""
        return self.reads_images or (self.places_images and self.context.images != "reference")

    @abstractmethod
    def add(self, item: Item) -> None:
        """Write one image.

        Raises:
            ExportError: when the disk does not take it.
            ImageError: when the image itself is needed and cannot be read.
        """

    def close(self) -> None:  # noqa: B027 - formats of one file an image have nothing to end
        """Write what belongs at the end."""

    def discard(self) -> None:  # noqa: B027
        """Release open files, whether the export ended well or not."""

    def read_back(self, item: Item) -> int | None:
        """Return how many mask pixels the format's reader gets otherwise than the item has them, after `close`.

        Images have to come in the order in which they were added. None: the format has no reader for masks.

        Raises:
            FormatError: when what was written cannot be read.
        """
        return None

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        """Return what the format loses of an image, without writing."""
        masks = [mask for mask in item.masks if mask.pixels.any()]
        return Loss(len(masks), 0, sum(int(mask.pixels.sum()) for mask in masks))


def in_part(item: Item, name: str) -> str:
    """Return `name` in the folder of the item's part, or as it is without a split."""
    return f"{item.split}/{name}" if item.split else name


def rule_words(rule: str, threshold: float) -> str:
    """Return where a `RegionRule` cuts a map, in words."""
    if rule == "otsu":
        return "Otsu"
    if rule == "percentile":
        return f"top {100 * threshold:g} % of pixels"
    return f"{threshold:g} × max"


def union(masks: tuple[ItemMask, ...], size: Size) -> BoolMask:
    """Return all masks of an image in one."""
    result = np.zeros((size[1], size[0]), dtype=np.bool_)
    for mask in masks:
        result |= mask.pixels
    return result


def differing(item: Item, found: Mapping[int, BoolMask]) -> int:
    """Return how many pixels of `found`, masks by category, are not as the item's masks have them."""
    drawn: dict[int, BoolMask] = {}
    for mask in item.masks:
        drawn[mask.class_id] = drawn[mask.class_id] | mask.pixels if mask.class_id in drawn else mask.pixels
    nothing = np.zeros((item.size[1], item.size[0]), dtype=np.bool_)
    return sum(
        int(np.count_nonzero(drawn.get(class_id, nothing) ^ found.get(class_id, nothing)))
        for class_id in drawn.keys() | found.keys()
    )


def in_frame(item: Item) -> Item:
    """Return an image whose boxes end at its frame, as trainers ask; those wholly outside are left out."""
    width, height = item.size
    boxes = []
    for box in item.boxes:
        x0, y0, x1, y1 = box.xyxy
        edges = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
        if edges[2] > edges[0] and edges[3] > edges[1]:
            boxes.append(box if edges == box.xyxy else replace(box, xyxy=edges))
    return replace(item, boxes=tuple(boxes))


def boxes_of(item: Item) -> tuple[ItemBox, ...]:
    """Return an image's boxes; classes that have a mask but no box get the mask's tight box."""
    boxed = {box.class_id for box in item.boxes}
    made = []
    for mask in item.masks:
        edges = mask_box(mask.pixels) if mask.class_id not in boxed else None
        if edges is not None:
            tight = (float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3]))
            made.append(ItemBox(mask.class_id, tight, mask.score, None, mask.reviewed))
    return (*item.boxes, *made)
