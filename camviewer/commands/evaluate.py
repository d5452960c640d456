"""``camviewer-cli evaluate``: maps and masks against what is true, beside controls."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.commands.arguments import add_model_options, load_request
from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from camviewer.pipeline.evaluate import Report, Row

SHOWN = 5
"""Problems that are named one by one."""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "evaluate",
        help="maps and masks against true masks or boxes",
        description="Measure an explain folder against true masks or boxes: overlap of the masks, boxes, pointing and\n"
        "energy of the maps, and what the doubt is worth. Always beside a Gaussian in the centre, and with --weights\n"
        "beside the same network with random weights.",
        epilog="A mask of a.jpg is called a.png, a_segmentation.png or a_mask.png, in any case and folder of DIR.\n"
        "docs/evaluation.md defines every measure.",
    )
    parser.add_argument("folder", type=Path, metavar="EXPLAIN_DIR", help="folder that explain has written")
    parser.add_argument("--truth", type=Path, required=True, metavar="DIR", help="folder of true masks, or COCO file")
    parser.add_argument("--json", action="store_true", help="everything with the curves, for programs")
    parser.add_argument(
        "--faithfulness",
        action="store_true",
        help="also average drop, increase, average gain, deletion and insertion; needs --weights",
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help="also how much of the maps lies on lesion, border and artefacts; with --weights also how the probability "
        "moves when an artefact is inpainted away",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Measure the folder; return the exit status."""
    named = given.model is not None or given.weights is not None
    if given.faithfulness and not named:
        raise UsageError("--faithfulness needs the network: name it by --model, --weights or both.")
    load = load_request(given) if named else None
    from camviewer.pipeline.evaluate import evaluate

    with interruptible() as interrupted, ProgressLine(0, "image") as line:

        def show(done: int, total: int) -> None:
            line.total = total
            line.advance(done)

        try:
            report = evaluate(
                given.folder,
                given.truth,
                load=load,
                faithfulness=given.faithfulness,
                attention=given.attention,
                on_image=show,
                cancelled=interrupted,
            )
        except Cancelled:
            warn("Stopped.")
            return INTERRUPTED
    for sentence in report.notes:
        warn(sentence)
    for sentence in report.problems[:SHOWN]:
        warn(sentence)
    if len(report.problems) > SHOWN:
        warn(f"... and {len(report.problems) - SHOWN} more; --json names all.")
    if given.json:
        say(json.dumps({"schema": 1, **asdict(report)}, indent=1, allow_nan=False))
    else:
        for text in table(report):
            say(text)
    return 1 if report.problems else 0


def table(report: Report) -> list[str]:
    """Return the report as lines of text."""
    missing = f"; {count(len(report.missing), 'image')} without truth left out" if report.missing else ""
    lines = [f"{count(report.images, 'image')} measured{missing}.", ""]
    columns: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
        ("IoU", lambda row: getattr(row.masks, "iou", None)),
        ("Dice", lambda row: getattr(row.masks, "dice", None)),
        ("J >= .65", lambda row: getattr(row.masks, "thresholded_jaccard", None)),
        ("map IoU", lambda row: getattr(row.maps, "best_iou", None)),
        ("at", lambda row: getattr(row.maps, "best_threshold", None)),
        ("BoxAcc", lambda row: getattr(row.maps, "max_box_acc", None)),
        ("BoxAccV2", lambda row: getattr(row.maps, "max_box_acc_v2", None)),
        ("PxAP", lambda row: getattr(row.maps, "pxap", None)),
        ("pointing", lambda row: getattr(row.maps, "pointing", None)),
        ("energy/area", lambda row: getattr(row.maps, "energy_gain", None)),
    )
    heading = ["", *(name for name, _ in columns)]
    rows = [heading]
    for row in report.rows:
        rows.append([row.name, *(_number(value(row)) for _, value in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(heading))]
    for cells in rows:
        rest = "  ".join(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        lines.append(f"{cells[0].ljust(widths[0])}  {rest}".rstrip())
    for row in report.rows:
        lines += _curve(row) + _triage(row) + _faithfulness(row) + _attention(row)
    lines += [
        "",
        "IoU, Dice, J >= .65 (ISIC 2018, below 0.65 counts 0): the masks. map IoU: the map alone at its best",
        "threshold. energy/area: 1.0 is chance.",
    ]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _curve(row: Row) -> list[str]:
    if row.control or row.maps is None or not row.maps.curve_iou:
        return []
    step = max(1, len(row.maps.curve_iou) // 10)
    pairs = zip(row.maps.curve_threshold[::step], row.maps.curve_iou[::step], strict=True)
    return ["", f"{row.name}, IoU of the map by threshold: " + "  ".join(f"{t:.1f} {v:.2f}" for t, v in pairs)]


def _triage(row: Row) -> list[str]:
    found = row.triage
    if found is None:
        return []
    return [
        f"{row.name}, doubt: AUC {_number(found.auc)} for masks below 0.65; the best 70 % have IoU "
        f"{found.kept_iou:.3f} and {100 * found.kept_failed:.0f} % below 0.65.",
        f"{row.name}, IoU of the least doubtful 10, 20, ... 100 %: "
        + "  ".join(f"{value:.2f}" for value in found.risk_coverage),
    ]


def _faithfulness(row: Row) -> list[str]:
    found = row.faithfulness
    if found is None:
        return []
    return [
        f"{row.name}: average drop {found.average_drop:.3f}, increase {found.increase:.3f}, average gain "
        f"{found.average_gain:.3f}, deletion {found.deletion_auc:.3f}, insertion {found.insertion_auc:.3f}."
    ]


def _attention(row: Row) -> list[str]:
    found = row.attention
    if found is None:
        return []
    lines = [
        f"{row.name}, energy over area (1.0 is chance): lesion {_number(found.lesion)}, border {_number(found.border)}."
    ]
    for kind in found.artefacts:
        moved = (
            f"; inpainted away, the probability moves by {kind.change:+.3f}, at most {kind.largest_change:+.3f}"
            if kind.change is not None and kind.largest_change is not None
            else ""
        )
        where = f"{kind.kind} in {count(kind.images, 'image')}"
        lines.append(f"  {where}: {_number(kind.energy)}, above chance in {kind.favoured}{moved}.")
    return lines
