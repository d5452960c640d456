"""``camviewer-cli import``: annotations of others as reviewed regions of a project, or as truth to compare with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from camviewer.commands.arguments import name_map
from camviewer.commands.console import ProgressLine, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "import",
        help="annotations of others into a project",
        description="Read COCO, Pascal VOC, YOLO, LabelMe or mask PNG into a project: all of it, or nothing.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="the file, or a folder of images")
    parser.add_argument("source", type=Path, metavar="ANNOTATIONS", help="a file or a folder")
    parser.add_argument(
        "--format", choices=("coco", "voc", "yolo", "labelme", "masks"), help="default: recognised by the files"
    )
    parser.add_argument(
        "--as",
        dest="purpose",
        choices=("reviewed", "truth"),
        default="reviewed",
        help="as the images' reviewed regions (default), or as truth to compare with",
    )
    parser.add_argument("--replace", action="store_true", help="also images that a person worked on here")
    parser.add_argument("--class-name", metavar="NAME", help="class of masks without one")
    parser.add_argument(
        "--map", action="append", default=[], metavar="THERE=HERE", help="class names; an empty one is left out"
    )
    parser.add_argument(
        "--coordinates", choices=("devkit", "zero"), default="devkit", help="how VOC boxes count (default: devkit)"
    )
    parser.add_argument("--reviewer", default="", metavar="NAME", help="kept with the images")
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Import; return the exit status."""
    from camviewer.pipeline.importing import ImportRequest, import_annotations, open_project
    from camviewer.project.truth import compare, images_with_truth

    request = ImportRequest(
        source=given.source,
        format=given.format,
        purpose=given.purpose,
        replace=given.replace,
        class_name=given.class_name,
        class_map=name_map(given.map),
        coordinates=given.coordinates,
        reviewer=given.reviewer,
    )
    with (
        open_project(given.project) as project,
        interruptible() as interrupted,
        ProgressLine(len(project.images()), "image") as line,
    ):
        try:
            report = import_annotations(
                project, request, dry_run=given.dry_run, on_progress=line.advance, cancelled=interrupted
            )
        except Cancelled:
            line.warn("Stopped. Nothing was changed.")
            return INTERRUPTED
        rows = [row for image_id in images_with_truth(project) for row in compare(project, image_id)]
    for name in report.unknown[:10]:
        warn(f"{name} is not in the project.")
    say(report.sentence)
    if given.purpose == "truth" and not given.dry_run and rows:
        mean = sum(row.iou for row in rows) / len(rows)
        say(f"Mean IoU of the project's masks with the truth: {mean:.3f} over {len(rows)} classes of images.")
    return 0
