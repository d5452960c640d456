"""camnet: its head, its cells, its reach."""

from __future__ import annotations

import pytest
import torch

from camviewer.errors import ModelError
from camviewer.models.camnet import camnet


@pytest.mark.parametrize(("stride", "cells"), [(8, 8), (16, 4)])
@pytest.mark.parametrize("head", ["gap", "gmp"])
def test_logits_follow_from_the_last_map(head: str, stride: int, cells: int) -> None:
    torch.manual_seed(0)
    network = camnet(3, head=head, width=4, features=12, stride=stride).eval()
    seen = []
    network.last.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        logits = network(torch.randn(2, 3, 64, 64))
        grid = seen[0].double()
        pooled = grid.mean((2, 3)) if head == "gap" else grid.amax((2, 3))
        expected = pooled @ network.fc.weight.double().T + network.fc.bias.double()
    assert grid.shape == (2, 12, cells, cells)
    assert torch.allclose(logits.double(), expected, atol=1e-5)


@pytest.mark.parametrize(("kernel", "blocks", "reach"), [(1, 1, 47), (1, 0, 15), (3, 1, 111)])
def test_a_cell_sees_as_many_pixels_as_the_docstring_says(kernel: int, blocks: int, reach: int) -> None:
    torch.manual_seed(0)
    network = camnet(2, width=4, features=8, kernel=kernel, blocks=blocks).eval()
    seen = []
    network.last.norm.register_forward_hook(lambda _m, _i, out: seen.append(out))
    picture = torch.randn(1, 3, 192, 192, requires_grad=True)
    network(picture)
    seen[0][0, :, 12, 12].sum().backward()
    columns = picture.grad.abs().sum((0, 1, 2)).nonzero().ravel()
    assert int(columns[-1] - columns[0]) + 1 <= reach
    assert int(columns[-1] - columns[0]) + 1 >= reach - 4  # ReLUs may close the outermost paths
    assert (int(columns[0]) + int(columns[-1])) / 2 == pytest.approx(96, abs=2)


def test_size_is_as_said() -> None:
    assert 0.2e6 < sum(p.numel() for p in camnet(5).parameters()) < 0.3e6


@pytest.mark.parametrize("wrong", [{"head": "max"}, {"stride": 4}, {"kernel": 5}, {"width": 0}, {"blocks": -1}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        camnet(2, **wrong)
