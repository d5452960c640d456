"""The subcommands of ``camviewer-cli``, one module each. torch is imported only when one of them computes."""

NAMES = (
    "check",
    "layers",
    "explain",
    "evaluate",
    "export",
    "import",
    "convert",
    "train",
    "learn-masks",
    "compare",
    "few-labels",
    "choose-threshold",
    "calibrate",
    "guide",
)
"""The subcommands. They stand here so that the window can tell them from paths without importing their parsers."""
