"""True regions for a measurement: mask files found by an image's name, or a COCO file with masks and boxes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from camviewer.errors import FormatError, UsageError
from camviewer.formats.coco import CocoImage, read_coco
from camviewer.images.geometry import Size
from camviewer.regions.find import BoolMask
from camviewer.regions.measures import mask_box

Box = tuple[float, float, float, float]

_SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".webp"})
_ENDING = re.compile(r"[_-](segmentation|mask|masks|seg|gt|groundtruth|label|labels)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is true of one image.

    Attributes:
        mask: bool ``[H, W]`` of the upright image, or None where only boxes are known.
        boxes: half-open pixel edges; of a mask without boxes its components' common box.
    """

    mask: BoolMask | None
    boxes: tuple[Box, ...]


class TruthFolder:
    """Truth of images by name: a folder of mask files (with all below it), or a COCO JSON file or a folder with one.

    A mask of ``a.jpg`` is called ``a.png``, ``a_segmentation.png``, ``a_mask.tif`` and so on, in any case. Of several
    such files the one whose folders agree best with the image's counts, and a marked name before a bare one.

    Raises:
        UsageError: when there is nothing that could be truth.
        FormatError: when a COCO file is malformed.
    """

    def __init__(self, path: Path) -> None:
        self._marked: dict[str, list[Path]] = {}
        self._bare: dict[str, list[Path]] = {}
        self._coco: dict[str, list[CocoImage]] = {}
        if path.is_file():
            self._read_coco(path)
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."):
                    stem = file.stem.casefold()
                    bare = _ENDING.sub("", stem)
                    found = self._bare if bare == stem else self._marked
                    found.setdefault(bare, []).append(file)
            if not self._marked and not self._bare:
                for file in sorted(path.glob("*.json")):
                    self._read_coco(file)
        else:
            raise UsageError(f"{path} is not there. Check the path.")
        if not (self._marked or self._bare or self._coco):
            raise UsageError(f"There are no masks in {path}. Name a folder of mask files, or a COCO file.")

    def find(self, file: str, size: Size, *, source: Path | None = None) -> Truth | None:
        """Return what is true of an image, or None where nothing is known.

        Args:
            file: its POSIX path as in ``explain.json``.
            size: upright (width, height).
            source: where the image itself lies; that file is no truth.

        Raises:
            FormatError: when its mask cannot be read or has another size.
        """
        name = PurePosixPath(file)
        images = self._coco.get(name.stem.casefold())
        if images:
            return _of_coco(max(images, key=lambda image: _shared(name, PurePosixPath(image.file))), size)
        stem = name.stem.casefold()
        for found, marked in ((self._marked, True), (self._bare, False)):
            candidates = [path for path in found.get(stem, ()) if source is None or not _same(path, source)]
            candidates.sort(key=lambda path: -_shared(name, PurePosixPath(path.as_posix())))
            for path in candidates:
                mask = read_truth(path, size, strict=marked)
                if mask is not None:
                    box = mask_box(mask)
                    return Truth(mask, () if box is None else (box,))
        return None

    def _read_coco(self, path: Path) -> None:
        for image in read_coco(path)[1]:
            self._coco.setdefault(PurePosixPath(image.file).stem.casefold(), []).append(image)


def read_truth(path: Path, size: Size, *, strict: bool = True) -> BoolMask | None:
    """Return a mask file as bool ``[H, W]``: above half of its greatest value is inside.

    So files of 0 and 1, of 0 and 255 and compressed ones are all read. A file in colour is a photograph.

    Args:
        path: of the file.
        size: (width, height) it has to have.
        strict: whether a photograph is an error instead of None.

    Raises:
        FormatError: when it cannot be read or has another size.
    """
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("RGB") if image.mode in {"P", "PA", "LA", "RGBA"} else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"{path.name} cannot be read as a mask.", details=repr(error)) from error
    if values.ndim == 3:
        spread = values.max(axis=2).astype(np.int16) - values.min(axis=2)
        if spread.mean() > 2:
            if strict:
                raise FormatError(f"{path.name} is a picture in colour, not a mask.")
            return None
        values = values[..., 0]
    if values.shape != (size[1], size[0]):
        if not strict:
            return None
        raise FormatError(
            f"{path.name} is {values.shape[1]} x {values.shape[0]} pixels, its image {size[0]} x {size[1]}."
        )
    inside: BoolMask = values > float(values.max()) / 2
    return inside


def _of_coco(image: CocoImage, size: Size) -> Truth:
    if image.size != size:
        raise FormatError(f"{image.file} is {image.size[0]} x {image.size[1]} in the truth, not {size[0]} x {size[1]}.")
    mask: BoolMask | None = None
    for entry in image.masks:
        mask = entry.pixels if mask is None else mask | entry.pixels
    boxes = tuple(box.xyxy for box in image.boxes)
    return Truth(mask, boxes)


def _shared(first: PurePosixPath, second: PurePosixPath) -> int:
    """Return how many folders agree, from the file upwards."""
    count = 0
    for a, b in zip(reversed(first.parts[:-1]), reversed(second.parts[:-1]), strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


def _same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False
