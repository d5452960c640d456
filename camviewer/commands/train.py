"""``camviewer-cli train``: a network with a GAP or GMP head from labelled pictures."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.catalogue.architectures import architecture
from camviewer.catalogue.training import BACKGROUND, MOSAICS
from camviewer.commands.arguments import (
    DEVICE_HELP,
    add_table_options,
    architecture_help,
    device,
    fraction,
    seed,
    weights,
    whole,
)
from camviewer.commands.console import say, warn
from camviewer.errors import UsageError
from camviewer.training.settings import PLAIN, Augmentation, TrainSettings, new_options, usual_rate

if TYPE_CHECKING:
    from camviewer.training.settings import EpochReport


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "train",
        help="train a network whose maps are exact",
        description="Train a network that ends in global pooling and one linear layer, as class activation maps need.\n"
        "The pictures lie in one folder a class, or are named by a CSV file (HAM10000, ISIC) or by a\n"
        "project (labels, else the classes of a person's regions), or are CIFAR-10.\n"
        "A training that was stopped goes on when the same command is given again.",
        epilog=architecture_help(),
    )
    parser.add_argument("data", type=Path, metavar="FOLDER|CSV|PROJECT", help="labelled pictures")
    parser.add_argument(
        "--arch", metavar="ARCH", help="architecture (default: that of --weights, else camnet, small, with fine maps)"
    )
    parser.add_argument("--head", choices=("gap", "gmp"), default="gap", help="global pooling (default: gap, the mean)")
    parser.add_argument("--finer", type=int, default=0, metavar="N", help="undo the last N halvings of the resolution")
    parser.add_argument("--weights", type=weights, metavar="FILE", help="start from a file or torchvision:NAME")
    add_table_options(parser)
    parser.add_argument("--epochs", type=whole, default=20, metavar="N", help="rounds over all pictures (default: 20)")
    parser.add_argument("--batch-size", type=whole, default=32, metavar="N", help="pictures of a step (default: 32)")
    parser.add_argument(
        "--lr", type=float, metavar="RATE", help="highest learning rate (default: 0.001; 0.0005 with --weights)"
    )
    parser.add_argument(
        "--schedule",
        choices=("one_cycle", "constant"),
        default="one_cycle",
        help="of the learning rate: up and down again once (default), or the same throughout",
    )
    parser.add_argument(
        "--input-size",
        type=whole,
        metavar="N",
        help="side of the input (default: the architecture's own, less for smaller pictures)",
    )
    parser.add_argument("--only-head", action="store_true", help="train the last layer alone")
    parser.add_argument(
        "--class-weights",
        choices=("balanced", "sqrt", "none"),
        default="balanced",
        help="by the inverse of how many pictures a class has (default), by its root, or all the same",
    )
    parser.add_argument("--no-augmentation", action="store_true", help="show the pictures as they are")
    parser.add_argument(
        "--background",
        type=fraction,
        default=BACKGROUND,
        metavar="SHARE",
        help="beside each batch show what surrounds the objects, made from the pictures' corners, which belongs to no "
        "class, so that maps point at the object (default: %(default)s of the batch; 0 for none)",
    )
    parser.add_argument(
        "--mosaics",
        type=fraction,
        default=MOSAICS,
        metavar="SHARE",
        help="beside each batch show so many mosaics of four of its pictures, in which each class has to be recognised "
        "in its own place, so that maps tell where a class is (default: %(default)s of the batch; 0 for none)",
    )
    parser.add_argument("--validation", type=fraction, default=0.2, metavar="SHARE", help="share that judges")
    parser.add_argument("--patience", type=int, default=0, metavar="N", help="stop after N epochs without gain")
    parser.add_argument("--save-every", type=int, default=0, metavar="N", help="keep a checkpoint every N epochs")
    parser.add_argument("--device", type=device, default="auto", metavar="NAME", help=DEVICE_HELP)
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of weights, order and augmentation (default: 0)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the checkpoints")
    parser.set_defaults(run=run)


def settings_of(given: argparse.Namespace, arch: str) -> TrainSettings:
    """Return the settings that the options describe, for an architecture.

    Raises:
        UsageError: for values out of range.
    """
    spec = architecture(arch)
    if given.finer and spec.own:
        raise UsageError(f"{spec.title} has fine maps already; --finer is for torchvision's architectures.")
    side = given.input_size or spec.input_size
    return TrainSettings(
        arch=spec.name,
        head=given.head,
        options=new_options(spec, given.finer),
        epochs=given.epochs,
        batch_size=given.batch_size,
        learning_rate=usual_rate(given.weights is not None) if given.lr is None else given.lr,
        schedule=given.schedule,
        scope="head" if given.only_head else "all",
        class_weights=given.class_weights,
        input_size=(side, side),
        augmentation=PLAIN if given.no_augmentation else Augmentation(),
        background=given.background,
        mosaics=given.mosaics,
        patience=given.patience,
        save_every=given.save_every,
        seed=given.seed,
    )


def run(given: argparse.Namespace) -> int:
    """Train; return the exit status."""
    # What cannot be is refused before torch is loaded and the pictures are read.
    settings = settings_of(given, given.arch or "camnet")
    from camviewer.training.run import architecture_of, train
    from camviewer.training.sources import read_source, usual_side

    if given.arch is None and given.weights is not None:
        settings = settings_of(given, architecture_of(given.weights))
    data = read_source(given.data, images=given.images, column=given.column)
    if given.input_size is None:
        side = usual_side(architecture(settings.arch), data)
        settings = replace(settings, input_size=(side, side))
    counts = ", ".join(f"{name} {count}" for name, count in zip(data.classes, data.counts(), strict=True))
    say(f"{len(data)} pictures in {len(data.classes)} classes: {counts}")
    live = sys.stderr.isatty()

    def on_step(done: int, total: int) -> None:
        if live:
            print(f"\r{done} of {total} steps", end="", file=sys.stderr, flush=True)

    def on_epoch(report: EpochReport) -> None:
        if live:
            print("\r", end="", file=sys.stderr)
        line = f"epoch {report.epoch:3d}  loss {report.loss:.4f}  accuracy {report.accuracy:.3f}"
        if report.validation_loss is not None and report.balanced_accuracy is not None:
            line += f"  validation: loss {report.validation_loss:.4f}  accuracy {report.validation_accuracy:.3f}"
            line += f"  balanced {report.balanced_accuracy:.3f}"
        say(line)

    result = train(
        data,
        settings,
        given.out,
        weights=given.weights,
        validation_share=given.validation,
        device=given.device,
        on_step=on_step,
        on_epoch=on_epoch,
        on_message=warn,
    )
    say(f"Best: {result.best}")
    return 0
