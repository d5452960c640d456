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
        strip: remove metadata from copied images.
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
    strip: bool = False
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
            text += f" The format changes {self.pixels_lost} of {self.pixels} mask pixels."
        return text

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the sentence; without the folder's place on this machine."""
        data = asdict(self)
        data.pop("out")
        data["sentence"] = self.sentence
        return data
