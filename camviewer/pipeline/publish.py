"""Moving a finished export into place: all of it, or nothing."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from camviewer.errors import ExportError
from camviewer.formats import disk

MANIFEST = "run.json"


def report_name(format_name: str) -> str:
    """Return the name of a format's report, by which a later export knows what it may replace."""
    return f"export-{format_name}.json"


def publish(staging: Path, out: Path, *, format_name: str) -> None:
    """Move the content of `staging` to `out`, replacing only an earlier export of the same format.

    A new or empty folder appears in one step. In a folder that holds something, the pieces are moved one by one, the
    report last, and moved back when that fails; nothing of the user's is ever replaced.

    Raises:
        ExportError: when something of another kind stands in the way, or the disk does not take it.
    """
    with disk.writing(out):
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        if not out.exists():
            staging.rename(out)
            return
    if not out.is_dir():
        raise ExportError(f"{out.name} is a file. Choose another folder.")
    report = report_name(format_name)
    earlier = _entries(out, report)
    pieces = sorted((path.name for path in staging.iterdir()), key=lambda name: (name == report, name))
    for name in pieces:
        if (out / name).exists() and name not in earlier:
            raise ExportError(f"{out.name} holds {name} already, from something else. Choose another folder.")
    aside = disk.partial_folder(out)
    moved: list[str] = []
    try:
        with disk.writing(out):
            for name in earlier:
                if (out / name).exists():
                    (out / name).rename(aside / name)
            for name in pieces:
                (staging / name).rename(out / name)
                moved.append(name)
    except BaseException:
        with contextlib.suppress(OSError):
            for name in moved:
                (out / name).rename(staging / name)
            for path in aside.iterdir():
                path.rename(out / path.name)
        raise
    finally:
        disk.remove(aside)


def _entries(out: Path, report: str) -> set[str]:
    """Return the pieces of an earlier export of this format, and the manifest of an export of any format."""
    names: set[str] = set()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        names = {str(name) for name in json.loads((out / report).read_text(encoding="utf-8"))["entries"]} | {report}
    with contextlib.suppress(OSError, ValueError, TypeError):
        if {"camviewer", "runs"} <= set(json.loads((out / MANIFEST).read_text(encoding="utf-8"))):
            names.add(MANIFEST)
    return {name for name in names if "/" not in name and name not in {"", ".", ".."}}
