"""``camviewer-cli explain``: maps, boxes and masks of images, into an explain folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from camviewer.catalogue.refinements import BY_NAME as REFINEMENTS
from camviewer.commands.arguments import (
    Several,
    add_map_options,
    add_model_options,
    fraction,
    load_request,
    map_request,
    method_help,
    refinement_help,
    refinement_parameters,
    whole,
)
from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import UsageError
from camviewer.pipeline.settings import SAVE, SAVEABLE, ExplainSettings
from camviewer.regions.rules import RegionRule


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "explain",
        help="maps, boxes and masks of images",
        description="Compute maps of images, find boxes and masks in them, and write explain.json beside them.\n"
        "A file that cannot be read becomes a row with its error; the exit status is then 1.",
        epilog=f"{method_help()}\n\n{refinement_help()}",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image or folder (with all below it)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    add_model_options(parser)
    parser.add_argument(
        "--batch-size", type=whole, metavar="N", help="images computed at once; changes results by rounding alone"
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where it is computed: here, or on a Ray cluster"
    )
    parser.add_argument(
        "--workers",
        type=whole,
        metavar="N",
        help="processes of the cluster with a network each (default: one a core)",
    )
    add_map_options(parser)
    group = parser.add_argument_group("regions")
    group.add_argument(
        "--rule", choices=("fraction", "percentile", "otsu"), default="fraction", help="of the threshold"
    )
    group.add_argument(
        "--threshold",
        type=fraction,
        default=0.2,
        metavar="T",
        help="share of the map's maximum, or of the pixels for percentile (default: 0.2)",
    )
    group.add_argument("--components", choices=("largest", "all"), default="largest", help="default: %(default)s")
    group.add_argument("--normalise", choices=("positive", "minmax"), default="positive", help="default: %(default)s")
    group.add_argument(
        "--refine",
        choices=tuple(REFINEMENTS),
        default="auto",
        metavar="NAME",
        help=f"how masks are drawn: {', '.join(REFINEMENTS)} (default: auto); boxes always come from the map",
    )
    group.add_argument(
        "--refine-param", action="append", default=[], metavar="NAME=V", help="of the refinement, see the list below"
    )
    group.add_argument(
        "--save",
        action=Several,
        const=SAVEABLE,
        default=SAVE,
        metavar="WHAT",
        help=f"{','.join(SAVEABLE)} (default: all but the last); three-valued: masks for training, "
        "0, class number + 1, and 255 (ignore) where the outline is uncertain",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Explain the inputs; return the exit status."""
    from camviewer.pipeline.computation import Computation
    from camviewer.pipeline.explain import Failure, explain_folder, find_images

    settings = ExplainSettings(
        inputs=tuple(given.inputs),
        out=given.out,
        load=load_request(given),
        maps=map_request(given),
        rule=RegionRule(
            rule=given.rule,
            threshold=given.threshold,
            components=given.components,
            normalise=given.normalise,
            refine=given.refine,
            refine_parameters=refinement_parameters(given.refine, given.refine_param),
        ),
        save=given.save,
        batch_size=given.batch_size,
    )
    if given.workers is not None and given.engine == "local":
        raise UsageError("--workers is about a cluster. Add --engine ray.")
    source = None
    if given.engine == "ray":
        from camviewer.pipeline.cluster import on_cluster

        source = on_cluster(given.workers)
    images = find_images(settings.inputs)
    with interruptible() as interrupted, ProgressLine(len(images), "image") as line:
        computation = Computation(settings.load, on_notice=line.warn)
        for sentence in computation.summary.warnings:
            line.warn(sentence)

        unexpected = False

        def show(done: int, path: Path, failure: Failure | None) -> None:
            nonlocal unexpected
            if failure is not None:
                unexpected = unexpected or failure.kind == "unexpected"
                line.warn(failure.message)
            line.advance(done)

        report = explain_folder(settings, images, computation, source=source, on_image=show, cancelled=interrupted)
    if unexpected and not given.verbose:
        warn("With --verbose the cause is shown here.")
    done = count(report.images - report.failed, "image")
    failed = f", {report.failed} cannot be explained" if report.failed else ""
    if report.images < report.total:
        kept = f" {report.file} holds them." if report.file else f" The earlier results in {settings.out} are kept."
        warn(f"Stopped after {count(report.images, 'image')} of {report.total}.{kept if report.images else ''}")
        return INTERRUPTED
    say(f"{done} explained{failed}: {report.file}")
    return 1 if report.failed else 0
