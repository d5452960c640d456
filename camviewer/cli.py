"""The command line: parses arguments and runs one subcommand. Nothing heavy is imported before it has to be."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator

from camviewer import __version__
from camviewer.commands import NAMES as SUBCOMMANDS
from camviewer.commands import (
    calibrate,
    check,
    choose_threshold,
    compare,
    convert,
    evaluate,
    explain,
    export,
    few_labels,
    guide,
    import_,
    layers,
    learn_masks,
    train,
)
from camviewer.commands.arguments import Parser
from camviewer.commands.console import say, warn
from camviewer.commands.interrupt import INTERRUPTED
from camviewer.errors import (
    CamviewerError,
    Cancelled,
    CheckpointError,
    LayerError,
    MethodError,
    ModelError,
    UsageError,
)

WRONG_ARGUMENTS = (UsageError, ModelError, LayerError, MethodError, CheckpointError)
"""What ends a command before it began: exit status 2. Everything else is a failure on the way: 1."""

log = logging.getLogger(__name__)


def build_parser() -> Parser:
    """Return the parser with all subcommands."""
    parser = Parser(
        prog="camviewer-cli",
        description="See what an image classifier looks at, and turn it into segmentation masks.\n"
        "For research and teaching. Not a medical device, not for diagnosis.",
        epilog="camviewer-cli COMMAND --help tells the options of a command; camviewer without one opens the window.",
    )
    parser.add_argument("--version", action="version", version=f"camviewer {__version__}")
    parser.add_argument("--check", action="store_true", help="the same as the command check")
    parser.add_argument("--install-desktop", action="store_true", help="add camviewer to the desktop's applications")
    parser.add_argument("--remove-desktop", action="store_true", help="take it away again")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for module in (
        check,
        layers,
        explain,
        evaluate,
        export,
        import_,
        convert,
        train,
        learn_masks,
        compare,
        few_labels,
        choose_threshold,
        calibrate,
        guide,
    ):
        module.add_parser(commands)
    for command in commands.choices.values():
        command.add_argument("--verbose", action="store_true", help="tell on standard error what happens, with traces")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 (something failed), 2 (wrong arguments), 130 (Ctrl-C)."""
    with contextlib.ExitStack() as ending:
        return _status(sys.argv[1:] if argv is None else argv, ending)


def _status(argv: list[str], ending: contextlib.ExitStack) -> int:
    try:
        return _run(argv, ending)
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except WRONG_ARGUMENTS as error:
        return _complain(error, 2)
    except CamviewerError as error:
        return _complain(error, 1)
    except (KeyboardInterrupt, Cancelled):
        warn("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        log.debug("unexpected", exc_info=True)
        kind = type(error).__name__
        warn(f"Something unexpected happened ({kind}: {' '.join(str(error).split())[:300]}). --verbose shows where.")
        return 1


def _run(argv: list[str], ending: contextlib.ExitStack) -> int:
    parser = build_parser()
    if argv and not argv[0].startswith("-") and argv[0] not in SUBCOMMANDS:
        raise UsageError(f"There is no command {argv[0]!r}; there are: {', '.join(SUBCOMMANDS)}.")
    given = parser.parse_args(argv)
    level = logging.DEBUG if getattr(given, "verbose", False) else logging.CRITICAL
    ending.enter_context(_logging(level))
    if given.check:
        return check.run(given)
    if given.install_desktop or given.remove_desktop:
        return _desktop(given)
    if not hasattr(given, "run"):
        parser.error(f"name a command: {', '.join(SUBCOMMANDS)}")
    status: int = given.run(given)
    sys.stdout.flush()
    return status


@contextlib.contextmanager
def _logging(level: int) -> Iterator[None]:
    """Log to standard error while a command runs; who calls it from Python has their own logging back afterwards."""
    root, console = logging.getLogger(), logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    before = root.level
    root.addHandler(console)
    root.setLevel(level)
    for name in ("PIL", "matplotlib"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        root.removeHandler(console)
        root.setLevel(before)


def _desktop(given: argparse.Namespace) -> int:
    from camviewer import desktop

    for path in desktop.install() if given.install_desktop else desktop.remove():
        say(f"{'Written' if given.install_desktop else 'Removed'}: {path}")
    return 0


def _complain(error: CamviewerError, status: int) -> int:
    log.debug("%s", error.details, exc_info=True)
    warn(error.message)
    return status


if __name__ == "__main__":
    sys.exit(main())
