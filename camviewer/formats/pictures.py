"""Image files of an export: referenced, linked or copied, upright, with or without their metadata."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Literal

from PIL import Image

from camviewer.errors import ImageError
from camviewer.formats.output import Output
from camviewer.images.decode import open_image, read_image

ImageMode = Literal["reference", "copy", "link"]
IMAGE_MODES: tuple[ImageMode, ...] = ("reference", "copy", "link")

_SEEN_BY_TRAINERS = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
# JFIF header, colour profile and Adobe's colour transform change how pixels look; all else is about the picture.
_KEPT_SEGMENTS = {0xE0, 0xE2, 0xEE}
# Tags of TIFF that tell of place, device, time or person: description, maker, model, software, date, artist, host, XMP,
# IPTC, Photoshop, copyright, Exif, GPS.
_TELLING = {270, 271, 272, 305, 306, 315, 316, 700, 33723, 34377, 33432, 34665, 34853}


def place(
    source: Path | None,
    *,
    file: str,
    output: Output,
    target: Path,
    stem: str,
    ending: str,
    mode: ImageMode,
    strip: bool,
    modes: frozenset[str] | None = None,
) -> str:
    """Put an image into the result and return its path relative to the result's folder, POSIX.

    A file whose pixels are stored turned is always written anew, upright and without the tag, because readers
    disagree on it; so is a file that has to change its format, as GIF, which trainers do not read, and every DICOM
    file, whose tags name the patient.

    Args:
        source: the image, or None when it is not known.
        file: its name in the project.
        target: where the folder will lie at the end.
        stem: path below it without suffix.
        ending: suffix to convert to, or "" to keep the image's own.
        mode: ``reference`` writes nothing and returns the way to `source`.
        strip: remove metadata.
        modes: Pillow's names of the pixels that the format's readers take; others are written anew as RGB of 8 bits.

    Raises:
        ExportError: when the disk does not take it.
        ImageError: when it is needed but not known, or cannot be read.
    """
    if mode == "reference":
        return file if source is None else _way(source, target)
    if source is None:
        raise missing(file)
    with open_image(source) as opened:
        upright, kind = opened.orientation == 1, opened.format
        pixels = "deep" if opened.image is None or opened.deep_colour else opened.image.mode
    suffix = source.suffix.lower()
    # A DICOM file names the patient, and trainers pass over files with other endings without a word.
    if kind == "DICOM" or suffix not in _SEEN_BY_TRAINERS:
        ending = ending or ".png"
    if modes is not None and pixels not in modes:
        upright = False
    if ending and ending != suffix:
        suffix, upright = ending, False
    path = stem + suffix
    if upright and not (strip and _has_metadata(source)):
        (output.link if mode == "link" else output.copy)(path, source)
    elif upright and kind == "JPEG" and suffix in _JPEG:
        output.write(path, _without_metadata(source.read_bytes()), kind="images")
    else:
        path = stem + (suffix if suffix in _JPEG else ".png")
        output.write(path, _encode(source, jpeg=suffix in _JPEG), kind="images")
    return path


def is_turned(source: Path) -> bool:
    """Return whether a file's pixels are stored turned, which readers of annotations disagree about.

    Raises:
        ImageError: when it cannot be read.
    """
    with open_image(source) as opened:
        return opened.orientation != 1


def missing(file: str) -> ImageError:
    """Return the error of an image that an export needs and cannot find."""
    return ImageError(f"{file} is not where it was. Choose the folder of the images.")


def _way(source: Path, target: Path) -> str:
    with contextlib.suppress(ValueError):
        return Path(os.path.relpath(source, target)).as_posix()
    return source.absolute().as_posix()  # another drive


def _has_metadata(source: Path) -> bool:
    """Return whether a file says more than its pixels need: camera, place, time, texts."""
    with open_image(source) as opened:
        image = opened.image
        if image is None:  # a deep colour TIFF that Pillow does not open: its tags are not known
            return True
        if image.format == "JPEG":  # its segments are dropped without a look
            return True
        told = set(image.info) & {"comment", "exif", "photoshop", "xmp"}
        texts = {key for key, value in image.info.items() if isinstance(value, str)} - {"compression", "mode"}
        return bool(told or texts or set(image.getexif()) & _TELLING)


def _encode(source: Path, *, jpeg: bool) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(read_image(source))
    if jpeg:
        image.save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _without_metadata(data: bytes) -> bytes:
    """Return JPEG bytes without comments and application segments that do not change the pixels."""
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xDA:  # the compressed pixels run to the end
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        application = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not application or (marker in _KEPT_SEGMENTS and _changes_pixels(marker, data[at + 4 : at + 16])):
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    return b"".join(kept) + data[at:]


def _changes_pixels(marker: int, head: bytes) -> bool:
    return marker != 0xE2 or head.startswith(b"ICC_PROFILE")
