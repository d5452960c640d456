"""``camviewer-cli few-labels``: new classes of a network from a handful of labels."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from camviewer.commands.arguments import add_model_options, load_request
from camviewer.commands.console import ProgressLine, count, say, warn
from camviewer.commands.interrupt import INTERRUPTED, interruptible
from camviewer.errors import Cancelled, ExportError

SHOWN = 5


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "few-labels",
        help="new classes of a network from a handful of labels",
        description="Fit a new class layer to a few labelled pictures, on the features that a network has already,\n"
        "and write the result as a checkpoint. The border of the pictures feeds a class for the background, so that\n"
        "the maps of the new classes point at the object.",
        epilog="The table of labels has the columns image and label, and for clicks x and y in pixels of the image; a\n"
        "click names what one point shows. The label background is for what is no object.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image or folder (with all below it)")
    parser.add_argument("--marks", type=Path, required=True, metavar="FILE", help="CSV table of labels")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="checkpoint to write (.safetensors)")
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="CSV table of every picture's class to write")
    parser.add_argument(
        "--background",
        choices=("border", "labels"),
        default="border",
        help="what feeds the background: the border of the pictures (default), or its labels alone",
    )
    parser.add_argument("--no-cache", action="store_true", help="keep no features on the disk")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Fit, predict and save; return the exit status."""
    from camviewer.pipeline.explain import find_images
    from camviewer.pipeline.few_labels import FewLabels, read_marks
    from camviewer.training.feature_cache import FeatureCache

    paths = [image.path for image in find_images(given.inputs)]
    marks = read_marks(given.marks, paths)
    few = FewLabels(load_request(given), cache=None if given.no_cache else FeatureCache())
    with interruptible() as interrupted, ProgressLine(len(paths), "image") as line:
        try:
            gallery = few.read(paths, on_image=lambda done, _total: line.advance(done), cancelled=interrupted)
        except Cancelled:
            warn("Stopped. What was read is kept.")
            return INTERRUPTED
    for _path, sentence in gallery.failed[:SHOWN]:
        warn(sentence)
    if len(gallery.failed) > SHOWN:
        warn(f"... and {len(gallery.failed) - SHOWN} more that cannot be read.")
    result = few.fit(gallery, marks, border=given.background == "border")
    found = result.classes
    for sentence in result.messages:
        warn(sentence)
    few.save(given.out, found)
    labels = ", ".join(f"{name} {number}" for name, number in found.counts.items() if number)
    say(f"{count(len(found.classes), 'class', 'classes')} from {labels}; fitted in {1000 * found.seconds:.0f} ms.")
    if found.accuracy is None:
        say("Two labels a class or more would tell how good it is.")
    else:
        say(f"Balanced accuracy, estimated by leaving labels out: {found.accuracy:.2f}.")
    unsure = result.least_sure(without=[mark.path for mark in marks])[:SHOWN]
    if unsure:
        say("Least sure: " + ", ".join(f"{guess.path.name} ({guess.name} {guess.probability:.2f})" for guess in unsure))
    if given.predictions is not None:
        try:
            with given.predictions.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("image", "label", "probability", "margin"))
                for guess in result.guesses:
                    writer.writerow((guess.path, guess.name, f"{guess.probability:.6f}", f"{guess.margin:.6f}"))
        except OSError as error:
            raise ExportError(
                f"{given.predictions} cannot be written: {error.strerror}.", details=repr(error)
            ) from None
    say(f"Written: {given.out}")
    return 1 if gallery.failed else 0
