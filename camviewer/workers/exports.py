"""Exports as the window asks for them: the request, and a trial run that only counts."""

from __future__ import annotations

from camviewer.pipeline.export import ExportReport, ExportRequest, export

__all__ = ["ExportReport", "ExportRequest", "count_export"]


def count_export(request: ExportRequest) -> ExportReport:
    """Return what an export would write; nothing is written.

    Raises:
        UsageError, ExportError, FormatError, ProjectError: as the export itself would.
    """
    return export(request, dry_run=True)
