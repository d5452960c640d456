"""The pure functions against the formulas written out in float64, and the laws they obey."""

from __future__ import annotations

from collections.abc import Callable

import cam_reference as ref
import numpy as np
import pytest
import torch
from torch import Tensor

from camviewer.cam import closed, methods
from camviewer.cam.targets import combined, finer_target, make_target, make_targets, rows
from camviewer.errors import UsageError
from camviewer.models.heads import Head

GRADIENT = {
    "gradcam": (methods.grad_cam, ref.grad_cam),
    "gradcampp": (methods.grad_cam_pp, ref.grad_cam_pp),
    "hirescam": (methods.hires_cam, ref.hires_cam),
    "layercam": (methods.layer_cam, ref.layer_cam),
    "xgradcam": (methods.x_grad_cam, ref.x_grad_cam),
    "eigengradcam": (methods.eigen_grad_cam, ref.eigen_grad_cam),
}


def draw(*, seed: int = 0, units: int = 24, signed: bool = False, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(units, 5, 6, generator=generator, dtype=torch.float64)
    G = torch.randn(3, units, 5, 6, generator=generator, dtype=torch.float64) * scale
    return (A if signed else A.relu()), G


@pytest.mark.parametrize("name", GRADIENT)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 6e-4, 1e-6])
@pytest.mark.parametrize("signed", [False, True])
def test_gradient_methods(name: str, scale: float, signed: bool) -> None:
    function, expected = GRADIENT[name]
    A, G = draw(signed=signed, scale=scale)
    found = function(A.float(), G.float())
    assert found.shape == (3, 5, 6) and found.dtype == torch.float32
    for row, g in zip(found, G, strict=True):
        reference = expected(A.float().double().numpy(), g.float().double().numpy())
        np.testing.assert_allclose(row.numpy(), reference, atol=2e-5 * np.abs(reference).max(), rtol=0)


@pytest.mark.parametrize("name", GRADIENT)
def test_normalised_map_does_not_depend_on_the_gradients_scale(name: str) -> None:
    """Grad-CAM++ is the exception (Y = exp S); it must follow its own formula instead, which is tested above."""
    A, G = draw()
    function = GRADIENT[name][0]
    for scale in (1e-4, 1e-12):
        change = ref.difference(function(A.float(), (scale * G).float())[0].numpy(), function(A, G)[0].numpy())
        assert change < 1e-5 or name == "gradcampp"
        if name == "gradcampp":
            assert change > 1e-3


def test_grad_cam_pp_is_not_the_libraries_form() -> None:
    """An epsilon beside g^2, or the cube alone, is visibly different at the gradients of a GAP head."""
    A, G = draw(scale=6e-4)
    a, g = A.numpy(), G[0].numpy()
    total = a.sum(axis=(1, 2))[:, None, None]
    with_epsilon = g**2 / (2 * g**2 + total * g**3 + 1e-6)
    wrong = ref.relu(np.einsum("k,kij->ij", (with_epsilon * ref.relu(g)).sum(axis=(1, 2)), a))
    cubes = ref.relu(np.einsum("k,kij->ij", (ref.relu(g) ** 3).sum(axis=(1, 2)), a))
    right = methods.grad_cam_pp(A, G)[0].numpy()
    assert ref.difference(right, wrong) > 1e-2 and ref.difference(right, cubes) > 1e-2


def test_grad_cam_pp_flags_vanishing_denominators() -> None:
    A = torch.tensor([[[-4.0, 2.0]], [[1.0, 1.0]]])
    G = torch.ones(1, 2, 1, 2)
    weights, undefined = methods.grad_cam_pp_weights(A, G)
    assert undefined.tolist() == [True]
    np.testing.assert_allclose(weights.numpy(), [[0.0, 0.5]])
    assert methods.grad_cam_pp_weights(A.abs(), G)[1].tolist() == [False]


def test_x_grad_cam_leaves_out_cancelling_units() -> None:
    A = torch.tensor([[[1.0, -1.0]], [[1.0, 3.0]], [[0.0, 0.0]]])
    weights, undefined = methods.x_grad_cam_weights(A, torch.ones(1, 3, 1, 2))
    assert undefined.tolist() == [True]
    np.testing.assert_allclose(weights.numpy(), [[0.0, 1.0, 0.0]])
    assert not methods.x_grad_cam_weights(A[1:], torch.ones(1, 2, 1, 2))[1].any()


@pytest.mark.parametrize("shape", [(4, 6, 7), (60, 3, 3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_eigen_cam(shape: tuple[int, int, int], sign: int) -> None:
    A = torch.randn(shape, generator=torch.Generator().manual_seed(1)).relu() * sign
    found = methods.eigen_cam(A)
    np.testing.assert_allclose(found[0].numpy(), ref.eigen_cam(A.double().numpy()), atol=1e-4)
    assert float((found[0] * A.sum(0)).sum()) > 0


def test_smooth_grad_cam_pp() -> None:
    A, _ = draw()
    samples = [draw(seed=s, scale=1e-3)[1] for s in range(1, 5)]
    weights, undefined = methods.smooth_grad_cam_pp_weights(A.float(), [G.float() for G in samples])
    g = np.stack([G.numpy() for G in samples])
    first, second, third = g.mean(0), (g**2).mean(0), (g**3).mean(0)
    a = second / (2 * second + A.numpy().sum(axis=(1, 2))[None, :, None, None] * third)
    expected = (a * ref.relu(first)).sum(axis=(2, 3))
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-4)
    assert not undefined.any()
    one, _ = methods.smooth_grad_cam_pp_weights(A, samples[:1])
    np.testing.assert_allclose(one.numpy(), methods.grad_cam_pp_weights(A, samples[0])[0].numpy(), rtol=1e-9)


def test_ablation_keeps_its_direction_below_zero() -> None:
    S, ablated = torch.tensor([2.0, -2.0, 0.0]), torch.tensor([[1.0, -3.0, -0.5], [2.0, -2.0, 0.0]])
    assert methods.ablation_weights(S, ablated).tolist() == [[0.5, 0.0], [0.5, 0.0], [0.5, 0.0]]


def test_random_is_fixed_by_seed_and_class() -> None:
    A, _ = draw()
    first = methods.random_cam(A, [3, 4], seed=7)
    assert torch.equal(first[1], methods.random_cam(A, [4], seed=7)[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], methods.random_cam(A, [3], seed=8)[0])
    assert (first >= 0).all() and first.amax() > 0


@pytest.mark.parametrize("function", [f for f, _ in GRADIENT.values()], ids=list(GRADIENT))
@pytest.mark.parametrize("case", ["zero activations", "zero gradients", "flat", "negative"])
def test_degenerate_maps_are_finite(function: Callable[[Tensor, Tensor], Tensor], case: str) -> None:
    A, G = draw()
    if case == "zero activations":
        A = torch.zeros_like(A)
    elif case == "zero gradients":
        G = torch.zeros_like(G)
    elif case == "flat":
        A = torch.ones_like(A) * 2
    else:
        A = -A - 0.1
    for dtype in (torch.float32, torch.float64):
        assert torch.isfinite(function(A.to(dtype), G.to(dtype))).all()
    if case.startswith("zero"):
        assert float(function(A, G).abs().max()) == 0


@pytest.mark.parametrize("name", sorted(closed.UNIFORM_METHODS))
@pytest.mark.parametrize("signed", [False, True])
def test_uniform_forms_equal_the_general_ones(name: str, signed: bool) -> None:
    A, G = draw(signed=signed)
    g = G.mean(dim=(2, 3))
    found = closed.UNIFORM_METHODS[name](A, g * A[0].numel())
    maps, undefined = closed.GRADIENT_METHODS[name](A, g[:, :, None, None].expand_as(G))
    torch.testing.assert_close(found[0], maps)
    affected = [[False] * len(G) if of is None else of.tolist() for of in (found[1], undefined)]
    assert affected[0] == affected[1]


def test_a_relu_behind_the_class_convolution_cuts_with_its_bias() -> None:
    A, _ = draw(units=6, signed=True)
    generator = torch.Generator().manual_seed(1)
    W = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    b = torch.tensor([-1.5, 0.5, 2.0], dtype=torch.float64)
    V = torch.tensor([[1.0, 0, 0], [0, -1.0, 1.0]], dtype=torch.float64)
    head = Head("conv_gap", class_relu=True, weight=W, bias=b)

    def scores(a: Tensor) -> Tensor:
        return V @ (torch.einsum("ck,kij->cij", W, a) + b[:, None, None]).relu().mean(dim=(1, 2))

    expected = torch.autograd.functional.jacobian(scores, A)
    torch.testing.assert_close(closed.head_gradients(head, A, V), expected)
    without = [torch.where((torch.arange(6) == k)[:, None, None], 0, A) for k in range(6)]
    torch.testing.assert_close(closed.head_ablations(head, A, V), torch.stack([scores(a) for a in without]))


def test_targets() -> None:
    logits = torch.tensor([4.0, 1.0, 3.5, -2.0])
    assert make_target(2, "score") == ((2, 1.0),)
    assert make_target(2, "negative") == ((2, -1.0),)
    assert make_target(2, "contrast:0") == ((0, -1.0), (2, 1.0))
    assert make_target(2, "contrast:2") == ()
    assert finer_target(0, "score", logits, similar=2, gamma=0.6) == ((0, 1.0), (1, -0.3), (2, -0.3))
    assert finer_target(0, "negative", logits, similar=1, gamma=0.5) == ((0, -1.0), (2, 0.5))
    assert finer_target(0, "contrast:3", logits, similar=2, gamma=0.5) == ((0, 1.0), (3, -0.5))
    assert finer_target(0, "score", logits[:1], similar=2, gamma=0.5) == ((0, 1.0),)
    np.testing.assert_array_equal(rows([((0, -1.0), (2, 1.0)), ()], 3, like=logits).numpy(), [[-1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("target", ["score", "negative", "contrast:1"])
@pytest.mark.parametrize("classes", [(0, 1, 2), (2, 0), (1,), ()])
def test_targets_of_many_classes(target: str, classes: tuple[int, ...]) -> None:
    targets = make_targets(classes, target)
    assert list(targets) == [make_target(c, target) for c in classes] and len(targets) == len(classes)
    assert list(targets[1:]) == list(targets)[1:] and all(targets[i] == t for i, t in enumerate(targets))
    W = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    matrix = rows(targets, 3, like=W)
    torch.testing.assert_close(combined(targets, W), matrix @ W)
    if classes and target != "contrast:1":
        with pytest.raises(UsageError, match="There is no class"):
            combined(targets, W[: max(classes)])
