"""``camviewer`` and ``python -m camviewer``: the window, or the command line when a subcommand is given."""

from __future__ import annotations

import sys

from camviewer.commands import NAMES

HEADLESS = {"--help", "-h", "--version", "--check", "--install-desktop", "--remove-desktop"}


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--qt-platform"]:  # of the self-check; in a process of its own, which Qt ends without a display
        from PySide6.QtGui import QGuiApplication

        print(QGuiApplication([]).platformName())
        return 0
    if arguments and (arguments[0] in HEADLESS or arguments[0] in NAMES):
        from camviewer import cli

        return cli.main(arguments)
    from camviewer import app

    return app.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
