"""The export formats as a table: what each holds, what it loses, how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from camviewer.catalogue.parameters import Parameter
from camviewer.errors import UsageError

Exactness = Literal["pixels", "polygons", "boxes", "picture", "values"]


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """One format.

    Attributes:
        name: identifier on the command line.
        title: name on screen.
        layout: files of the result, for the dialog.
        exactness: what of a mask comes back: every ``pixels``, ``polygons`` (holes and single pixels may be lost),
            ``boxes`` only, a ``picture`` for people, or ``values`` of maps and lists.
        shows: one sentence on what it is for.
        parameters: typed parameters.
        images: whether the layout needs the images themselves (copied, or linked on demand).
    """

    name: str
    title: str
    layout: str
    exactness: Exactness
    shows: str
    parameters: tuple[Parameter, ...] = ()
    images: bool = False


FORMATS: tuple[FormatSpec, ...] = (
    FormatSpec(
        "masks",
        "Mask PNG (ISIC)",
        "NAME_segmentation.png, 8-bit grey, 0 and 255, size of the image",
        "pixels",
        "One binary mask an image, named as ISIC 2018 task 1 names them.",
        (
            Parameter(
                "classes",
                "Classes",
                "choice",
                "union",
                choices=("union", "separate"),
                choice_titles=("All in one mask", "One mask a class"),
                help="All classes in one mask, or one mask a class with its name behind the image's.",
            ),
            Parameter(
                "largest", "Largest region only", "bool", False, help="ISIC asks for one region; the others are lost."
            ),
            Parameter("fill", "Fill holes", "bool", False, help="ISIC asks for regions without holes."),
        ),
    ),
    FormatSpec(
        "coco",
        "COCO instances",
        "instances.json (instances_train.json and so on when split)",
        "pixels",
        "Boxes and masks in one JSON file; run-length masks keep holes and single pixels.",
        (
            Parameter(
                "segmentation",
                "Segmentation",
                "choice",
                "rle",
                choices=("rle", "polygons", "boxes"),
                choice_titles=("RLE", "Polygons", "Boxes"),
                help="Compressed run lengths (exact), polygons (holes and single pixels are lost), "
                "or the boxes as rectangles instead of the masks.",
            ),
            Parameter(
                "instances",
                "One annotation for",
                "choice",
                "mask",
                choices=("mask", "region"),
                choice_titles=("Each mask", "Each region"),
                help="Each mask, or each connected region of it.",
            ),
        ),
    ),
    FormatSpec(
        "overlays",
        "Overlay PNG",
        "NAME_overlay.png, RGB, size of the image",
        "picture",
        "The image with the regions' outlines and, when wanted, the heat map; for slides and papers.",
        (
            Parameter("heat", "Heat map", "bool", True, help="Draw the first map under the outlines."),
            Parameter("opacity", "Opacity", "float", 0.45, 0.0, 1.0, help="Of the heat map."),
            Parameter(
                "colours",
                "Colour map",
                "choice",
                "viridis",
                choices=("viridis", "cividis", "magma", "jet"),
                help="Of the heat map; jet is not perceptually uniform.",
            ),
            Parameter("width", "Line width", "int", 2, 1, 20, help="Of outlines and boxes.", unit="px"),
        ),
    ),
    FormatSpec(
        "yolo-detection",
        "YOLO detection",
        "images/, labels/ and data.yaml",
        "boxes",
        "Boxes for Ultralytics trainers, as fractions of the image.",
        images=True,
    ),
    FormatSpec(
        "yolo-segmentation",
        "YOLO segmentation",
        "images/, labels/ and data.yaml",
        "polygons",
        "Outlines for Ultralytics trainers; holes, single pixels and lines are lost.",
        images=True,
    ),
    FormatSpec(
        "voc",
        "Pascal VOC",
        "JPEGImages/, Annotations/, SegmentationClass/, SegmentationObject/, ImageSets/, labelmap.txt",
        "pixels",
        "Boxes in XML and class numbers in palette PNGs; regions that lie over each other lose pixels.",
        (
            Parameter(
                "coordinates",
                "Box corners",
                "choice",
                "devkit",
                choices=("devkit", "zero"),
                choice_titles=("From 1, as the devkit", "From 0"),
                help="From 1 with the last pixel inside, as the devkit counts, or x and x + width from 0.",
            ),
        ),
        images=True,
    ),
    FormatSpec(
        "labelme",
        "LabelMe JSON",
        "NAME.json, one an image",
        "pixels",
        "To go on editing in LabelMe.",
        (
            Parameter(
                "shapes",
                "Shapes",
                "choice",
                "mask",
                choices=("mask", "polygon"),
                help="Masks (exact), or outlines that can be edited point by point (holes are lost).",
            ),
        ),
    ),
    FormatSpec(
        "mmsegmentation",
        "MMSegmentation",
        "img_dir/ and ann_dir/, classes.json",
        "pixels",
        "Class numbers in grey PNGs, 0 is background; regions that lie over each other lose pixels.",
        images=True,
    ),
    FormatSpec(
        "nnunet",
        "nnU-Net v2",
        "DatasetNNN_Camviewer/ with imagesTr/, labelsTr/ and dataset.json",
        "pixels",
        "Class numbers in grey PNGs; where the map is uncertain, nnU-Net's ignore label on demand.",
        (
            Parameter("id", "Data set number", "int", 101, 1, 999, help="nnU-Net knows data sets by number."),
            Parameter("ignore", "Ignore the uncertain band", "bool", False, help="In images that were not reviewed."),
            Parameter("ignore_from", "Uncertain from", "float", 0.15, 0.0, 1.0, help="Fraction of the map's maximum."),
            Parameter("ignore_to", "Uncertain up to", "float", 0.3, 0.0, 1.0, help="Fraction of the map's maximum."),
        ),
        images=True,
    ),
    FormatSpec(
        "cvat",
        "CVAT for images 1.1",
        "annotations.xml",
        "pixels",
        "Boxes and exact masks to upload into a CVAT task.",
    ),
    FormatSpec(
        "label-studio",
        "Label Studio",
        "tasks.json and labels.xml",
        "pixels",
        "Predictions to correct in Label Studio: rectangles and brush masks, with the labelling setup they fit into.",
    ),
    FormatSpec(
        "dicom-seg",
        "DICOM SEG",
        "NAME_segmentation.dcm, for images that are DICOM",
        "pixels",
        "Segments that refer to their DICOM image; without the patient's data. Needs the extra dicom.",
    ),
    FormatSpec(
        "csv",
        "CSV summary",
        "summary.csv",
        "values",
        "A row a region: class, area, box, score; for tables and statistics.",
    ),
    FormatSpec(
        "soft-masks",
        "Soft masks",
        "NAME_METHOD_LAYER_CLASS.png or .npz, size of the image",
        "values",
        "The maps themselves in full resolution.",
        (
            Parameter(
                "kind",
                "Files",
                "choice",
                "png",
                choices=("png", "npz"),
                choice_titles=("PNG", "NPZ"),
                help="16-bit PNG of the positive part by its maximum, or raw signed values.",
            ),
        ),
    ),
    FormatSpec(
        "report",
        "HTML report",
        "report.html, one page with everything in it",
        "picture",
        "For people: each image with its map, its regions, classes with scores, settings and notes.",
        (
            Parameter("side", "Picture side", "int", 360, 96, 1024, help="Longest side of a picture.", unit="px"),
            Parameter("size", "Page size", "int", 48, 1, 2000, help="Pictures shrink until the page fits.", unit="MB"),
            Parameter(
                "colours",
                "Colour map",
                "choice",
                "viridis",
                choices=("viridis", "cividis", "magma", "jet"),
                help="Of the heat map; jet is not perceptually uniform.",
            ),
        ),
    ),
)

BY_NAME = {spec.name: spec for spec in FORMATS}


def format_spec(name: str) -> FormatSpec:
    """Return the format called `name`.

    Raises:
        UsageError: when there is none.
    """
    try:
        return BY_NAME[name]
    except KeyError:
        raise UsageError(f"There is no format {name!r}; there are: {', '.join(BY_NAME)}.") from None
