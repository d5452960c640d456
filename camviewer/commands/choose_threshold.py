"""``camviewer-cli choose-threshold``: which rule turns maps into masks best, by true or reviewed masks."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from camviewer.evaluation.threshold_choice import Best, ThresholdChoice


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "choose-threshold",
        help="the threshold that fits true or reviewed masks best",
        description="Compare the rules that turn maps into masks on the images whose mask is true or reviewed: for\n"
        "each method and layer the overlap over thresholds, the best rule, and what to expect of it on other images.",
    )
    parser.add_argument("source", type=Path, metavar="PROJECT|EXPLAIN_DIR", help="where maps are stored")
    parser.add_argument(
        "--truth", type=Path, metavar="DIR", help="true masks or COCO file (default for a project: reviewed masks)"
    )
    parser.add_argument(
        "--apply", action="store_true", help="redraw the project's automatic masks; reviewed images are left alone"
    )
    parser.add_argument("--json", action="store_true", help="everything with the curves, for programs")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Choose, and apply where asked; return the exit status."""
    from camviewer.pipeline.choose_threshold import apply_threshold, choose_threshold, is_project

    if given.apply and not is_project(given.source):
        raise UsageError("--apply changes a project. For a folder of results, explain again with the options shown.")
    problems: list[str] = []
    with interruptible() as interrupted, ProgressLine(0, "image") as line:

        def show(done: int, total: int) -> None:
            line.total = total
            line.advance(done)

        try:
            choice = choose_threshold(given.source, truth=given.truth, on_image=show, cancelled=interrupted)
            done = 0
            if given.apply:
                done, problems = apply_threshold(given.source, choice.best.candidate, cancelled=interrupted)
        except Cancelled:
            warn("Stopped.")
            return INTERRUPTED
    for sentence in (*choice.notes, *problems):
        warn(sentence)
    if given.json:
        say(json.dumps({"schema": 1, **asdict(choice)}, indent=1, allow_nan=False))
    else:
        for text in table(choice):
            say(text)
    if given.apply:
        warn(f"{count(done, 'image')} redrawn. Reviewed images are as they were.")
    return 1 if problems else 0


def table(choice: ThresholdChoice) -> list[str]:
    """Return the choice as lines of text."""
    from camviewer.pipeline.choose_threshold import rule_options, rule_words

    lines = [f"{count(choice.images, 'image')} with a true or reviewed mask.", ""]
    width = max(len(_name(best)) for best in choice.each)
    lines.append(f"{'':{width}}  {'IoU here':>9}  {'expected':>9}  {'95 %':>13}  rule")
    for best in choice.each:
        expected = "-" if best.expected is None else f"{best.expected:.3f}"
        interval = "-" if best.interval is None else f"{best.interval[0]:.3f}-{best.interval[1]:.3f}"
        words = rule_words(best.candidate.rule)
        lines.append(f"{_name(best):{width}}  {best.fitted:9.3f}  {expected:>9}  {interval:>13}  {words}")
    if choice.now is not None:
        lines.append(f"{'masks as they are':{width}}  {choice.now:9.3f}")
    lines += ["", "expected: mean IoU on images that had no say in the choice."]
    for curve in choice.curves:
        if len(curve.threshold) > 1 and (curve.components, curve.normalise) == ("largest", "positive"):
            pairs = zip(curve.threshold[::3], curve.iou[::3], strict=True)
            points = "  ".join(f"{t:.2f} {v:.2f}" for t, v in pairs)
            lines.append(f"{curve.method} at {curve.layer}, {curve.kind}: {points}")
    best = choice.best
    lines += ["", f"Best: {_name(best)}, {rule_words(best.candidate.rule)}"]
    place = f"--method {best.candidate.method} --layer {shlex.quote(best.candidate.layer)}"
    lines.append(f"  {place} {rule_options(best.candidate.rule)}")
    return lines


def _name(best: Best) -> str:
    return f"{best.candidate.method} at {best.candidate.layer}"
