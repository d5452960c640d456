"""``camviewer-cli calibrate``: one temperature for a project's network, from its labelled images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camviewer.commands.console import count, say


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "calibrate",
        help="a temperature that makes a network's probabilities mean what they say",
        description="Fit one temperature on the images of a project that the network computed and that have a label,\n"
        "at least 50, and keep it in the project. Logits and stored probabilities stay as they are; the window and\n"
        "exports show the probabilities at that temperature.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="project file")
    parser.add_argument("--dry-run", action="store_true", help="measure, and keep nothing")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Fit, and keep unless asked not to; return the exit status."""
    from camviewer.evaluation.calibration import BINS
    from camviewer.pipeline.calibrate import as_temperature, calibrate_project
    from camviewer.project.store import Project
    from camviewer.project.temperature import set_temperature

    network, found = calibrate_project(given.project)
    if not given.dry_run:
        with Project.open(given.project) as project:
            set_temperature(project, network, as_temperature(found))
    if given.json:
        say(json.dumps({"schema": 1, "architecture": network[0], "weights_sha256": network[1], **asdict(found)}))
        return 0
    say(f"{network[0]}: temperature {found.temperature:.3f}, from {count(found.images, 'labelled image')}")
    say(f"  accuracy {found.accuracy:.3f}")
    say(f"  ECE  {found.ece_before:.3f} before, {found.ece_after:.3f} after ({BINS} bins of equal mass, same images)")
    say(f"  NLL  {found.nll_before:.3f} before, {found.nll_after:.3f} after")
    return 0
