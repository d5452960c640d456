"""JSON that is strict both ways: no NaN on writing, and on reading an error that names file and field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from camviewer.errors import FormatError

LARGEST_FILE = 1 << 30
"""Bytes; a larger annotation file is refused before it is read."""


def finite(value: float | None) -> float | None:
    """Return `value` as a float, or None (JSON ``null``) when it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def encode(data: Any, *, indent: int | None = None) -> bytes:
    """Return `data` as strict UTF-8 JSON.

    Raises:
        ValueError: for NaN and infinity.
    """
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent).encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 holds lone surrogates; escaped, Python reads the same name back.
        return json.dumps(data, ensure_ascii=True, allow_nan=False, indent=indent).encode()


def read_json(path: Path, *, largest: int = LARGEST_FILE) -> Fields:
    """Return the top object of the JSON file `path`.

    Raises:
        FormatError: when it cannot be read, is larger than `largest` bytes, is not strict JSON or no object.
    """
    name = path.name
    try:
        if path.stat().st_size > largest:
            raise FormatError(f"{name} is larger than {largest >> 20} MB and is not read.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FormatError(f"{name} cannot be read: {error.strerror or error}.", details=repr(error)) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{name} is not UTF-8 text.", details=repr(error)) from error
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise FormatError(f"{name} is nested too deeply to be an annotation file.") from error
    except json.JSONDecodeError as error:
        raise FormatError(f"{name} is not valid JSON (line {error.lineno}, column {error.colno}).") from error
    except ValueError as error:
        raise FormatError(f"{name} is not valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise FormatError(f"{name} holds no JSON object.")
    return Fields(data, file=name)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


class Fields:
    """A JSON object whose fields are read with their type checked.

    Every method raises FormatError naming the file and the field, for example
    ``explain.json: images[3].boxes[0].xyxy needs 4 numbers.``
    """

    def __init__(self, data: dict[str, Any], *, file: str, where: str = "") -> None:
        self.data = data
        self.file = file
        self.where = where

    def name(self, key: str) -> str:
        """Return the full name of the field `key`."""
        return f"{self.where}.{key}" if self.where else key

    def fail(self, key: str, reason: str) -> NoReturn:
        """Raise the error of the field `key`."""
        raise FormatError(f"{self.file}: {self.name(key)} {reason}.")

    def _get(self, key: str) -> Any:
        if key not in self.data:
            self.fail(key, "is missing")
        return self.data[key]

    def has(self, key: str) -> bool:
        """Return whether the field is there and not null."""
        return self.data.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        value = self._get(key)
        if not isinstance(value, str):
            self.fail(key, "needs a text")
        return value

    def integer(self, key: str, *, minimum: int | None = None, default: int | None = None) -> int:
        if default is not None and not self.has(key):
            return default
        value = self._get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(key, "needs a whole number")
        if minimum is not None and value < minimum:
            self.fail(key, f"needs a whole number of at least {minimum}")
        return value

    def number(self, key: str) -> float:
        return self._as_number(self._get(key), key)

    def number_or_none(self, key: str) -> float | None:
        return self._as_number(self.data[key], key) if self.has(key) else None

    def _as_number(self, value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(key, "needs a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail(key, "needs a finite number")
        return number

    def numbers(self, key: str, count: int | None = None) -> tuple[float, ...]:
        """Return a list of finite numbers, `count` of them when given."""
        value = self._get(key)
        if not isinstance(value, list) or (count is not None and len(value) != count):
            self.fail(key, f"needs {count} numbers" if count is not None else "needs a list of numbers")
        return tuple(self._as_number(entry, f"{key}[{i}]") for i, entry in enumerate(value))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self.fail(key, "needs a list of texts")
        return tuple(value)

    def object(self, key: str) -> Fields:
        value = self._get(key)
        if not isinstance(value, dict):
            self.fail(key, "needs an object")
        return Fields(value, file=self.file, where=self.name(key))

    def objects(self, key: str) -> Iterator[Fields]:
        """Yield the objects of a list; a missing list or null is an error, an empty list is not."""
        value = self._get(key)
        if not isinstance(value, list):
            self.fail(key, "needs a list")
        for i, entry in enumerate(value):
            if not isinstance(entry, dict):
                self.fail(f"{key}[{i}]", "needs an object")
            yield Fields(entry, file=self.file, where=self.name(f"{key}[{i}]"))
