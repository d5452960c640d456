"""DICOM SEG: masks as segments of an object that refers to its source; writer and reader, with the extra ``dicom``.

The object names study, series and instance of its source by their identifiers and carries none of the patient's data:
name, birth date, record number and the like stay empty.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from camviewer import __version__
from camviewer.catalogue.parameters import Value
from camviewer.errors import ExportError, FormatError, ImageError
from camviewer.formats.pictures import missing
from camviewer.formats.records import Context, Item, ItemMask, Loss, Writer, differing, in_part
from camviewer.images import dicom
from camviewer.images.decode import open_image
from camviewer.project.records import BoolMask

# What the object needs of its source, and nothing about the patient.
_KEPT = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Rows", "Columns",
    "NumberOfFrames", "FrameOfReferenceUID", "PositionReferenceIndicator", "PixelSpacing", "ImageOrientationPatient",
    "ImagePositionPatient", "SliceThickness", "ImageType", "SamplesPerPixel", "PhotometricInterpretation",
)  # fmt: skip
_EMPTIED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip


class DicomSegWriter(Writer):
    """Writes ``NAME_segmentation.dcm`` for each DICOM image that has a region."""

    reads_images = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if not dicom.is_installed():
            raise ExportError("DICOM SEG needs the extra dicom: pip install 'camviewer[dicom]'.")
        self._series: dict[str, str] = {}

    def add(self, item: Item) -> None:
        source, masks = _source(item), list(_filled(item))
        if masks:
            self.context.output.write(self._path(item), self._encode(item, source, masks))

    @staticmethod
    def _path(item: Item) -> str:
        return in_part(item, f"{item.stem}_segmentation.dcm")

    def _encode(self, item: Item, source: Any, masks: list[ItemMask]) -> bytes:
        import highdicom
        from pydicom.sr.codedict import codes

        described = []
        for number, mask in enumerate(masks, 1):
            automatic = None
            if not mask.reviewed:
                about = {"method": mask.method, "layer": mask.layer, "refine": mask.refine, "rule": mask.rule}
                automatic = highdicom.AlgorithmIdentificationSequence(
                    name=mask.method or "class activation map",
                    family=codes.DCM.ArtificialIntelligence,
                    version=__version__,
                    source="camviewer",
                    parameters={key: value for key, value in about.items() if value},
                )
            described.append(
                highdicom.seg.SegmentDescription(
                    segment_number=number,
                    segment_label=self.context.name_of(mask.class_id)[:64],
                    segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                    segmented_property_type=codes.SCT.Lesion,
                    algorithm_type="AUTOMATIC" if automatic is not None else "MANUAL",
                    algorithm_identification=automatic,
                    # Which class it is, for readers that cut labels.
                    tracking_uid=highdicom.UID(),
                    tracking_id=f"class {mask.class_id}",
                )
            )
        pixels = np.stack([mask.pixels for mask in masks], axis=-1)[None].astype(np.uint8)
        # One series of segmentations for each series of images.
        series = self._series.setdefault(str(source.SeriesInstanceUID), str(highdicom.UID()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = highdicom.seg.Segmentation(
                source_images=[source],
                pixel_array=pixels,
                segmentation_type="BINARY",
                segment_descriptions=described,
                series_instance_uid=series,
                series_number=1,
                sop_instance_uid=highdicom.UID(),
                instance_number=1,
                manufacturer="camviewer",
                manufacturer_model_name="camviewer",
                software_versions=__version__,
                device_serial_number="0",
                content_label="MASKS",
                content_description="reviewed" if item.reviewed else "computed, not reviewed",
                omit_empty_frames=True,
            )
        buffer = io.BytesIO()
        made.save_as(buffer)
        return buffer.getvalue()

    def read_back(self, item: Item) -> int:
        masks = list(_filled(item))
        if not masks:
            return 0
        segments = read_dicom_seg(self.context.output.path(self._path(item)))
        return differing(item, {mask.class_id: found for mask, (_, found) in zip(masks, segments, strict=True)})

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        masks = list(_filled(item))
        return Loss(len(masks), 0, sum(int(np.count_nonzero(mask.pixels)) for mask in masks))


def _filled(item: Item) -> Iterator[ItemMask]:
    return (mask for mask in item.masks if mask.pixels.any())


def _source(item: Item) -> Any:
    """Return what a segmentation needs of an image's file, without the patient's data.

    Raises:
        ImageError: when it is gone, no DICOM, or has several frames.
    """
    if item.source is None:
        raise missing(item.file)
    import pydicom

    with open_image(item.source) as opened:
        if opened.format != "DICOM":
            raise ImageError(
                f"{item.file} is no DICOM file, which a DICOM SEG refers to. Choose another format for it."
            )
        found = pydicom.dcmread(item.source, stop_before_pixels=True, specific_tags=list(_KEPT))
        if math.prod(item.size) < 8:
            # highdicom 0.28 pads each frame to a byte then, where the standard lets frames share it.
            raise ImageError(f"{item.file} has fewer than 8 pixels, too few for a DICOM SEG. Choose another format.")
        if int(found.get("NumberOfFrames") or 1) > 1:
            raise ImageError(f"{item.file} has several frames; a DICOM SEG is written for single photographs only.")
        if "NumberOfFrames" in found:
            del found.NumberOfFrames
        for name in ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not found.get(name):
                raise ImageError(f"{item.file} has no {name}, by which a DICOM SEG refers to it.")
    for name in _EMPTIED:
        setattr(found, name, "")
    return found


def read_dicom_seg(path: Path) -> list[tuple[str, BoolMask]]:
    """Return (label, mask) of each segment, in order.

    Raises:
        FormatError: without the extra, or when it is no DICOM SEG of one image.
    """
    if not dicom.is_installed():
        raise FormatError(f"{path.name} needs the extra dicom: pip install 'camviewer[dicom]'.")
    import highdicom

    try:
        found = highdicom.seg.segread(path)
        frames = np.atleast_3d(found.pixel_array) if found.pixel_array.ndim == 3 else found.pixel_array[None]
        masks = np.zeros((found.number_of_segments, found.Rows, found.Columns), dtype=np.bool_)
        shared = found.SharedFunctionalGroupsSequence[0]
        for frame, about in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
            # What all frames have in common stands once.
            of = (about if "SegmentIdentificationSequence" in about else shared).SegmentIdentificationSequence[0]
            masks[int(of.ReferencedSegmentNumber) - 1] |= frame != 0
        labels = [str(entry.SegmentLabel) for entry in found.SegmentSequence]
    except Exception as error:  # pydicom raises anything on damaged bytes
        raise FormatError(f"{path.name} cannot be read as a DICOM SEG.", details=repr(error)) from error
    return list(zip(labels, masks, strict=True))
