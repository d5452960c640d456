"""``camviewer-cli layers``: the layers of a network and which of them suit a map."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from camviewer.commands.arguments import add_model_options, architecture_help, load_request
from camviewer.commands.console import say, warn
from camviewer.models.records import Layer, ModelSummary


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "layers",
        help="layers of a network and which of them suit a map",
        description="List the layers of a network: which one is suggested for maps, which can be used, and why not.",
        epilog=architecture_help(),
    )
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """List the layers; return the exit status."""
    request = load_request(given)
    from camviewer.models.load import load_classifier

    summary = load_classifier(request).summary(measure=True)
    for sentence in summary.warnings:
        warn(sentence)
    if given.json:
        say(json.dumps(to_json(summary), indent=1, allow_nan=False))
        return 0
    identity, prepared = summary.identity, summary.preprocessing
    width, height = prepared.input_size
    say(
        f"{identity.architecture} ({identity.weights}), {len(identity.classes)} classes, {summary.parameters:,} "
        f"parameters, input {width} x {height} by {prepared.resize_mode}, on {summary.device_name}"
    )
    head = summary.head
    say(f"CAM is exact at {head.layer}." if not head.reason else f"CAM is not offered: {head.reason}")
    say("")
    for line in table(summary.layers):
        say(line)
    say("")
    say(f"Suggested: {summary.suggested or 'no layer has a spatial map'}")
    return 0


def to_json(summary: ModelSummary) -> dict[str, Any]:
    """Return all fields of a summary as JSON values."""
    return asdict(summary)


def table(layers: tuple[Layer, ...]) -> list[str]:
    """Return the rows of the table of layers, heading first."""
    heading = ("layer", "type", "shape", "stride", "field", "parameters", "ms", "fit")
    rows = [heading]
    for layer in layers:
        step = layer.positions.step if layer.positions else None
        rows.append(
            (
                layer.name,
                layer.type,
                " x ".join(map(str, layer.output_shape)),
                "" if step is None else f"{step[0]:g}" if step[0] == step[1] else f"{step[0]:g} x {step[1]:g}",
                "" if layer.receptive_field is None else str(layer.receptive_field),
                f"{layer.parameters:,}",
                "" if layer.seconds is None else f"{layer.seconds * 1000:.1f}",
                layer.fit + (f": {layer.reason}" if layer.reason and layer.fit != "usable" else ""),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    right = {3, 4, 5, 6}
    return [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
