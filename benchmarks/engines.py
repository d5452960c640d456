"""What `benchmarks/engine.py` compares: our engine and two libraries on one network, and float64 references."""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from probe import draw_pixels, probe_network  # noqa: E402

from camviewer.cam.explainer import Explainer  # noqa: E402
from camviewer.cam.requests import MapRequest  # noqa: E402
from camviewer.models.classifier import Classifier  # noqa: E402
from camviewer.models.records import ModelIdentity, Preprocessing  # noqa: E402

SIDE = 224
# By network: the layers as our engine and the libraries name them, last one first.
LAYERS = {
    "resnet18": ("layer4", "layer3"),
    "resnet50": ("layer4", "layer3"),
    "vgg16": ("features.29", "features.22"),
    "densenet121": ("features.norm5", "features.denseblock3"),
    "mobilenet_v3_large": ("features.16", "features.12"),
    "vit_b_16": ("encoder.layers.encoder_layer_11.ln_1", "encoder.layers.encoder_layer_10.ln_1"),
}
GRID_METHODS = ("gradcam", "gradcampp", "layercam")
LIBRARY_CLASSES = {
    "grad-cam": {"gradcam": "GradCAM", "gradcampp": "GradCAMPlusPlus", "layercam": "LayerCAM", "scorecam": "ScoreCAM"},
    "torchcam": {
        "cam": "CAM",
        "gradcam": "GradCAM",
        "gradcampp": "GradCAMpp",
        "layercam": "LayerCAM",
        "scorecam": "ScoreCAM",
    },
}
CHECKED_CLASSES = 5
TINY = 1e-30
Maps = dict[tuple[str, str, int, int], np.ndarray]
"""Maps by method, layer, image and class."""


@dataclass(frozen=True)
class Task:
    """One thing to time: every combination of methods, layers, classes and images."""

    name: str
    methods: tuple[str, ...]
    classes: int = 1
    layers: int = 1
    images: int = 1


WARM_UP = Task("warm-up", ("gradcam",))


class Bench:
    """One network: inputs, engines and references."""

    def __init__(self, name: str, *, images: int) -> None:
        self.name = name
        self.network = probe_network(name, classes=1000, side=SIDE)
        self.owner = Classifier(
            self.network, identity=ModelIdentity(name, "probe", "", ()), preprocessing=Preprocessing()
        )
        # grad-cam refuses frozen networks.
        self.trainable = copy.deepcopy(self.network).requires_grad_(True)
        self.pixels = [draw_pixels(500 + i, width=SIDE, height=SIDE) for i in range(images)]
        self.inputs = torch.cat([self.owner.prepare(p)[0] for p in self.pixels])
        with torch.inference_mode():
            logits = torch.cat([self.network(x[None]) for x in self.inputs])
        self.top = logits.topk(5, dim=1).indices.tolist()
        self.layers = LAYERS[name]
        self.units = self.owner.tap(self.layers[0]).channels
        self.ours_at = {layer: layer + (" (+ReLU)" if layer == "features.norm5" else "") for layer in self.layers}
        self.explainers = {
            "camviewer": Explainer(self.owner),
            "camviewer fast": Explainer(self.owner, precision="fast"),
        }

    def warm_up(self) -> None:
        """Run every engine on small tasks twice; ours makes and checks its faster copies then."""
        for _ in range(2):
            for explainer in self.explainers.values():
                explainer.explain(self.pixels[0], MapRequest(("gradcam",)))
                explainer.explain(self.pixels[0], MapRequest(("scorecam",), parameters={"scorecam": {"strongest": 8}}))
            for run in (self.torchcam, self.grad_cam):
                with contextlib.suppress(ImportError):
                    run(WARM_UP)
            self.forward_seconds(1)

    def ours(self, task: Task, engine: str) -> Maps | None:
        if self.owner.head.kind == "none" and (task.methods == ("cam",) or task.classes > CHECKED_CLASSES):
            return None
        if engine == "camviewer fast" and "scorecam" not in task.methods:
            return None
        return self.explained(task, self.explainers[engine])

    def explained(self, task: Task, explainer: Explainer, **parameters: int) -> Maps:
        # One layer is the suggested one where that enters a head that is recognised, as the libraries' layer does.
        suggested = task.layers == 1 and self.owner.head.kind != "none"
        names = () if suggested else tuple(self.ours_at[layer] for layer in self.layers[: task.layers])
        request = MapRequest(
            task.methods, f"top{task.classes}", names, {"scorecam": dict(parameters)} if parameters else {}
        )
        found = explainer.explain_batch(self.pixels[: task.images], request)
        per_layer = task.classes
        return {
            (m.method, self.layers[number // per_layer % task.layers], i, m.class_index): m.values
            for i, explanation in enumerate(found)
            for number, m in enumerate(explanation.maps)
        }

    def torchcam(self, task: Task) -> Maps | None:
        import torchcam.methods as library

        maps: Maps = {}
        if task.classes > CHECKED_CLASSES:  # a pass with gradients for each
            return None
        for method in task.methods:
            kind = LIBRARY_CLASSES["torchcam"].get(method)
            if kind is None or self.name == "vit_b_16" or (method == "cam" and self.owner.head.kind == "none"):
                return None
            options = {"fc_layer": _last_linear(self.network)} if method == "cam" else {}
            layers = list(self.layers[: task.layers])
            with getattr(library, kind)(self.network, target_layer=layers, **options) as extractor:
                scores = extractor.model(self.inputs[: task.images].clone().requires_grad_(method != "scorecam"))
                for rank in range(task.classes):
                    wanted = [self.top[i][rank] for i in range(task.images)]
                    again = {} if method in {"cam", "scorecam"} else {"retain_graph": rank + 1 < task.classes}
                    found = extractor(wanted, scores, **again)
                    for layer, part in zip(layers, found, strict=True):
                        for i in range(task.images):
                            maps[method, layer, i, wanted[i]] = part[i].detach().float().numpy()
        return maps

    def grad_cam(self, task: Task) -> Maps | None:
        import pytorch_grad_cam as library
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        maps: Maps = {}
        transform = _to_grid if self.name == "vit_b_16" else None
        if task.classes > CHECKED_CLASSES:
            return None
        for method in task.methods:
            kind = LIBRARY_CLASSES["grad-cam"].get(method)
            if kind is None:
                return None
            for layer in self.layers[: task.layers]:
                module = self.trainable.get_submodule(layer)
                with getattr(library, kind)(self.trainable, [module], reshape_transform=transform) as extractor:
                    for rank in range(task.classes):
                        wanted = [self.top[i][rank] for i in range(task.images)]
                        targets = [ClassifierOutputTarget(c) for c in wanted]
                        found = extractor(input_tensor=self.inputs[: task.images], targets=targets)
                        for i in range(task.images):
                            maps[method, layer, i, wanted[i]] = found[i]
        return maps

    def engines(self) -> dict[str, Callable[[Task], Maps | None]]:
        found: dict[str, Callable[[Task], Maps | None]] = {
            "camviewer": lambda task: self.ours(task, "camviewer"),
            "camviewer fast": lambda task: self.ours(task, "camviewer fast"),
        }
        for name, module, run in (
            ("torchcam", "torchcam", self.torchcam),
            ("grad-cam", "pytorch_grad_cam", self.grad_cam),
        ):
            try:
                __import__(module)
            except ImportError:
                print(f"{name} is not installed: pip install -r benchmarks/requirements.txt", file=sys.stderr)
            else:
                found[name] = run
        return found

    def forward_seconds(self, images: int) -> float:
        with torch.inference_mode():
            started = time.perf_counter()
            self.network(self.inputs[:images])
            return time.perf_counter() - started

    # ---- float64 reference ----

    def reference(self, task: Task, dtype: torch.dtype = torch.float64) -> Maps:
        """Return the gradient methods and CAM of a few images, by hooks and autograd of its own."""
        net = copy.deepcopy(self.network).to(dtype)
        for module in net.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        maps: Maps = {}
        for i in range(min(2, task.images)):
            for layer in self.layers[: task.layers]:
                kept: list[Tensor] = []

                def keep(_m: Any, _i: Any, out: Tensor, kept: list[Tensor] = kept, layer: str = layer) -> Tensor:
                    # A functional ReLU follows DenseNet's last norm; applying it twice changes nothing.
                    out = out.relu() if layer == "features.norm5" else out
                    kept.append(out.detach().clone().requires_grad_())
                    # Cells that the ReLU closes have to pass their gradient on, as the pooling sees them.
                    return kept[-1] + TINY if layer == "features.norm5" else kept[-1]

                handle = net.get_submodule(layer).register_forward_hook(keep)
                with torch.enable_grad():
                    logits = net(self.inputs[i : i + 1].to(dtype))[0]
                handle.remove()
                for rank in range(task.classes):
                    c = self.top[i][rank]
                    (gradient,) = torch.autograd.grad(logits[c], kept[0], retain_graph=True)
                    a, g = (_grid(t.detach(), self.name)[0].double().numpy() for t in (kept[0], gradient))
                    for method in task.methods:
                        maps[method, layer, i, c] = self._formula(method, a, g, c)
        return maps

    def score_cam_reference(self, task: Task, *, strongest: int = 0) -> Maps:
        """Return Score-CAM in float64: upsample, min-max, mask, softmax over all (or the strongest) units."""
        net = copy.deepcopy(self.network).double()
        x = self.inputs[:1].double()
        kept: list[Tensor] = []
        layer = self.layers[0]
        handle = net.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.append(out.detach().clone()))
        with torch.inference_mode():
            net(x)
        handle.remove()
        A = _grid(kept[0], self.name)[0]
        A = A.relu() if layer == "features.norm5" else A
        varies = A.amax((1, 2)) > A.amin((1, 2))
        # Constant units see the baseline: one pass, counted for each of them.
        order = torch.argsort(A.flatten(1).std(dim=1, correction=0), descending=True, stable=True)
        order = order[varies[order]][: strongest or None]
        constant = torch.nonzero(~varies).flatten()
        rows = []
        with torch.inference_mode():
            base = net(torch.zeros_like(x))[:, self.top[0]]
            for part in torch.split(order, 8):
                up = functional.interpolate(A[part][:, None], size=x.shape[2:], mode="bilinear", align_corners=False)
                low, high = up.amin((2, 3), keepdim=True), up.amax((2, 3), keepdim=True)
                rows.append(net(x * (up - low) / (high - low))[:, self.top[0]])
        scores = torch.cat([*rows, base.expand(len(constant), -1)])
        alpha = torch.softmax(scores, dim=0)
        units = A[torch.cat([order, constant])]
        return {
            ("scorecam", layer, 0, self.top[0][rank]): torch.einsum("k,kij->ij", alpha[:, rank], units).relu().numpy()
            for rank in range(task.classes)
        }

    def _formula(self, method: str, a: np.ndarray, g: np.ndarray, c: int) -> np.ndarray:
        if method == "cam":
            weight = _last_linear_module(self.network).weight[c].detach().double().numpy()
            return np.einsum("k,kij->ij", weight, a)
        if method == "gradcam":
            return np.maximum(np.einsum("k,kij->ij", g.mean(axis=(1, 2)), a), 0)
        if method == "layercam":
            return np.maximum((np.maximum(g, 0) * a).sum(axis=0), 0)
        denominator = 2 + a.sum(axis=(1, 2))[:, None, None] * g
        weight = np.where((g > 0) & (denominator > 1e-6), g / np.where(denominator > 1e-6, denominator, 1), 0)
        return np.maximum(np.einsum("k,kij->ij", weight.sum(axis=(1, 2)), a), 0)


def _last_linear(network: nn.Module) -> str:
    return [name for name, m in network.named_modules() if isinstance(m, nn.Linear)][-1]


def _last_linear_module(network: nn.Module) -> nn.Linear:
    return [m for m in network.modules() if isinstance(m, nn.Linear)][-1]


def _to_grid(tokens: Tensor) -> Tensor:
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (SIDE // 16, SIDE // 16))


def _grid(output: Tensor, name: str) -> Tensor:
    return _to_grid(output) if name == "vit_b_16" else output
