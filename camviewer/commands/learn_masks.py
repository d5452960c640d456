"""``camviewer-cli learn-masks``: a small network learns from confident and reviewed masks and draws all the others."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.commands.arguments import DEVICE_HELP, device, fraction, seed, whole
from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError
from camviewer.training.segmentation.settings import NEXT_STEPS, LearnSettings

if TYPE_CHECKING:
    from camviewer.pipeline.learn_runs import RoundReport
    from camviewer.training.segmentation.settings import CurvePoint


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    defaults = LearnSettings()
    parser = commands.add_parser(
        "learn-masks",
        help="train on the confident and the reviewed masks, draw the others anew",
        description="A small network learns from the least doubtful automatic masks and from those a person has\n"
        "reviewed, and draws new automatic masks for all the others. Reviewed masks are never touched. Review the\n"
        "most doubtful ones and give the command again: each round goes on from the one before.\n"
        "A training that was stopped goes on when the same command is given again.",
        epilog="Of a project, the masks go into the project; of an explain folder, the result is an explain folder.\n"
        "docs/learn-masks.md says how it works and what it reaches.",
    )
    parser.add_argument("source", type=Path, metavar="EXPLAIN_DIR|PROJECT", help="masks to learn from")
    parser.add_argument(
        "--reviewed", type=Path, metavar="DIR", help="of an explain folder: masks by a person, named as the images"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the network and the result")
    parser.add_argument("--start", type=Path, metavar="FILE", help="of an explain folder: network of an earlier round")
    parser.add_argument("--only-draw", action="store_true", help="draw with the network of --start as it is")
    parser.add_argument("--anew", action="store_true", help="of a project: forget the network of the last round")
    parser.add_argument(
        "--steps",
        type=whole,
        metavar="N",
        help=f"of the training (default: {defaults.steps}; {NEXT_STEPS} when it goes on from an earlier round)",
    )
    parser.add_argument(
        "--confident",
        type=fraction,
        default=defaults.confident,
        metavar="SHARE",
        help="share of the automatic masks, least doubtful first, to learn from (default: %(default)s)",
    )
    parser.add_argument("--device", type=device, default="auto", metavar="NAME", help=DEVICE_HELP)
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of weights, order and augmentation (default: 0)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Learn; return the exit status."""
    from camviewer.formats.explain_json import FILE

    folder = given.source if given.source.name != FILE else given.source.parent
    is_folder = (folder / FILE).is_file()
    if not is_folder and (given.reviewed is not None or given.start is not None):
        raise UsageError("--reviewed and --start are for explain folders; a project holds both itself.")
    if given.only_draw and given.start is None:
        raise UsageError("--only-draw needs the network: name it by --start.")
    if is_folder and given.anew:
        raise UsageError("--anew is for projects; an explain folder starts anew without --start.")
    from camviewer.pipeline.learn_runs import Reports, learn_from_folder, learn_from_project, project_file

    settings = LearnSettings(confident=given.confident, seed=given.seed)
    with interruptible() as interrupted, ProgressLine(0, "step") as line:

        def advance(done: int, total: int) -> None:
            line.total = total
            line.advance(done)

        def point(found: CurvePoint) -> None:
            line.clear()
            say(f"step {found.step:5}  loss {found.loss:.3f}{_agreements(found)}  {found.seconds:.0f} s")

        reports = Reports(line.warn, None, advance, point, None, interrupted)
        try:
            if is_folder:
                settings = _steps(settings, given.steps, continued=given.start is not None)
                report = learn_from_folder(
                    folder,
                    given.out,
                    settings,
                    reviewed=given.reviewed,
                    start=given.start,
                    train=not given.only_draw,
                    device=given.device,
                    reports=reports,
                )
            else:
                file, continued = project_file(given.source)
                settings = _steps(settings, given.steps, continued=continued and not given.anew)
                report = learn_from_project(
                    file, given.out, settings, anew=given.anew, device=given.device, reports=reports
                )
        except Cancelled:
            warn("Stopped. No mask was changed; the same command goes on from here.")
            return INTERRUPTED
    _tell(report)
    return 1 if report.failed else 0


def _steps(settings: LearnSettings, given: int | None, *, continued: bool) -> LearnSettings:
    settings = settings.further() if continued else settings
    return replace(settings, steps=given or (NEXT_STEPS if continued else settings.steps))


def _agreements(found: CurvePoint) -> str:
    parts = [(found.agreement, "confident masks"), (found.reviewed, "reviewed masks")]
    return "".join(f"  IoU {value:.3f} with {name}" for value, name in parts if value is not None)


def _tell(report: RoundReport) -> None:
    learnt = f"{count(report.automatic, 'automatic mask')} and {count(report.reviewed, 'reviewed one')}"
    say(f"Looked at {learnt}; {count(report.drawn, 'image')} drawn anew. The network: {report.network}")
    if report.kept is not None:
        say(f"The new masks overlap the earlier ones by {report.kept:.2f} on average.")
    if report.doubtful:
        say(f"{count(report.doubtful, 'image')} with a doubt of 0.5 or more: review these first, then learn again.")
    if report.empty:
        say(f"In {count(report.empty, 'image')} the network sees no region.")
