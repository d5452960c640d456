"""``camviewer-cli export``: a project or an explain folder, written in an annotation format."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from camviewer.catalogue.formats import BY_NAME, FORMATS, format_spec
from camviewer.catalogue.parameters import Value
from camviewer.commands.arguments import name_map, seed, split
from camviewer.commands.console import ProgressLine, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "export",
        help="masks and boxes in an annotation format",
        description="Export a project (the file, or the folder it lies in) or a folder that explain wrote.",
        epilog=format_help(),
    )
    parser.add_argument("source", type=Path, metavar="PROJECT|EXPLAIN_DIR", help="what is exported")
    parser.add_argument("--format", required=True, choices=tuple(BY_NAME), metavar="NAME", help=", ".join(BY_NAME))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the result")
    parser.add_argument(
        "--status",
        choices=("reviewed", "all"),
        help="default: reviewed for a project, all for an explain folder, whose files then say unreviewed",
    )
    parser.add_argument("--split", type=split, default=(), metavar="0.8,0.1,0.1", help="shares of train, val and test")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the split (default: 0)")
    parser.add_argument(
        "--groups", metavar="FILE:COLUMN", help="CSV; images with an equal value of the column stay in one part"
    )
    parser.add_argument(
        "--regions",
        choices=("predicted", "all"),
        default="predicted",
        help="of an explain folder: the first class of an image (default), or every class",
    )
    parser.add_argument("--images", choices=("reference", "copy", "link"), help="what happens to the image files")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="where the images lie, when they were moved")
    parser.add_argument(
        "--strip",
        action=argparse.BooleanOptionalAction,
        help="remove camera, place and comments from image files (default: from copies)",
    )
    parser.add_argument("--param", action="append", default=[], metavar="NAME=V", help="see the list below")
    parser.add_argument(
        "--map", action="append", default=[], metavar="CLASS=NEW", help="class names; an empty one is left out"
    )
    parser.add_argument(
        "--max-doubt",
        type=float,
        metavar="X",
        help="leave out images with a mask in more doubt than this, 0 to 1, that no person reviewed",
    )
    parser.add_argument("--verify", action="store_true", help="read everything back before it counts as written")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Export; return the exit status."""
    from camviewer.pipeline.export import ExportRequest, export

    groups, column = _groups(given.groups)
    request = ExportRequest(
        source=given.source,
        format=given.format,
        out=given.out,
        status=given.status,
        options=_options(given.format, given.param),
        regions=given.regions,
        ratios=given.split,
        seed=given.seed,
        groups=groups,
        group_column=column,
        images=given.images,
        strip=given.strip,
        image_root=given.image_root,
        class_map=name_map(given.map),
        max_doubt=given.max_doubt,
        verify=given.verify,
    )
    with interruptible() as interrupted, ProgressLine(0, "image") as line:

        def show(done: int, total: int) -> None:
            line.total = total
            line.advance(done)

        try:
            report = export(request, dry_run=given.dry_run, on_progress=show, cancelled=interrupted)
        except Cancelled:
            line.warn("Stopped. Nothing was written.")
            return INTERRUPTED
    for problem in report.problems:
        warn(problem)
    if report.dry_run:
        _say_table(("File or folder", "Images", "Regions", "Size", "Note"), report.table())
    say(report.sentence if report.dry_run else f"{report.sentence} They lie in {report.out}.")
    return 1 if report.left_out.get("cannot be read") else 0


def _say_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table with its names and notes at the left, its numbers at the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [
            text.rjust(width) if 0 < i < len(head) - 1 else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def format_help() -> str:
    """Return the formats and their parameters, for the end of ``--help``."""
    lines = ["formats:"]
    for spec in FORMATS:
        lines.append(f"  {spec.name:<10} {spec.title}: {spec.shows}")
        for p in spec.parameters:
            values = "|".join(p.choices) if p.choices else p.kind
            lines.append(f"    --param {p.name}={values} (default: {p.default}) {p.help}")
    return "\n".join(lines)


def _options(name: str, given: list[str]) -> dict[str, Value]:
    known = {parameter.name: parameter for parameter in format_spec(name).parameters}
    options: dict[str, Value] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().removeprefix(f"{name}.")
        if not equals:
            raise UsageError(f"--param needs NAME=VALUE, not {text!r}.")
        if key not in known:
            raise UsageError(f"The format {name} has no parameter {key!r}; it has: {', '.join(known) or 'none'}.")
        options[key] = known[key].parse(value.strip())
    return options


def _groups(text: str | None) -> tuple[Path | None, str]:
    if text is None:
        return None, ""
    file, colon, column = text.rpartition(":")
    if not colon or not file or not column:
        raise UsageError(f"--groups needs FILE:COLUMN, not {text!r}.")
    return Path(file), column
