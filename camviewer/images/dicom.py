"""DICOM photographs as upright 8-bit RGB, with the optional extra ``dicom`` (pydicom).

Colour of any photometric interpretation, grey with its modality and window settings, of several frames the first.
Patient data is read by `read_tags` alone, which nothing calls unless a person asks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import ImageError
from camviewer.images.geometry import Size

SUFFIXES = (".dcm", ".dicom")
MISSING = "It is a DICOM file, which needs the extra dicom: pip install 'camviewer[dicom]'."

_DEFERRED = "32 MB"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_HEADER = (
    "SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored",
)  # fmt: skip
_SEGMENTATIONS = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
_COLOURS = {"RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_GREYS = {"MONOCHROME1", "MONOCHROME2"}


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What a DICOM file says of its picture: (width, height) and the number of frames."""

    size: Size
    frames: int


@dataclass(frozen=True, slots=True)
class DicomTag:
    """One element in words; `is_personal` where it may say who the patient is."""

    name: str
    value: str
    is_personal: bool


def is_installed() -> bool:
    """Return whether the extra is there."""
    return importlib.util.find_spec("pydicom") is not None


def is_dicom(path: Path, head: bytes) -> bool:
    """Return whether a file, of which `head` holds the first 132 bytes, is DICOM by its mark or its suffix."""
    return head[128:132] == b"DICM" or path.suffix.lower() in SUFFIXES


def read_dicom_header(path: Path) -> DicomHeader:
    """Return size and number of frames without decoding pixels.

    Raises:
        ImageError: without the extra, and for what holds no picture that is read.
        Exception: whatever pydicom meets in a damaged file.
    """
    pydicom = _pydicom(path)
    syntax = ""
    with contextlib.suppress(pydicom.errors.InvalidDicomError):  # old files begin without a head
        syntax = str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax == _DEFLATED:
        # Its whole content is one zip stream, whose size nobody knows before it is unpacked.
        raise _refused(path, "It is deflated DICOM; save it uncompressed or as PNG first.")
    found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER), force=True)
    if str(found.get("SOPClassUID", "")) in _SEGMENTATIONS:
        raise _refused(path, "It is a DICOM segmentation, not a photograph.")
    if found.get("Rows") is None or found.get("Columns") is None:
        raise _refused(path, "It is a DICOM file without a picture.")
    kind = str(found.get("PhotometricInterpretation", ""))
    if kind not in _COLOURS | _GREYS:
        raise _refused(path, f"Its colours ({kind or 'not named'}) are not supported; save it as PNG first.")
    if syntax and not _can_decode(syntax):
        name = pydicom.uid.UID(syntax).name
        raise _refused(path, f"Its compression ({name}) needs a decoder that is not there; save it as PNG first.")
    return DicomHeader((int(found.Columns), int(found.Rows)), int(found.get("NumberOfFrames") or 1))


def read_dicom(path: Path) -> NDArray[np.uint8]:
    """Return the first frame as RGB uint8 ``[height, width, 3]``.

    Raises:
        ImageError: without the extra.
        Exception: whatever pydicom meets in a damaged file.
    """
    pydicom = _pydicom(path)
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    found = pydicom.dcmread(path, specific_tags=[*_HEADER, *_DISPLAY, *_PIXELS], force=True, defer_size=_DEFERRED)
    if not found.file_meta.get("TransferSyntaxUID"):
        implicit, little = found.original_encoding
        name = "ImplicitVRLittleEndian" if implicit else "ExplicitVRLittleEndian" if little else "ExplicitVRBigEndian"
        found.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    try:
        # Of several frames only one is read, however long the file is.
        several = int(found.get("NumberOfFrames") or 1) > 1
        samples = np.asarray(pixel_array(path if several else found, index=0))
    except RuntimeError as error:
        name = found.file_meta.TransferSyntaxUID.name
        raise _refused(
            path, f"Its pixels ({name}) cannot be decoded here; save it as PNG first.", details=repr(error)
        ) from error
    kind = str(found.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        colours = np.asarray(apply_color_lut(samples, found))
        # The table's entries fill all bits of their type.
        return _bytes(colours, 8 * colours.dtype.itemsize)
    if kind in _GREYS:
        grey = np.rint(255 * _shown(samples, found)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return _bytes(samples, int(found.BitsStored))


_PIXELS = (
    "PixelData", "PlanarConfiguration", "PixelRepresentation", "HighBit", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
_DISPLAY = (
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "RescaleSlope", "RescaleIntercept",
    "ModalityLUTSequence",
)  # fmt: skip


def _bytes(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return unsigned samples of so many bits as bytes, the largest as 255."""
    if bits <= 8:
        return np.asarray(np.rint(samples * (255 / (2**bits - 1))), dtype=np.uint8)
    largest = 2**bits - 1
    return np.asarray((samples.astype(np.uint64) * 255 + largest // 2) // largest, dtype=np.uint8)


def _shown(samples: NDArray[Any], found: Any) -> NDArray[np.float64]:
    """Return grey samples as 0..1, black to white, as a display would (DICOM PS3.3 C.11.1 and C.11.2)."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    values = np.asarray(apply_modality_lut(samples, found))
    if found.get("VOILUTSequence"):
        bits = int(found.VOILUTSequence[0].LUTDescriptor[2])
        shown = np.asarray(apply_voi(values, found), np.float64) / (2**bits - 1)
    elif found.get("WindowCenter") is not None and found.get("WindowWidth") is not None:
        shown = _window(values.astype(np.float64), found)
    elif _fills_its_bits(values, found):
        shown = values / float(2 ** int(found.BitsStored) - 1)
    else:
        low, high = float(values.min()), float(values.max())
        shown = (values - low) / (high - low) if high > low else np.zeros(values.shape)
    shown = np.clip(shown, 0.0, 1.0)
    return np.asarray(1.0 - shown if found.PhotometricInterpretation == "MONOCHROME1" else shown)


def _fills_its_bits(values: NDArray[Any], found: Any) -> bool:
    """Return whether grey values are brightness from 0 to all bits set, as cameras write them, and no measurements."""
    rescaled = found.get("RescaleSlope") not in {None, 1} or bool(found.get("RescaleIntercept"))
    return values.dtype.kind == "u" and int(found.BitsStored) <= 16 and not rescaled


def _window(values: NDArray[np.float64], found: Any) -> NDArray[np.float64]:
    """Apply the first window: linear, exactly linear, or a sigmoid (C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (
        float(np.ravel(np.asarray(found[name].value, float))[0]) for name in ("WindowCenter", "WindowWidth")
    )
    function = str(found.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / max(width, 1e-9), -60, 60))))
    if function == "LINEAR_EXACT":
        return (values - centre) / max(width, 1e-9) + 0.5
    if width <= 1:
        return np.asarray(values > centre - 0.5, np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def read_tags(path: Path) -> tuple[DicomTag, ...]:
    """Return the elements of a file in words, without pixels, binary values and private elements; long ones cut.

    Raises:
        ImageError: without the extra, or when the file cannot be read.
    """
    pydicom = _pydicom(path)
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True)
        tags = []
        for element in found:
            if element.tag.is_private or element.VR in {"SQ", "OB", "OW", "OF", "OD", "OL", "UN"} or element.is_empty:
                continue
            text = " ".join(str(element.value).split())
            tags.append(DicomTag(element.name, text[:200] + ("…" if len(text) > 200 else ""), _is_personal(element)))
        return tuple(tags)
    except Exception as error:  # pydicom raises anything on damaged bytes
        raise _refused(path, "The file is damaged.", details=repr(error)) from error


def _is_personal(element: Any) -> bool:
    """Return whether an element may identify a person: of the patient, of people, places, dates, and free words."""
    return (
        element.tag.group in {0x0010, 0x0012, 0x0032, 0x0038, 0x0040}
        or element.VR in {"PN", "DA", "TM", "DT", "AS", "LT", "ST", "UT"}
        or any(word in element.keyword for word in ("Institution", "Station", "Accession", "StudyID", "Physician"))
    )


def _pydicom(path: Path) -> ModuleType:
    try:
        import pydicom
        import pydicom.errors
        import pydicom.filereader
        import pydicom.pixels
    except ImportError as error:
        raise _refused(path, MISSING) from error
    # What is wrong with a file is said once, by the error.
    pydicom.config.logger.setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def _can_decode(syntax: str) -> bool:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    uid = UID(syntax)
    if not uid.is_private and not uid.is_compressed:
        return True
    try:
        return bool(get_decoder(uid).is_available)
    except NotImplementedError:
        return False


def _refused(path: Path, why: str, *, details: str = "") -> ImageError:
    name = os.fsencode(path.name).decode("utf-8", "replace")
    return ImageError(f"{name} cannot be read. {why}", details=details)
