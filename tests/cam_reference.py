"""Independent references: networks cut in two by hand, formulas written out in float64, no code of camviewer.cam."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Part = Callable[[Tensor], Tensor]


def split(name: str, network: nn.Module) -> tuple[Part, Part]:
    """Return a float64 copy of a torchvision network as (input to A, A to logits), A being what enters the head."""
    net = copy.deepcopy(network).double()
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    if name.startswith("resnet"):
        stem = [net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4]
        return nn.Sequential(*stem), lambda a: net.fc(a.mean(dim=(2, 3)))
    if name.startswith("vgg"):
        return net.features, lambda a: net.classifier(net.avgpool(a).flatten(1))
    if name.startswith("densenet"):
        return lambda x: functional.relu(net.features(x)), lambda a: net.classifier(a.mean(dim=(2, 3)))
    if name.startswith("mobilenet_v3") or name.startswith("efficientnet"):
        return net.features, lambda a: net.classifier(a.mean(dim=(2, 3)))
    if name.startswith("squeezenet"):
        return net.features, lambda a: net.classifier(a).flatten(1)
    if name == "googlenet":
        stem = [net.conv1, net.maxpool1, net.conv2, net.conv3, net.maxpool2, net.inception3a, net.inception3b]
        stem += [net.maxpool3, net.inception4a, net.inception4b, net.inception4c, net.inception4d, net.inception4e]
        stem += [net.maxpool4, net.inception5a, net.inception5b]
        return nn.Sequential(*stem), lambda a: net.fc(a.mean(dim=(2, 3)))
    raise ValueError(name)


def class_weights(name: str, network: nn.Module) -> Tensor:
    """Return the linear weights ``[classes, K]`` in float64, found by name."""
    path = {
        "resnet": "fc",
        "densenet": "classifier",
        "squeezenet": "classifier.1",
        "googlenet": "fc",
        "efficientnet": "classifier.1",
    }
    prefix = next(p for p in path if name.startswith(p))
    weight = network.get_submodule(path[prefix]).weight
    return weight.detach().double().reshape(weight.shape[0], -1)


def activations(trunk: Part, x: Tensor) -> np.ndarray:
    """Return A ``[K, h, w]`` of one input ``[1, C, H, W]``."""
    with torch.no_grad():
        return trunk(x.double())[0].numpy()


def gradients(head: Part, a: np.ndarray, target: Tensor) -> np.ndarray:
    """Return dS/dA ``[K, h, w]``; `target` ``[classes]`` combines the logits."""
    leaf = torch.from_numpy(a.copy())[None].requires_grad_()
    with torch.enable_grad():
        (head(leaf)[0] @ target.double()).backward()
    return leaf.grad[0].numpy()


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def grad_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        out += g[k].mean() * a[k]
    return relu(out)


def grad_cam_pp(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The paper's own quotient, with squares and cubes."""
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        total = a[k].sum()
        weight = 0.0
        for value in g[k].ravel():
            if value > 0:
                denominator = 2 * value**2 + total * value**3
                if denominator > 1e-6 * value**2:
                    weight += value**2 / denominator * value
        out += weight * a[k]
    return relu(out)


def hires_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return (a * g).sum(axis=0)


def layer_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return relu((a * relu(g)).sum(axis=0))


def x_grad_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        if np.abs(a[k]).sum() > 0 and abs(a[k].sum()) > 1e-6 * np.abs(a[k]).sum():
            out += (g[k] * a[k]).sum() / a[k].sum() * a[k]
    return relu(out)


def first_component(matrix: np.ndarray) -> np.ndarray:
    """Return the first principal component of rows = cells, columns = units, not centred; sign arbitrary."""
    _, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return matrix @ vt[0]


def eigen_cam(a: np.ndarray) -> np.ndarray:
    flat = a.reshape(len(a), -1).T
    out = first_component(flat)
    return (out if (out * flat.sum(axis=1)).sum() >= 0 else -out).reshape(a.shape[1:])


def eigen_grad_cam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return eigen_cam(a * g)


def ablation_cam(head: Part, a: np.ndarray, target: Tensor) -> np.ndarray:
    with torch.no_grad():
        full = torch.from_numpy(a)[None]
        score = float(head(full)[0] @ target.double())
        out = np.zeros(a.shape[1:])
        for k in range(len(a)):
            without = full.clone()
            without[0, k] = 0
            out += (score - float(head(without)[0] @ target.double())) / abs(score) * a[k]
    return relu(out)


@lru_cache
def bilinear(cells: int, pixels: int) -> np.ndarray:
    """Return the half-pixel bilinear weights of one axis, ``[pixels, cells]``."""
    m = np.zeros((pixels, cells))
    for p in range(pixels):
        position = min(max((p + 0.5) * cells / pixels - 0.5, 0), cells - 1)
        low = int(np.floor(position))
        m[p, low] += 1 - (position - low)
        m[p, min(low + 1, cells - 1)] += position - low
    return m


def upsampled_mask(a: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Upsample one unit ``[h, w]`` bilinearly to (H, W), then min-max; a constant unit gives 0."""
    up = bilinear(a.shape[0], size[0]) @ a @ bilinear(a.shape[1], size[1]).T
    span = up.max() - up.min()
    return (up - up.min()) / span if a.max() > a.min() else np.zeros(size)


def score_cam_logits(logits: Part, x: Tensor, a: np.ndarray, base: Tensor | None = None) -> np.ndarray:
    """Return the logits ``[K, classes]`` of every masked input, constant units included (their mask is 0)."""
    rows = []
    background = torch.zeros_like(x[0]).double() if base is None else base.double()
    with torch.no_grad():
        for start in range(0, len(a), 16):
            masks = np.stack([upsampled_mask(unit, tuple(x.shape[2:])) for unit in a[start : start + 16]])
            mask = torch.from_numpy(masks)[:, None]
            rows.append(logits(x.double() * mask + (1 - mask) * background))
    return torch.cat(rows).numpy()


def score_cam(a: np.ndarray, rows: np.ndarray, target: np.ndarray, *, probability: bool = False) -> np.ndarray:
    if probability:
        e = np.exp(rows - rows.max(axis=1, keepdims=True))
        alpha = (e / e.sum(axis=1, keepdims=True)) @ target
    else:
        s = rows @ target
        alpha = np.exp(s - s.max())
        alpha /= alpha.sum()
    out = np.zeros(a.shape[1:])
    for k in range(len(a)):
        out += alpha[k] * a[k]
    return relu(out)


def normalised(m: np.ndarray) -> np.ndarray:
    m = np.asarray(m, dtype=np.float64)
    span = m.max() - m.min()
    return (m - m.min()) / span if span > 0 else np.zeros_like(m)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of the min-max-normalised maps."""
    assert found.shape == expected.shape
    return float(np.abs(normalised(found) - normalised(expected)).max())


def assert_same_map(found: np.ndarray, expected: np.ndarray, a: np.ndarray, *, limit: float = 1e-4) -> None:
    """Assert equality of normalised maps, that they are no flat maps, and that uniform weights would be noticed."""
    assert np.ptp(expected) > 0
    assert difference(found, expected) < limit
    assert difference(relu(a.sum(axis=0)), expected) > 1e-2
