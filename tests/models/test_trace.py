"""Which cells of the image a tensor holds, followed through reordering, cutting, joining and reducing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from camviewer.models.layout import Layout, layout_of, to_grid
from camviewer.models.trace import Call, trace

COLUMNS, ROWS = 6, 4
"""of the stem's cells, for an input of 24 x 16 pixels"""


class Marked(nn.Module):
    """A stem whose cells do `follow`, then a module that marks the result."""

    def __init__(self, follow: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, stride=4)
        self.mark = nn.Identity()
        self.follow = follow

    def forward(self, image: Tensor) -> Tensor:
        self.seen = self.mark(self.follow(self.stem(image)) * 1)
        return self.seen.flatten(1)[:, :2]


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def with_class_token(x: Tensor) -> Tensor:
    return torch.cat([x.new_zeros(len(x), 1, 5), tokens(x)], 1)


GRID = (COLUMNS, ROWS)


@pytest.mark.parametrize(
    ("follow", "layout"),
    [
        (lambda x: x, Layout("nchw", GRID)),
        (lambda x: x.permute(0, 2, 3, 1), Layout("nhwc", GRID)),
        (lambda x: x.permute(0, 2, 3, 1).transpose(-1, 1), None),  # columns before rows
        (lambda x: x.flatten(2), Layout("channel_tokens", GRID)),
        (tokens, Layout("tokens", GRID)),
        (with_class_token, Layout("tokens", GRID, 1)),
        (lambda x: with_class_token(x)[:, 1:], Layout("tokens", GRID)),
        (lambda x: torch.cat([x.new_zeros(len(x), 2, 5), with_class_token(x)], 1), Layout("tokens", GRID, 3)),
        (lambda x: torch.cat([x.new_zeros(len(x), 2, 5), with_class_token(x)], 1)[:, 1:], Layout("tokens", GRID, 2)),
        (lambda x: with_class_token(x)[:, 2:], None),  # the first cell is gone
        (lambda x: with_class_token(x)[:, ::2], None),
        (lambda x: with_class_token(x)[:, :, :3], Layout("tokens", GRID, 1)),
        (lambda x: with_class_token(x)[:, 0], None),
        (lambda x: torch.cat([x, x], 1), Layout("nchw", GRID)),
        (lambda x: torch.cat([x, x], 2), None),  # rows twice
        (lambda x: x[:, :, 1:], Layout("nchw", (COLUMNS, ROWS - 1))),
        (lambda x: x[:, :, -2:, ::2], Layout("nchw", (COLUMNS // 2, 2))),
        (lambda x: x[:, 1:3], Layout("nchw", GRID)),
        (lambda x: F.pad(x, (1, 2, 0, 1)), Layout("nchw", (COLUMNS + 3, ROWS + 1))),
        (lambda x: F.pad(x, (0, 0, 0, 0, 1, 1)), Layout("nchw", GRID)),
        (lambda x: x.mean(1, keepdim=True), Layout("nchw", GRID)),
        (lambda x: x.mean(2), None),
        (lambda x: x.mean((2, 3)), None),
        (lambda x: x * x.mean((2, 3), keepdim=True), Layout("nchw", GRID)),
        (lambda x: x.unbind(1)[0].unsqueeze(1), Layout("nchw", GRID)),
        (lambda x: F.avg_pool2d(x, 2), Layout("nchw", (COLUMNS // 2, ROWS // 2))),
        (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), Layout("nchw", (3, 2))),
        (lambda x: F.interpolate(x, scale_factor=2), Layout("nchw", (2 * COLUMNS, 2 * ROWS))),
    ],
)
def test_the_layout_is_followed_or_given_up(follow: Callable[[Tensor], Tensor], layout: Layout | None) -> None:
    network = Marked(follow).eval()
    call = next(call for call in trace(network, input_size=(4 * COLUMNS, 4 * ROWS)).calls if call.name == "mark")
    assert call.node is not None
    found = layout_of(call.node) if call.node.spans else None
    assert found == layout
    if layout is None:
        return
    # One cell at a time is lit in the image: it lights its own cell of the layout, and where cells moved, one of them.
    for row in range(ROWS):
        for column in range(COLUMNS):
            with torch.no_grad():
                network.stem.weight.fill_(1.0)
                network.stem.bias.zero_()
                image = torch.zeros(1, 3, 4 * ROWS, 4 * COLUMNS)
                image[..., 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1
                network(image)
                lit = to_grid(network.seen, layout)[0].abs().sum(0).nonzero()
            spans = call.node.spans
            for y, x in lit.tolist():
                for axis, place, at in (("y", y, row), ("x", x, column)):
                    span = spans[axis]
                    centre = span.centre + span.step * place
                    assert abs(centre - (4 * at + 1.5)) <= span.field / 2 + 4


class Layered(nn.Module):
    """Cells that `follow` moves, channels last, then a linear layer; ``before`` and ``after`` mark both sides."""

    def __init__(self, follow: Callable[[Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, stride=4)
        self.before, self.after = nn.Identity(), nn.Identity()
        self.layer = nn.Linear(channels, 7)
        self.follow = follow

    def forward(self, image: Tensor) -> Tensor:
        moved = self.before(self.follow(self.stem(image).permute(0, 2, 3, 1)) * 1)
        return self.after(self.layer(moved) * 1).flatten(1)[:, :2]


def calls(network: nn.Module) -> dict[str, Call]:
    return {call.name: call for call in trace(network.eval(), input_size=(4 * COLUMNS, 4 * ROWS)).calls}


def merged(x: Tensor) -> Tensor:
    n, h, w, c = x.shape
    return x.view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).reshape(n, h // 2, w // 2, 4 * c)


def test_cells_folded_into_channels_leave_larger_ones() -> None:
    """Two by two of 4 pixels each, as in the patch merging of Swin: 8 pixels apart, the first centre at 3.5."""
    found = calls(Layered(merged, 20))["after"].node
    assert found is not None and layout_of(found) == Layout("nhwc", (COLUMNS // 2, ROWS // 2))
    for span in found.spans.values():
        assert (span.centre, span.step, span.field) == (3.5, 8, 8)


def test_a_layer_that_works_along_the_last_axis_says_where_channels_are() -> None:
    """Where cells could not be followed, here since the rows stand there twice."""
    found = calls(Layered(lambda x: torch.cat([x, x], 1), 5))["before"].node
    assert found is not None and not found.spans
    assert layout_of(found) == Layout("nhwc", (COLUMNS, 2 * ROWS))
