"""``camviewer-cli compare``: checkpoints side by side on the same images, by the same measures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.catalogue.comparison import BY_NAME, MEASURES
from camviewer.catalogue.methods import BY_NAME as METHODS
from camviewer.commands.arguments import DEVICE_HELP, device, seed
from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from camviewer.pipeline.comparison import Comparison, RowDone

WIDE = 8
"""Measures in one block of the table."""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "compare",
        help="checkpoints side by side, with their measures",
        description="Compare checkpoints (epochs, heads, architectures) on the same images: their maps side by side,\n"
        "their measures as a table and over epochs, beside the same networks with random weights and a Gaussian in\n"
        "the centre. The folder of a training stands for all epochs that it kept.",
        epilog="Measures:\n"
        + "\n".join(f"  {measure.title:14} {measure.help}" for measure in MEASURES)
        + "\ndocs/evaluation.md defines them.",
    )
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE|FOLDER", help="weights, or a training")
    parser.add_argument(
        "--images", type=Path, required=True, metavar="PATH", help="folder, one folder a class, CSV file or project"
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where the pictures of a CSV file lie")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="folder of true masks, or COCO file")
    parser.add_argument("--method", choices=tuple(METHODS), help="of the maps (default: cam where all heads allow it)")
    parser.add_argument(
        "--class", dest="shown", choices=("true", "predicted"), default="true", help="whose map (default: true class)"
    )
    parser.add_argument("--reference", metavar="TITLE", help="checkpoint the others agree with (default: the last)")
    parser.add_argument("--limit", type=_count, default=200, metavar="N", help="most images, 0 for all (default: 200)")
    parser.add_argument(
        "--costly", type=_count, default=40, metavar="N", help="of them for faithfulness and stability (default: 40)"
    )
    parser.add_argument("--mosaics", type=_count, default=100, metavar="N", help="for grid pointing (default: 100)")
    parser.add_argument("--no-controls", action="store_true", help="without random weights and centre Gaussian")
    parser.add_argument("--device", type=device, default="auto", metavar="NAME", help=DEVICE_HELP)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of random weights and mosaics (default: 0)")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write table, maps and curves as files")
    parser.add_argument("--sheet", type=_count, default=6, metavar="N", help="images on the sheet of maps (default: 6)")
    parser.add_argument(
        "--scale",
        choices=("shared", "own"),
        default="shared",
        help="colours of the sheet: by the largest of an image's maps under a head (default), or each by its own",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compare; return the exit status."""
    from camviewer.pipeline.checkpoints import find_checkpoints
    from camviewer.pipeline.comparison import ComparisonRequest

    reference = -1
    if given.reference is not None:
        titles = [name.title for name in find_checkpoints(given.checkpoints)]
        if given.reference not in titles:
            raise UsageError(f"There is no checkpoint {given.reference!r}; there are: {', '.join(titles)}.")
        reference = titles.index(given.reference)
    request = ComparisonRequest(
        checkpoints=tuple(given.checkpoints),
        images=given.images,
        truth=given.truth,
        folder=given.pictures,
        method=given.method,
        shown=given.shown,
        reference=reference,
        limit=given.limit,
        costly=given.costly,
        mosaics=given.mosaics,
        controls=not given.no_controls,
        device=given.device,
        seed=given.seed,
    )
    from camviewer.pipeline.compare import compare

    with interruptible() as interrupted, ProgressLine(0, "image") as line:

        def show(done: int, total: int) -> None:
            line.total = total
            line.advance(done)

        def told(done: RowDone) -> None:
            if not given.json:
                line.warn(f"{done.row.name.title} measured")

        try:
            comparison = compare(request, on_progress=show, on_row=told, cancelled=interrupted)
        except Cancelled:
            warn("Stopped.")
            return INTERRUPTED
    for sentence in comparison.notes:
        warn(sentence)
    if given.json:
        say(json.dumps(comparison.to_json(), indent=1, allow_nan=False))
    else:
        for text in table(comparison):
            say(text)
    if given.out is not None:
        from camviewer.pipeline.compare_report import write_report

        written = write_report(comparison, given.out, images=given.sheet, scale=given.scale)
        (warn if given.json else say)(f"Written: {', '.join(path.name for path in written)} in {given.out}")
    return 0


def table(comparison: Comparison) -> list[str]:
    """Return the comparison as lines of text: a line a row, in blocks of columns."""
    known = comparison.known()
    where = {"true": "true masks", "reviewed": "reviewed masks"}.get(comparison.masks)
    masks = f", {comparison.masked} of them with {where}" if where else ", without masks"
    lines = [f"{count(comparison.measured, 'image')}{masks}; method {METHODS[comparison.method].title}."]
    first = max(len(row.name.title) for row in comparison.rows)
    for start in range(0, len(known), WIDE):
        part = [BY_NAME[name] for name in known[start : start + WIDE]]
        lines += ["", "  ".join([" " * first, *(measure.title.rjust(9) for measure in part)])]
        for row in comparison.rows:
            values = [row.measures.get(measure.name) for measure in part]
            cells = ["-" if value is None else f"{value:.3f}" for value in values]
            widths = [max(9, len(measure.title)) for measure in part]
            padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
            lines.append("  ".join([row.name.title.ljust(first), *padded]))
    reference = comparison.rows[comparison.reference].name.title
    lines += ["", f"Agreement, overlap and distance are with {reference}. Lower is better for drop and deletion."]
    return lines


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 0, not {text!r}")
    return int(text)
