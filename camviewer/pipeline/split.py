"""Parts of a data set: by ratio, with a fixed seed, and never one group on two sides."""

from __future__ import annotations

import contextlib
import csv
import itertools
import random
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from camviewer.errors import FormatError, UsageError
from camviewer.formats.records import Split

IMAGE_COLUMNS = ("image_id", "image", "file", "file_name", "filename", "isic_id")
"""Names of the column that holds the image's name, the likeliest first."""

PARTS: tuple[Split, ...] = ("train", "val", "test")


def check_ratios(ratios: Sequence[float]) -> tuple[float, ...]:
    """Return ratios that add up to 1.

    Raises:
        UsageError: when there are not two or three, one is negative, or they do not add up.
    """
    if len(ratios) not in {2, 3} or any(not 0 <= ratio <= 1 for ratio in ratios) or abs(sum(ratios) - 1) > 1e-6:
        raise UsageError("A split needs two or three ratios that add up to 1, for example 0.8,0.1,0.1.")
    return tuple(ratios)


def split(groups: Sequence[str], ratios: Sequence[float], *, seed: int) -> list[Split]:
    """Return the part of each image.

    Groups are shuffled by `seed` and given, one after the other, to the part that lacks most; so equal input gives
    equal parts, and the sizes differ from the ratios by less than the largest group.

    Args:
        groups: of each image; images of one group stay together.
        ratios: of train, val and test, as `check_ratios` returns them.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    order = sorted(sizes)
    random.Random(seed).shuffle(order)
    wanted = [ratio * len(groups) for ratio in ratios]
    part_of: dict[str, Split] = {}
    for group in order:
        best = max(range(len(wanted)), key=lambda i: wanted[i])
        part_of[group] = PARTS[best]
        wanted[best] -= sizes[group]
    return [part_of[group] for group in groups]


@dataclass(frozen=True, slots=True)
class GroupColumn:
    """A column of a table whose values may keep images together."""

    path: Path
    column: str


_TOGETHER = ("lesion", "patient", "case", "subject", "participant", "person", "group", "study", "exam")
_LARGEST_TABLE = 256 << 20
_TABLES = 8
_MOST_ENTRIES = 20_000


def find_group_columns(folders: Iterable[Path]) -> list[GroupColumn]:
    """Return the columns of the CSV files in some folders, those first that are called after a lesion or a patient.

    Columns that name the images themselves are left out, and files that cannot be read.
    """
    tables: dict[Path, None] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            # A window waits for this: in a folder of a hundred thousand images a table is not looked for to the end.
            listed = itertools.islice(folder.iterdir(), _MOST_ENTRIES)
            found = [path for path in listed if path.suffix.lower() == ".csv" and path.is_file()]
            tables.update(dict.fromkeys(sorted(found)))
    columns = []
    for path in list(tables)[:_TABLES]:
        with contextlib.suppress(FormatError, OSError):
            if path.stat().st_size <= _LARGEST_TABLE:
                columns += [GroupColumn(path, name) for name in read_columns(path) if name]
    ranked = [(_rank(entry.column), i, entry) for i, entry in enumerate(columns) if entry.column not in IMAGE_COLUMNS]
    return [entry for _, _, entry in sorted(ranked, key=lambda item: item[:2])]


def _rank(column: str) -> int:
    name = column.casefold()
    return next((i for i, word in enumerate(_TOGETHER) if word in name), len(_TOGETHER))


def keeps_together(column: str) -> bool:
    """Return whether a column is called as one whose images belong together."""
    return _rank(column) < len(_TOGETHER)


def read_columns(path: Path) -> list[str]:
    """Return the names in the first line of a CSV file.

    Raises:
        FormatError: when it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return list(csv.DictReader(handle).fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path.name} cannot be read as a CSV file.", details=repr(error)) from error


def read_groups(path: Path, *, column: str) -> dict[str, str]:
    """Return the group of each image named in a CSV file, by the image's stem in lower case.

    The images are in the column ``image_id``, ``image``, ``file``, ``file_name``, ``filename`` or ``isic_id``, or
    else in the first one.

    Raises:
        FormatError: when the file cannot be read or lacks the column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.DictReader(handle)
            names = list(rows.fieldnames or [])
            if column not in names:
                some = textwrap.shorten(", ".join(names), 200, placeholder=" …") or "none"
                raise FormatError(f"{path.name} has no column {column!r}; it has: {some}.")
            image = next((name for name in IMAGE_COLUMNS if name in names), names[0])
            return {
                PurePosixPath((row[image] or "").replace("\\", "/")).stem.casefold(): row[column] or "" for row in rows
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path.name} cannot be read as a CSV file.", details=repr(error)) from error
