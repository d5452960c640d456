"""Image files become upright 8-bit RGB pixels.

Pillow decodes; OpenCV takes the deep colour files whose samples Pillow squeezes to their high byte. Whatever a file
holds, a caller meets either pixels or one `ImageError` whose sentence names the file.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, _imaging

from camviewer.errors import CamviewerError, ImageError
from camviewer.images.depth import over_white, to_bytes
from camviewer.images.dicom import is_dicom, read_dicom, read_dicom_header
from camviewer.images.geometry import Size

Pixels = NDArray[np.uint8]
"""Upright RGB ``[height, width, 3]``."""

MAX_PIXELS = 200_000_000

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded. Pillow knows more, but some of those start other programs (EPS) or are no pictures."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF")
_TIFF_SIGNATURES = _SIGNATURES[4:8]
_ORIENTATION = 0x0112
_BAND = 256  # rows

# Tags of TIFF.
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _EXTRA_SAMPLES = 256, 257, 258, 262, 338
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2

# The cap above replaces Pillow's, which is lower and partly a warning.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file is said once, by the error; decoders that also write to the terminal are told not to.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
with contextlib.suppress(OSError, AttributeError):  # libtiff is linked into Pillow on some platforms
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says before it is decoded.

    Attributes:
        size: upright (width, height).
        format: Pillow's name of the format, for example ``JPEG``.
        file_size: bytes.
    """

    size: Size
    format: str
    file_size: int


def read_header(path: Path) -> ImageHeader:
    """Return size and format of an image file without decoding it.

    Raises:
        ImageError: when the file is absent, empty, no image, or larger than `MAX_PIXELS`.
    """
    with open_image(path) as source:
        return ImageHeader(source.size, source.format, source.file_size)


def read_image(path: Path) -> Pixels:
    """Return the upright RGB pixels of an image file, uint8 ``[height, width, 3]``.

    EXIF orientation is applied once, 16-bit samples are divided by 257, transparency lies over white, of several
    frames or pages the first is taken. No colour profile is applied. DICOM is read with the extra ``dicom``.

    Raises:
        ImageError: when the file cannot be read or is larger than `MAX_PIXELS`.
    """
    with open_image(path) as source:
        pixels = _deep_colour(source) if source.deep_colour else None
        if source.format == "DICOM":
            pixels, orientation = read_dicom(path), 1
        elif pixels is None:
            assert source.image is not None
            source.image.load()
            pixels = flatten(source.image)
            # Pillow turns TIFF by itself and then drops the tag.
            orientation = source.orientation if source.format != "TIFF" else _orientation(source.image)
        else:
            orientation = source.orientation
        # Writeable, since what goes on to torch must be.
        return np.require(orient(pixels, orientation), requirements=("C", "W"))


@dataclass(slots=True)
class Source:
    """An opened image file, not decoded yet.

    Attributes:
        image: Pillow's image, or None for DICOM and for a deep colour TIFF that only OpenCV reads.
        size: upright (width, height).
        orientation: EXIF orientation 1..8 of the stored pixels.
        deep_colour: several samples of more than 8 bits a pixel.
        tags: of a TIFF.
    """

    path: Path
    image: Image.Image | None
    size: Size
    format: str
    orientation: int
    deep_colour: bool
    file_size: int
    tags: TiffImagePlugin.ImageFileDirectory_v2 | None = None


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Source]:
    """Open an image file by its header; whatever goes wrong inside the block becomes an `ImageError` too."""
    try:
        with open(path, "rb", opener=_open_regular) as file:
            file_size = os.fstat(file.fileno()).st_size
            if file_size == 0:
                raise _unreadable(path, "The file is empty.")
            try:
                image: Image.Image = Image.open(file, formats=FORMATS)
            except UnidentifiedImageError:
                source = _open_unidentified(path, file, file_size)
            else:
                source = _inspect(path, file, image, file_size)
            width, height = source.size
            if width < 1 or height < 1:
                raise _unreadable(path, "It has no pixels.")
            if width * height > MAX_PIXELS:
                raise _unreadable(
                    path,
                    f"It has {width * height / 1e6:.0f} megapixels, the limit is {MAX_PIXELS / 1e6:.0f}.",
                    details=f"{width} x {height}",
                )
            yield source
    except CamviewerError:
        raise
    except Exception as error:
        # Decoders raise anything on damaged bytes: OSError, SyntaxError, struct.error, KeyError, ...
        raise _unreadable(path, _reason(error), details=repr(error)) from error


def _open_regular(name: str, flags: int) -> int:
    """Open a file, but refuse folders, pipes and devices, of which a pipe would wait for ever."""
    mode = os.stat(name).st_mode  # noqa: PTH116 - the opener is handed a string
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(name)
    if not stat.S_ISREG(mode):
        raise _NotAFileError(name)
    return os.open(name, flags)


class _NotAFileError(OSError):
    """A pipe, a device or a socket."""


def _inspect(path: Path, file: BinaryIO, image: Image.Image, file_size: int) -> Source:
    kind = image.format or ""
    size = image.size
    deep = False
    tags = None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Whether `image.size` is upright already depends on Pillow's version; the tags do not.
        tags = image.tag_v2
        size = (int(tags[_WIDTH]), int(tags[_HEIGHT]))
        orientation = _valid_orientation(tags.get(_ORIENTATION, 1))
        bits = tags.get(_BITS, (1,))
        deep = len(bits) >= 3 and max(bits) > 8 and tags.get(_PHOTOMETRIC) == _RGB
    else:
        orientation = _orientation(image)
        if kind == "PNG":
            position = file.tell()  # Pillow goes on from here
            file.seek(24)
            depth, colour = file.read(2)
            deep = depth == 16 and colour != 0
            if orientation == 1:
                orientation = _late_png_orientation(file)
            file.seek(position)
    if orientation >= 5:
        size = (size[1], size[0])
    return Source(path, image, size, kind, orientation, deep, file_size, tags)


def _open_unidentified(path: Path, file: BinaryIO, file_size: int) -> Source:
    """Open what Pillow does not know: colour TIFF of floating point; else say what the file is."""
    file.seek(0)
    head = file.read(132)
    if head.startswith(_TIFF_SIGNATURES):
        with contextlib.suppress(Exception):
            tags = _tiff_tags(file, head)
            size = (int(tags[_WIDTH]), int(tags[_HEIGHT]))
            if tags.get(_PHOTOMETRIC) in {_BLACK_IS_ZERO, _RGB}:
                orientation = _valid_orientation(tags.get(_ORIENTATION, 1))
                upright = size if orientation < 5 else (size[1], size[0])
                return Source(path, None, upright, "TIFF", orientation, True, file_size, tags)
    if is_dicom(path, head):
        return Source(path, None, read_dicom_header(path).size, "DICOM", 1, False, file_size)
    if head.startswith(_SIGNATURES):
        raise _unreadable(path, "The file is cut short or damaged.")
    raise _unreadable(path, "It is not an image.")


def _tiff_tags(file: BinaryIO, head: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
    file.seek(tags.next)
    tags.load(file)
    return tags


def _orientation(image: Image.Image) -> int:
    # The base class's, since that of PNG decodes the whole image to find a chunk behind it.
    try:
        return _valid_orientation(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing; Pillow raises what it meets there
        return 1


def _valid_orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _late_png_orientation(file: BinaryIO) -> int:
    """Return the orientation of a PNG whose EXIF chunk stands behind the pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"eXIf":
            exif = Image.Exif()
            try:
                exif.load(file.read(length))
            except Exception:  # as above
                return 1
            return _valid_orientation(exif.get(_ORIENTATION, 1))
        file.seek(length + 4, os.SEEK_CUR)
    return 1


def flatten(image: Image.Image) -> Pixels:
    """Return the RGB pixels of a loaded image as stored, without its orientation.

    Raises:
        ValueError: for a colour space without a conversion to RGB.
    """
    mode = image.mode
    if mode.startswith("I;16") or mode in {"I", "F"}:
        return _deep_grey(image)
    if mode not in {"RGB", "L", "1"} or "transparency" in image.info:
        if image.has_transparency_data:
            return _array(_over_white(image))
        image = image.convert("RGB")
    if image.mode != "RGB":
        image = image.convert("RGB")
    return _array(image)


def _array(image: Image.Image) -> Pixels:
    """Return the pixels of an RGB image, copied in bands: NumPy's own way holds two further copies of the whole."""
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _BAND):
        bottom = min(height, top + _BAND)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")


def _deep_grey(image: Image.Image) -> Pixels:
    values = np.asarray(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        if inverted and values.dtype.kind == "u":
            values = np.iinfo(values.dtype).max - values
    grey = to_bytes(values)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey = np.where(values == clear, np.uint8(255), grey)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _deep_colour(source: Source) -> Pixels | None:
    """Return the pixels of 16-bit or floating-point colour as stored, or None where OpenCV cannot read them."""
    data = bytearray(source.path.read_bytes())
    if source.image is not None:
        source.image.load()  # finds out whether the file is whole; OpenCV fills what is missing with black
    if source.format == "TIFF":
        # OpenCV turns TIFF by itself in some versions; it cannot where the tag says "upright".
        clear_tiff_orientation(data)
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        if source.image is None:
            raise OSError("OpenCV cannot decode it")
        return None
    if samples.ndim == 2:
        samples = np.repeat(samples[:, :, None], 3, axis=2)
    colour = np.ascontiguousarray(samples[:, :, 2::-1])
    if samples.shape[2] == 4:
        kinds = tuple(source.tags.get(_EXTRA_SAMPLES, ())) if source.tags is not None else (2,)
        if kinds[:1] != (0,):
            return over_white(colour, samples[:, :, 3], premultiplied=kinds[:1] == (1,))
    pixels = to_bytes(colour)
    clear = source.image.info.get("transparency") if source.image is not None else None
    if isinstance(clear, tuple) and len(clear) == 3:
        pixels[(colour == np.array(clear, colour.dtype)).all(axis=2)] = 255
    return pixels


def clear_tiff_orientation(data: bytearray) -> None:
    """Set the orientation of the first page of a TIFF to 1, in place. A file without the tag stays as it is."""
    order = "<" if data[:2] == b"II" else ">"
    big = bytes(data[2:4]) in {b"+\0", b"\0+"}
    offset_format, count_format, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    (first,) = struct.unpack_from(order + offset_format, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + count_format, data, first)
    for index in range(count):
        position = first + struct.calcsize(count_format) + index * entry
        if struct.unpack_from(order + "H", data, position)[0] == _ORIENTATION:
            struct.pack_into(order + "H", data, position + entry - (8 if big else 4), 1)


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Return the stored pixels turned upright by an EXIF orientation 1..8 (TIFF 6.0, tag 274)."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def display_name(path: Path) -> str:
    """Return the file's name as printable text, also where it is not valid in the file system's encoding."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _unreadable(path: Path, why: str, *, details: str = "") -> ImageError:
    return ImageError(f"{display_name(path)} cannot be read. {why}", details=details)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "The file is not there."
    if isinstance(error, PermissionError):
        return "The file may not be opened; check its permissions."
    if isinstance(error, IsADirectoryError):
        return "It is a folder."
    if isinstance(error, _NotAFileError):
        return "It is not a regular file."
    if isinstance(error, MemoryError):
        return "There is not enough memory for it."
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in ("truncated", "unexpected end", "end of file")):
        return "The file is cut short."
    if isinstance(error, ValueError) and "conversion" in text:
        return "Its colour space is not supported."
    return "The file is damaged."
