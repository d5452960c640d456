"""Class names from files and from what people put into checkpoints."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camviewer.errors import CheckpointError

KEYS = ("classes", "class_names", "idx_to_class", "class_to_idx", "id2label", "label2id", "labels", "categories")
_NAME_COLUMNS = ("name", "class", "class_name", "label", "category", "diagnosis")
_INDEX_COLUMNS = ("index", "idx", "id", "class_index", "class_id", "label_id")
_LARGEST = 4 * 2**20


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the class names of a file, by index of the logits.

    * ``.json``: a list of names, ``{name: index}``, ``{index: name}``, or an object with one of these under
      ``classes``, ``class_names``, ``idx_to_class``, ``class_to_idx``, ``id2label``;
    * ``.csv``, ``.tsv``: one row a class; a column of the indices 0 to n-1 gives the order, else the rows do;
    * any other: text, one name a line; an index in front of every line (``0: tench``) is taken off.

    Raises:
        CheckpointError: when the file cannot be read or holds no names.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"{path.name} is too large for a list of class names.")
        text = _decode(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.", details=repr(error)) from None
    suffix = path.suffix.lower()
    if suffix == ".json":
        try:
            names = names_of(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path.name} is no valid JSON.", details=repr(error)) from None
    elif suffix in (".csv", ".tsv"):
        try:
            names = _table(text, "\t" if suffix == ".tsv" else None)
        except csv.Error as error:
            raise CheckpointError(f"{path.name} cannot be read as a table.", details=repr(error)) from None
    else:
        names = _lines(text)
    if not names:
        raise CheckpointError(f"{path.name} holds no class names. Write one name a line.")
    return names


def names_of(value: Any) -> tuple[str, ...] | None:
    """Return the class names that a list or a mapping holds, or None if it holds none.

    Indices must be 0 to n-1, each once: names are never shifted or invented.
    """
    if isinstance(value, Mapping):
        for key in KEYS:
            if key in value and (found := names_of(value[key])) is not None:
                return found
        pairs = [_indexed(key, entry) for key, entry in value.items()]
        ordered = dict(pair for pair in pairs if pair is not None)
        if len(ordered) != len(value) or sorted(ordered) != list(range(len(ordered))):
            return None
        return tuple(ordered[i] for i in range(len(ordered))) or None
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if all(isinstance(entry, str) for entry in value):
            return tuple(entry.strip() or f"class {i}" for i, entry in enumerate(value)) or None
        if all(isinstance(entry, Mapping) for entry in value):  # COCO categories
            named = [entry.get("name") for entry in value]
            return tuple(named) if named and all(isinstance(n, str) for n in named) else None
    return None


def _indexed(key: Any, entry: Any) -> tuple[int, str] | None:
    """Return one class of ``{name: index}``, ``{index: name}`` or ``{index: [identifier, name]}``."""
    if isinstance(entry, int) and not isinstance(entry, bool) and isinstance(key, str):
        return entry, key
    if isinstance(entry, (list, tuple)) and entry and all(isinstance(part, str) for part in entry):
        entry = entry[-1]
    if isinstance(entry, str) and (isinstance(key, int) or (isinstance(key, str) and key.isdecimal())):
        return int(key), entry
    return None


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    numbered = [re.fullmatch(r"(\d+)\s*[:,;\t]\s*(.+)|(\d+)\s+(\D.*)", line) for line in lines]
    if lines and all(m is not None and int(m[1] or m[3]) == i for i, m in enumerate(numbered)):
        lines = [(m[2] or m[4]).strip() for m in numbered if m is not None]
    return tuple(line or f"class {i}" for i, line in enumerate(lines))


def _table(text: str, delimiter: str | None) -> tuple[str, ...] | None:
    if delimiter is None:
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    rows = [row for row in rows if any(row)]
    if not rows:
        return None
    header = [cell.lower() for cell in rows[0]]
    known = set(_NAME_COLUMNS) | set(_INDEX_COLUMNS)
    has_header = bool(known & set(header))
    body = rows[1:] if has_header else rows
    width = max((len(row) for row in body), default=0)
    columns = [[row[i] if i < len(row) else "" for row in body] for i in range(width)]
    index_at = next((i for i, column in enumerate(columns) if _is_permutation(column)), None)
    name_at = next((header.index(key) for key in _NAME_COLUMNS if has_header and key in header), None)
    if name_at is None or name_at >= width or name_at == index_at:
        name_at = next((i for i in range(width) if i != index_at), None)
    if name_at is None:
        return None
    names = columns[name_at]
    if index_at is not None:
        order = {int(index): name for index, name in zip(columns[index_at], names, strict=True)}
        names = [order[i] for i in range(len(order))]
    return tuple(name or f"class {i}" for i, name in enumerate(names)) or None


def _is_permutation(column: list[str]) -> bool:
    return all(cell.isdecimal() for cell in column) and sorted(map(int, column)) == list(range(len(column)))
