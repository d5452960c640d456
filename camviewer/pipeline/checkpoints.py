"""The checkpoints of a comparison: which files a training's folder stands for, and what each is called."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import safe_open

from camviewer.catalogue.architectures import architecture
from camviewer.errors import CheckpointError, ModelError, UsageError
from camviewer.pipeline.comparison import CheckpointName

EPOCHS = "epoch_*.safetensors"
ENDS = ("last.safetensors", "best.safetensors")
_EPOCH = re.compile(r"(?:^|[^a-z])(?:epoch|ep|e)[_-]?(\d{1,5})(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a file says about itself; empty where it says nothing."""

    path: Path
    arch: str
    head: str
    epoch: int | None


def metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, nothing for a file of another kind or one that cannot be read."""
    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except Exception:  # a foreign or damaged file; loading it will say so
        return {}


def has_pooling_head(path: Path) -> bool:
    """Return whether the file says that its network ends in global pooling and one linear layer."""
    return metadata(path).get("head") in ("gap", "gmp")


def training_checkpoints(folder: Path) -> tuple[Path, ...]:
    """Return the checkpoints that a training kept, by epoch: those of every N-th epoch and the last, else the best.

    Raises:
        UsageError: when the folder holds none.
    """
    found = {_epoch(path): path for path in sorted(folder.glob(EPOCHS))}
    for name in ENDS:
        path = folder / name
        if path.is_file() and _epoch(path) not in found and (name == ENDS[0] or len(found) < 2):
            found[_epoch(path)] = path
    if not found:
        raise UsageError(f"{folder} holds no checkpoints of a training. Name the weight files themselves.")
    return tuple(found[epoch] for epoch in sorted(found, key=lambda epoch: (epoch is None, epoch or 0)))


def find_checkpoints(given: Sequence[Path]) -> tuple[CheckpointName, ...]:
    """Return the files that are meant, with names that tell them apart.

    Raises:
        CheckpointError: when a file is missing.
        UsageError: when there are none.
    """
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            paths += training_checkpoints(path)
        elif path.is_file():
            paths.append(path)
        else:
            raise CheckpointError(f"{path} was not found.")
    paths = list(dict.fromkeys(path.absolute() for path in paths))
    if not paths:
        raise UsageError("Name at least one checkpoint, or the folder of a training.")
    return _named([_said(path) for path in paths])


def _named(said: list[_Said]) -> tuple[CheckpointName, ...]:
    archs = {entry.arch for entry in said}
    folders: dict[tuple[str, str], set[Path]] = defaultdict(set)
    for entry in said:
        folders[entry.arch, entry.head].add(entry.path.parent)
    names = []
    for entry in said:
        parts = []
        if entry.arch and len(archs) > 1:
            parts.append(architecture(entry.arch).title)
        if entry.head:
            parts.append(entry.head.upper())
        if entry.head and len(folders[entry.arch, entry.head]) > 1:
            parts.append(entry.path.parent.name)
        series = " ".join(parts) or entry.path.stem
        title = f"{series} {entry.epoch}" if entry.head and entry.epoch is not None else series
        names.append(CheckpointName(title, series, entry.epoch, entry.path))
    counts = Counter(name.title for name in names)
    unique: list[CheckpointName] = []
    for name in names:
        assert name.path is not None
        title = f"{name.title} {name.path.stem}" if counts[name.title] > 1 else name.title
        number, taken = 2, {other.title for other in unique}
        wanted = title
        while title in taken:
            title, number = f"{wanted} ({number})", number + 1
        unique.append(replace(name, title=title))
    return tuple(unique)


def _said(path: Path) -> _Said:
    known = metadata(path)
    arch = known.get("arch", "")
    try:
        architecture(arch)
    except ModelError:
        arch = ""
    return _Said(path, arch, known.get("head", ""), _epoch(path, known))


def _epoch(path: Path, known: dict[str, str] | None = None) -> int | None:
    text = (metadata(path) if known is None else known).get("epoch", "")
    if text.isdecimal():
        return int(text)
    match = _EPOCH.search(path.stem)
    return int(match[1]) if match else None
