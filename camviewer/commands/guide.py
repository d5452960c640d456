"""``camviewer-cli guide``: go on training a network so that it looks where the masks are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.commands.arguments import add_model_options, add_table_options, fraction, load_request, whole
from camviewer.commands.console import count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from camviewer.pipeline.guide import Look
    from camviewer.training.guided import GuidedReport


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "guide",
        help="go on training so that the network looks where masks are",
        description="Go on training a network with masks that tell where to look, so that it looks at the object and\n"
        "not at a ruler beside it. What it looks at before and after is measured on pictures that were held out.",
    )
    parser.add_argument("data", type=Path, metavar="PROJECT|FOLDER|CSV", help="labelled pictures")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="masks (default for a project: the reviewed ones)")
    add_table_options(parser)
    parser.add_argument("--epochs", type=whole, default=12, metavar="N", help="rounds over all pictures (default: 12)")
    parser.add_argument("--batch-size", type=whole, default=16, metavar="N", help="pictures of a step (default: 16)")
    parser.add_argument("--lr", type=float, default=1e-3, metavar="RATE", help="learning rate (default: 0.001)")
    parser.add_argument(
        "--mask-weight", type=float, default=10.0, metavar="X", help="of the masks in the loss (default: 10)"
    )
    parser.add_argument(
        "--mining-weight", type=float, default=1.0, metavar="X", help="of the erased object (default: 1)"
    )
    parser.add_argument("--validation", type=fraction, default=0.3, metavar="SHARE", help="share that judges")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the new checkpoint")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Guide and save; return the exit status."""
    from camviewer.pipeline.guide import guide_network
    from camviewer.training.guided import GuidedSettings

    if given.validation <= 0 or given.validation >= 1:
        raise UsageError("--validation needs a share between 0 and 1, so that some pictures guide and some judge.")
    settings = GuidedSettings(
        epochs=given.epochs,
        batch_size=given.batch_size,
        learning_rate=given.lr,
        mask_weight=given.mask_weight,
        mining_weight=given.mining_weight,
        seed=given.seed,
    )
    live = sys.stderr.isatty()

    def on_step(done: int, total: int) -> None:
        if live:
            print(f"\r{done} of {total} steps", end="", file=sys.stderr, flush=True)

    def on_epoch(report: GuidedReport) -> None:
        if live:
            print("\r", end="", file=sys.stderr)
        say(
            f"epoch {report.epoch:3d}  loss {report.loss:.4f}  mask {report.mask_loss:.4f}  "
            f"without the object {report.mining_loss:.3f}  inside {report.inside:.3f}"
        )

    with interruptible() as interrupted:
        try:
            result = guide_network(
                given.data,
                load_request(given),
                given.out,
                masks=given.masks,
                settings=settings,
                held_out=given.validation,
                images=given.images,
                column=given.column,
                on_step=on_step,
                on_epoch=on_epoch,
                on_message=warn,
                cancelled=interrupted,
            )
        except Cancelled:
            warn("Stopped. Nothing was written.")
            return INTERRUPTED
    say(f"Guided by {count(result.masks, 'mask')}; judged on {count(result.before.images, 'picture')} held out:")
    for line in table(result.before, result.after):
        say(line)
    say(f"Written: {result.checkpoint}")
    return 0


def table(before: Look, after: Look) -> list[str]:
    """Return the measures before and after as lines of text."""
    rows = (
        ("map inside the mask", before.inside, after.inside),
        ("inside over area (1 is chance)", before.gain, after.gain),
        ("maximum inside the mask", before.pointing, after.pointing),
        ("accuracy", before.accuracy, after.accuracy),
    )
    return [f"{'':32}{'before':>8}{'after':>8}", *(f"{name:32}{a:8.3f}{b:8.3f}" for name, a, b in rows)]
