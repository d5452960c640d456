"""``camviewer-cli convert``: a network with a GAP or GMP head from one that has another end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from camviewer.commands.arguments import add_model_options, architecture_help, load_request
from camviewer.commands.console import say, warn
from camviewer.errors import UsageError


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "convert",
        help="give a network the end that class activation maps need",
        description="Cut a network behind its last convolution and put global pooling and one linear layer there.\n"
        "Everything before keeps its weights. The linear layer keeps its own where the network ended that way\n"
        "already; else it is new, and train --weights FILE goes on from it.",
        epilog=architecture_help(),
    )
    add_model_options(parser)
    parser.add_argument("--head", choices=("gap", "gmp"), default="gap", help="global pooling (default: gap, the mean)")
    parser.add_argument("--finer", type=int, default=0, metavar="N", help="undo the last N halvings of the resolution")
    parser.add_argument("--classes", metavar="NAME,NAME", help="other classes than the network's own")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write (.safetensors)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Convert; return the exit status."""
    load = load_request(given)
    if given.out.suffix.lower() != ".safetensors":
        raise UsageError("The checkpoint is written as safetensors: call it NAME.safetensors.")
    classes = tuple(name.strip() for name in (given.classes or "").split(",") if name.strip())
    from camviewer.pipeline.convert import ConvertRequest, convert_checkpoint

    report = convert_checkpoint(ConvertRequest(load, given.out, given.head, given.finer, classes))
    say(f"{report.path}: {report.layer}, {report.after[0]} x {report.after[1]} cells, then {given.head.upper()}")
    if report.before != report.after and report.before != (0, 0):
        say(f"The original has {report.before[0]} x {report.before[1]} cells there.")
    (say if report.kept_classes else warn)(report.note)
    return 0
