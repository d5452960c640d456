"""Where a layer's cells lie in the network's input.

The centre of a cell is the centre of its theoretical receptive field: kernel, stride, padding, dilation, slices and
resizes along the path of convolutions. Of joined branches the union counts. Branches that mix everything with
everything (squeeze-excitation, attention) say nothing about place and are left out.
"""

from __future__ import annotations

import math

from camviewer.images.geometry import CellPositions
from camviewer.models.layout import layout_of
from camviewer.models.operations import Node


def positions_of(node: Node) -> CellPositions | None:
    """Return start and step of the cells of `node`, or None when its path is not known."""
    if "x" not in node.spans or "y" not in node.spans or layout_of(node) is None:
        return None
    across, down = node.spans["x"], node.spans["y"]
    return CellPositions((across.centre, down.centre), (across.step, down.step))


def receptive_field(node: Node) -> int | None:
    """Return the larger side of what a cell sees, in input pixels, unclipped; None when unknown."""
    if "x" not in node.spans or "y" not in node.spans:
        return None
    return math.ceil(max(node.spans["x"].field, node.spans["y"].field))
