"""Exports and imports as the window asks for them: the requests, and trial runs that only count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.pipeline.export import ExportReport, ExportRequest, export
from camviewer.pipeline.export_records import size_words
from camviewer.pipeline.importing import ImportReport, ImportRequest, import_annotations
from camviewer.pipeline.split import IMAGE_COLUMNS, GroupColumn, find_group_columns, keeps_together, read_columns
from camviewer.project.store import Project

if TYPE_CHECKING:
    from camviewer.workers.tasks import Reporter

__all__ = [
    "IMAGE_COLUMNS",
    "ExportReport",
    "ExportRequest",
    "GroupColumn",
    "ImportReport",
    "ImportRequest",
    "count_export",
    "find_group_columns",
    "import_into",
    "keeps_together",
    "read_columns",
    "size_words",
]


def count_export(request: ExportRequest, reporter: Reporter | None = None) -> ExportReport:
    """Return what an export would write; nothing is written.

    Args:
        reporter: gets (images done, images in all), and ends the count when nobody waits for it.

    Raises:
        UsageError, ExportError, FormatError, ProjectError: as the export itself would.
    """

    def show(done: int, total: int) -> None:
        if reporter is not None and done % 50 == 0:
            reporter.report((done, total))

    wanted = reporter.wanted if reporter is not None else lambda: True
    return export(request, dry_run=True, on_progress=show, cancelled=lambda: not wanted())


def import_into(
    project: Path, request: ImportRequest, reporter: Reporter | None = None, *, dry_run: bool = False
) -> ImportReport:
    """Import annotations into the project file `project`, or only count; all of them, or none.

    Args:
        reporter: gets the number of annotated images read, and ends the import when nobody waits for it.

    Raises:
        UsageError, FormatError, ProjectError: as `import_annotations`.
    """

    def show(done: int) -> None:
        if reporter is not None and done % 20 == 0:
            reporter.report(done)

    wanted = reporter.wanted if reporter is not None else lambda: True
    with Project.open(project) as opened:
        return import_annotations(opened, request, dry_run=dry_run, on_progress=show, cancelled=lambda: not wanted())
