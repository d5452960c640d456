"""Typed errors. The message is one sentence for the user that says what to do; details go to the log."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class CamviewerError(Exception):
    """Base of every error that the user meets as one sentence.

    Args:
        message: one sentence (two at most) in the user's words: what happened, and what to do.
        details: text for the log, never shown by default.
    """

    kind = "error"

    def __init__(self, message: str, *, details: str = "") -> None:
        # Names of files and columns come into sentences; what a terminal or a log would obey does not.
        message = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", message)
        super().__init__(message)
        self.message = message
        self.details = details


class ImageError(CamviewerError):
    """A file that cannot become pixels: unreadable, truncated, too large, not an image."""

    kind = "image"


class CheckpointError(CamviewerError):
    """A weights file that cannot be loaded: corrupt, of another architecture, or holding code."""

    kind = "checkpoint"


class ModelError(CamviewerError):
    """A network that cannot do what is asked: unknown architecture, input size refused, no logits."""

    kind = "model"


class LayerError(CamviewerError):
    """A layer that does not exist or has no spatial map."""

    kind = "layer"


class MethodError(CamviewerError):
    """A method that is not defined for this network, layer or parameter value."""

    kind = "method"


class ProjectError(CamviewerError):
    """A project file that cannot be opened or written."""

    kind = "project"


class ExportError(CamviewerError):
    """An export that cannot be written: disk full, folder not writable, nothing to export."""

    kind = "export"


class FormatError(CamviewerError):
    """An annotation file that cannot be read; the message names file and field."""

    kind = "format"


class UsageError(CamviewerError):
    """Wrong arguments or settings; the command line exits with status 2."""

    kind = "usage"


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """A job was cancelled by the user. Not a `CamviewerError`: nothing went wrong."""
