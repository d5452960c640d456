"""What others say the images show: tables beside them (HAM10000, ISIC), or the folders they lie in."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camviewer.catalogue.diagnoses import code_of
from camviewer.training.datasets import GROUP_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS
from camviewer.workers.tasks import Reporter

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Larger tables are none that came with pictures."""

SHOWN = ("age", "sex", "localization", "anatom_site_general", "dx_type")
"""Columns that are shown with an image."""


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of one image.

    Attributes:
        name: the diagnosis or class, as it is written there.
        lesion: images of the same lesion share it; empty when unknown.
        more: further columns, as (name, value).
    """

    name: str
    lesion: str = ""
    more: tuple[tuple[str, str], ...] = field(default=())


def find_labels(
    files: Sequence[tuple[int, Path]], root: Path, classes: Sequence[str], reporter: Reporter
) -> dict[int, Label]:
    """Return the labels of images, by id: from the tables in `root` and above it, else from folder names.

    Args:
        files: (image id, file).
        root: folder of the project's images.
        classes: names of the model's classes; a folder counts as a label only when most folders are named like these.
    """
    by_stem = {path.stem: image_id for image_id, path in files}
    for folder in (root, root.parent):
        found: dict[int, Label] = {}
        for table in sorted(folder.glob("*.csv")):
            if not reporter.wanted():
                return {}
            found.update(_read_table(table, by_stem))
        if found:
            return found
    return _read_folders(files, classes)


def _read_table(table: Path, by_stem: dict[str, int]) -> dict[int, Label]:
    try:
        if table.stat().st_size > MOST_BYTES:
            return {}
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            rows = csv.DictReader(stream, dialect=_dialect(stream.read(4096)))
            stream.seek(0)
            return _labels_of(rows, by_stem)
    except (OSError, csv.Error) as error:
        log.info("%s holds no labels: %s", table.name, error)
        return {}


def _dialect(start: str) -> type[csv.Dialect]:
    try:
        return csv.Sniffer().sniff(start, ",;\t")
    except csv.Error:
        return csv.excel


def _labels_of(rows: csv.DictReader[str], by_stem: dict[str, int]) -> dict[int, Label]:
    columns = {name.strip().casefold(): name for name in rows.fieldnames or () if name}
    image = next((columns[name] for name in IMAGE_COLUMNS if name in columns), None)
    label = next((columns[name] for name in LABEL_COLUMNS if name in columns), None)
    lesion = next((columns[name] for name in GROUP_COLUMNS if name in columns), None)
    if image is None:
        return {}
    found: dict[int, Label] = {}
    for row in rows:
        image_id = by_stem.get(Path((row.get(image) or "").strip()).stem)
        if image_id is None:
            continue
        name = (row.get(label) or "").strip() if label is not None else _hot(row, image)
        group = (row.get(lesion) or "").strip() if lesion is not None else ""
        more = tuple((key, value) for key in SHOWN if key in columns and (value := (row[columns[key]] or "").strip()))
        if name or group:
            found[image_id] = Label(name, group, more)
    return found


def _hot(row: dict[str, str], image: str) -> str:
    """Return the only column that holds 1 while all others hold 0, as ISIC 2018 labels its pictures."""
    hot = []
    for name, text in row.items():
        if name == image:
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            return ""
        if value == 1:
            hot.append(name)
        elif value != 0:
            return ""
    return hot[0].strip() if len(hot) == 1 else ""


def _read_folders(files: Sequence[tuple[int, Path]], classes: Sequence[str]) -> dict[int, Label]:
    known = {code_of(name) for name in classes}
    folders = {path.parent.name for _, path in files}
    named = {folder for folder in folders if code_of(folder) in known}
    if len(named) < 2 or 2 * len(named) <= len(folders):
        return {}
    return {image_id: Label(path.parent.name) for image_id, path in files if path.parent.name in named}
