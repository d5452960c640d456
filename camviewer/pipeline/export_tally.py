"""Counting an export image by image."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from camviewer.formats.output import FileRow, Output
from camviewer.formats.records import Category, Item, Loss, overlap
from camviewer.pipeline.export_records import PROBLEMS_KEPT, ExportReport


class Tally:
    """The counts of one export."""

    def __init__(self, categories: tuple[Category, ...]) -> None:
        self.images = self.regions = self.empty = self.unreviewed = self.turned = self.pixels = self.lost = (
            self.added
        ) = 0
        self.worst = (1.0, "")
        self.left_out: Counter[str] = Counter()
        self.rows: list[dict[str, Any]] = []
        self._names = {entry.id: entry.name for entry in categories}
        self._left_out_files: dict[str, list[str]] = {}
        self.problems: list[str] = []
        self._parts: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._part_classes: dict[str, Counter[str]] = {}
        # Of each part, the images, regions and empty images that were not rehearsed.
        self._unrehearsed: dict[str, list[int]] = {}

    def count(self, item: Item, loss: Loss, *, rehearsed: bool) -> None:
        """Count an image that is written, or would be."""
        self.images += 1
        self.regions += loss.regions
        self.pixels += loss.of
        self.lost += loss.pixels
        self.added += loss.added
        self.worst = min(self.worst, (loss.iou, item.file))
        self.empty += not loss.regions
        self.unreviewed += not item.reviewed
        if not rehearsed:
            rest = self._unrehearsed.setdefault(item.split, [0, 0, 0])
            for i, value in enumerate((1, loss.regions, int(not loss.regions))):
                rest[i] += value
        for note in loss.notes:
            self.note(f"{item.file}: {note}")
        found = {mask.class_id for mask in item.masks if mask.pixels.any()} | {box.class_id for box in item.boxes}
        names = [self._names.get(class_id, str(class_id)) for class_id in sorted(found)]
        self._classes.update(names)
        row: dict[str, Any] = {
            "file": item.file,
            "name": item.stem,
            "status": item.status if item.reviewed else "unreviewed",
        }
        if item.split:
            self._parts[item.split] += 1
            self._part_classes.setdefault(item.split, Counter()).update(names)
            row["part"] = item.split
        if item.flat != item.stem:
            row["flat"] = item.flat
        self.rows.append(row)

    def leave_out(self, why: str, file: str, problem: str = "") -> None:
        """Count an image that stays out."""
        self.left_out[why] += 1
        names = self._left_out_files.setdefault(why, [])
        if len(names) < PROBLEMS_KEPT:
            names.append(file)
        if problem:
            self.note(problem)

    def note(self, sentence: str) -> None:
        """Keep a sentence about an image."""
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(sentence)

    def extrapolate(self, output: Output) -> None:
        """Add the images that were only counted to the table of files."""
        for part, (images, regions, empty) in self._unrehearsed.items():
            output.extrapolate(part, images, regions=regions, empty=empty)

    def report(self, format_name: str, out: Path, files: tuple[FileRow, ...], *, dry_run: bool) -> ExportReport:
        """Return the counts."""
        return ExportReport(
            format=format_name,
            out=out,
            images=self.images,
            regions=self.regions,
            empty=self.empty,
            unreviewed=self.unreviewed,
            turned=self.turned,
            pixels=self.pixels,
            pixels_lost=self.lost,
            iou=overlap(pixels=self.lost, added=self.added, of=self.pixels),
            worst_iou=self.worst[0],
            worst=self.worst[1],
            left_out=dict(self.left_out),
            left_out_files={why: tuple(names) for why, names in self._left_out_files.items()},
            parts=dict(self._parts),
            part_classes={part: dict(counts) for part, counts in self._part_classes.items()},
            classes=dict(self._classes),
            problems=tuple(self.problems),
            files=files,
            dry_run=dry_run,
        )
