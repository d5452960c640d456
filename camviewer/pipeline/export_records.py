"""What an export is asked for, and what it says it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from camviewer.catalogue.parameters import Value
from camviewer.formats.output import FileRow
from camviewer.formats.pictures import ImageMode
from camviewer.pipeline.export_source import Regions, StatusFilter

PROBLEMS_KEPT = 100


_ABOUT = {
    "run.json": "Network, weights, method, threshold",
    "data.yaml": "Class names and folders",
    "labelmap.txt": "Class names and colours",
    "dataset.json": "Class names and channels",
    "classes.json": "Class names",
    "labels.xml": "Labelling setup to paste into the server",
}


def size_words(size: int) -> str:
    """Return bytes in words, for example ``4.9 MB``."""
    if size < 1000:
        return f"{size} bytes"
    for unit in ("kB", "MB"):
        size_in_unit = size / (1000 if unit == "kB" else 1_000_000)
        if size_in_unit < 999.5:
            return f"{size_in_unit:.3g} {unit}" if size_in_unit < 99.5 else f"{size_in_unit:.0f} {unit}"
    return f"{size / 1e9:.3g} GB"


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export, and how.

    Attributes:
        source: project file, folder with one, or explain folder.
        format: name in the table of formats.
        out: folder of the result.
        status: ``reviewed`` or ``all``; None takes reviewed for projects and all for explain folders.
        options: values of the format's parameters.
        regions: of explain folders, the first class of each image (as ``mask`` in ``explain.json``) or all classes.
        ratios: of train, val and test; empty for no split.
        seed: of the split.
        groups, group_column: CSV file and its column whose values never fall on two sides of the split.
        class_map: new name by old name; an empty new name leaves the class out. Equal new names are one class.
        images: whether image files are referenced, copied or linked; None takes what the format needs.
        strip: remove metadata (camera, place, comments) from images; None does so for copies, and leaves links alone.
        image_root: where the images lie, when not where they were.
        files: only these images, as the source names them; None for all.
        max_doubt: leave out images with a mask that is more likely wrong than this, 0..1, unless a person reviewed it.
        verify: read every image back before the result counts as written.
    """

    source: Path
    format: str
    out: Path
    status: StatusFilter | None = None
    options: dict[str, Value] = field(default_factory=dict)
    regions: Regions = "predicted"
    ratios: tuple[float, ...] = ()
    seed: int = 0
    groups: Path | None = None
    group_column: str = ""
    class_map: dict[str, str] = field(default_factory=dict)
    images: ImageMode | None = None
    strip: bool | None = None
    image_root: Path | None = None
    files: tuple[str, ...] | None = None
    max_doubt: float | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported, or would be.

    Attributes:
        images: written, `empty` of them without a region, `unreviewed` of them not reviewed, and `turned` of them
            stored turned and only referenced.
        regions: annotations written.
        pixels: pixels of the masks; `pixels_lost` of them a reader of the format would get wrong.
        iou: overlap of what a reader gets with the masks, over all images; `worst_iou` that of the image `worst`.
        left_out: how many images stayed out, by reason.
        left_out_files: the first of them by name, by reason.
        parts: images in each part of the split.
        part_classes: images with a region of a class, by part and class.
        problems: sentences about single images, at most 100.
        files: the result's files, folder by folder.
        entries: top-level files and folders.
        verified: whether every image was read back.
    """

    format: str
    out: Path
    images: int
    regions: int
    empty: int
    unreviewed: int
    turned: int
    pixels: int
    pixels_lost: int
    iou: float
    worst_iou: float
    worst: str
    left_out: dict[str, int]
    left_out_files: dict[str, tuple[str, ...]]
    parts: dict[str, int]
    part_classes: dict[str, dict[str, int]]
    classes: dict[str, int]
    problems: tuple[str, ...]
    files: tuple[FileRow, ...] = ()
    entries: tuple[str, ...] = ()
    verified: bool = False
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        verb = "would be exported" if self.dry_run else "exported"
        text = f"{self.images} image{'' if self.images == 1 else 's'} {verb}, {self.regions} regions."
        if self.left_out:
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.left_out.items()))
            stay = sum(self.left_out.values())
            text += f" {stay} image{' stays' if stay == 1 else 's stay'} out: {reasons}."
        if self.pixels_lost and self.pixels:
            text += f" The format changes {self.pixels_lost} of {self.pixels} mask pixels"
            text += f" (IoU {self.iou:.4f}, at worst {self.worst_iou:.4f} in {self.worst})."
        if self.turned:
            text += f" {self.turned_sentence}"
        if self.verified:
            text += " Everything was read back."
        return text

    @property
    def turned_sentence(self) -> str:
        """What to do about images that are stored turned; empty when there are none."""
        if not self.turned:
            return ""
        are = "image is" if self.turned == 1 else "images are"
        return f"{self.turned:,} {are} stored turned, which readers treat differently: copy the image files."

    def note(self, row: FileRow) -> tuple[str, bool]:
        """Return what there is to say about a row of `files`, and whether it is a warning."""
        if row.kind == "annotations" and row.empty:
            have = "image has" if row.empty == 1 else "images have"
            return f"{row.empty:,} {have} no region", True
        if row.kind == "images":
            return ("Linked" if row.files and not row.size else "Copied upright"), False
        return _ABOUT.get(row.path.rpartition("/")[2], ""), False

    def table(self) -> list[tuple[str, ...]]:
        """Return `files` in words: path, images, regions, size and note, with a row of sums at the end."""
        rows: list[tuple[str, ...]] = []
        for row in self.files:
            path = f"{row.path}, {row.files:,} files" if row.is_folder and row.files > 1 else row.path
            regions = _number(row.regions) if row.kind == "annotations" else ""
            size = ("" if row.exact else "about ") + size_words(row.size)
            rows.append((path, _number(row.images), regions, size, self.note(row)[0]))
        files = sum(row.files for row in self.files)
        about = "" if all(row.exact for row in self.files) else "about "
        counted = all(row.exact or not row.is_folder for row in self.files)
        total = f"{'' if counted else 'about '}{files:,} file{'' if files == 1 else 's'}"
        size = about + size_words(sum(row.size for row in self.files))
        rows.append((total, _number(self.images), _number(self.regions), size, ""))
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the sentence; without the folder's place on this machine."""
        data = asdict(self)
        data.pop("out")
        data["sentence"] = self.sentence
        return data
