"""Writers by the names of `camviewer.catalogue.formats`."""

from __future__ import annotations

from camviewer.catalogue.formats import format_spec
from camviewer.formats.coco import CocoWriter
from camviewer.formats.dicom_seg import DicomSegWriter
from camviewer.formats.labelme import LabelmeWriter
from camviewer.formats.masks import MaskWriter
from camviewer.formats.overlays import OverlayWriter
from camviewer.formats.records import Writer
from camviewer.formats.report import ReportWriter
from camviewer.formats.semantic import MmsegWriter, NnunetWriter
from camviewer.formats.servers import CvatWriter, LabelStudioWriter
from camviewer.formats.tables import CsvWriter, SoftMaskWriter
from camviewer.formats.voc import VocWriter
from camviewer.formats.yolo import YoloDetectionWriter, YoloSegmentationWriter

WRITERS: dict[str, type[Writer]] = {
    "masks": MaskWriter,
    "coco": CocoWriter,
    "overlays": OverlayWriter,
    "yolo-detection": YoloDetectionWriter,
    "yolo-segmentation": YoloSegmentationWriter,
    "voc": VocWriter,
    "labelme": LabelmeWriter,
    "mmsegmentation": MmsegWriter,
    "nnunet": NnunetWriter,
    "cvat": CvatWriter,
    "label-studio": LabelStudioWriter,
    "dicom-seg": DicomSegWriter,
    "csv": CsvWriter,
    "soft-masks": SoftMaskWriter,
    "report": ReportWriter,
}


def writer(name: str) -> type[Writer]:
    """Return the writer of a format.

    Raises:
        UsageError: when there is no such format.
    """
    return WRITERS[format_spec(name).name]
