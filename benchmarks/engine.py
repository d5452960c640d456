"""Time and check the CAM engine beside the libraries grad-cam and torchcam, on the same weights and images.

    python benchmarks/engine.py --networks resnet18 resnet50 --rounds 5 --json engine.json --text ../docs/table.md

All engines run in one process, one after the other in every round, so that a change of the machine's load meets all of
them. camviewer is timed from pixels to maps in memory, its preparation of the input included; the libraries get the
prepared tensor. Every map is compared with a float64 reference (largest difference of min-max-normalised maps).
The libraries are optional: `benchmarks/requirements.txt`.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

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


TASKS = (
    Task("CAM", ("cam",)),
    Task("Grad-CAM", ("gradcam",)),
    Task("Grad-CAM++", ("gradcampp",)),
    Task("Grad-CAM, top 5", ("gradcam",), classes=5),
    Task("3 methods x 5 classes x 2 layers", GRID_METHODS, classes=5, layers=2),
    Task("Grad-CAM, 32 images", ("gradcam",), images=32),
    Task("Score-CAM, 1 class", ("scorecam",)),
    Task("Score-CAM, 5 classes", ("scorecam",), classes=5),
)


@dataclass
class Row:
    """Figures of one engine on one task."""

    network: str
    task: str
    engine: str
    seconds: float
    passes: float
    extra_mb: float
    difference: float | None


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
        self.explainers = {
            "camviewer": Explainer(self.owner),
            "camviewer fast": Explainer(self.owner, precision="fast"),
        }

    def ours(self, task: Task, engine: str) -> Maps | None:
        if task.methods == ("cam",) and self.owner.head.kind == "none":
            return None
        if engine == "camviewer fast" and "scorecam" not in task.methods:
            return None
        # The suggested layer is the tensor that enters the head, as in the libraries' layer.
        names = self.layers[: task.layers] if task.layers > 1 else (self.layers[0],)
        if task.methods == ("cam",):
            names = ()
        request = MapRequest(task.methods, f"top{task.classes}" if task.classes > 1 else "predicted", names)
        found = self.explainers[engine].explain_batch(self.pixels[: task.images], request)
        return {
            (m.method, self.layers[0] if not names else m.layer, i, m.class_index): m.values
            for i, explanation in enumerate(found)
            for m in explanation.maps
        }

    def torchcam(self, task: Task) -> Maps | None:
        import torchcam.methods as library

        maps: Maps = {}
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

    def reference(self, task: Task) -> Maps:
        """Return the gradient methods and CAM of a few images in float64, by hooks and autograd of its own."""
        net = copy.deepcopy(self.network).double()
        for module in net.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        maps: Maps = {}
        for i in range(min(2, task.images)):
            for layer in self.layers[: task.layers]:
                kept: list[Tensor] = []

                def keep(_m: Any, _i: Any, out: Tensor, kept: list[Tensor] = kept) -> Tensor:
                    kept.append(out.detach().clone().requires_grad_())
                    return kept[-1]

                handle = net.get_submodule(layer).register_forward_hook(keep)
                with torch.enable_grad():
                    logits = net(self.inputs[i : i + 1].double())[0]
                handle.remove()
                for rank in range(task.classes):
                    c = self.top[i][rank]
                    (gradient,) = torch.autograd.grad(logits[c], kept[0], retain_graph=True)
                    a, g = (_grid(t.detach(), self.name)[0].numpy() for t in (kept[0], gradient))
                    for method in task.methods:
                        if method != "scorecam":
                            maps[method, layer, i, c] = self._formula(method, a, g, c)
        return maps

    def _formula(self, method: str, a: np.ndarray, g: np.ndarray, c: int) -> np.ndarray:
        if method == "cam":
            a = np.maximum(a, 0) if self.name == "densenet121" else a
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


def difference(found: Maps, expected: Maps) -> float | None:
    """Return the largest difference of normalised maps; maps at another size are sampled at the cells' centres."""
    worst = None
    for key, reference in expected.items():
        if key not in found:
            continue
        m = np.asarray(found[key], dtype=np.float64)
        if m.shape != reference.shape:
            rows, columns = (m.shape[0] // reference.shape[0], m.shape[1] // reference.shape[1])
            m = m[: rows * reference.shape[0], : columns * reference.shape[1]]
            m = m.reshape(reference.shape[0], rows, reference.shape[1], columns)
            m = m[:, rows // 2 - 1 : rows // 2 + 1, :, columns // 2 - 1 : columns // 2 + 1].mean(axis=(1, 3))
        change = float(np.abs(_normalised(m) - _normalised(reference)).max())
        worst = change if worst is None else max(worst, change)
    return worst


def _normalised(m: np.ndarray) -> np.ndarray:
    span = np.ptp(m)
    return (m - m.min()) / span if span else np.zeros_like(m)


class Peak:
    """Resident memory above the start, in MB, sampled every 5 ms; Linux only, otherwise 0."""

    def __enter__(self) -> Peak:
        gc.collect()
        self._stop = threading.Event()
        self._start = self.mb = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.mb = max(self.mb, self._now()) - self._start

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.mb = max(self.mb, self._now())

    @staticmethod
    def _now() -> float:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(name: str, tasks: list[Task], *, rounds: int) -> list[Row]:
    """Return the medians over rounds in which all engines take their turn."""
    bench = Bench(name, images=max(task.images for task in tasks))
    engines = bench.engines()
    rows = []
    for task in tasks:
        seconds: dict[str, list[float]] = {engine: [] for engine in engines}
        base: list[float] = []
        memory: dict[str, float] = {}
        maps: dict[str, Maps] = {}
        for number in range(rounds + 1):  # round 0 warms up and measures memory
            base.append(bench.forward_seconds(task.images))
            for engine, run in engines.items():
                if number and engine not in maps:
                    continue
                with Peak() as peak:
                    started = time.perf_counter()
                    found = run(task)
                    elapsed = time.perf_counter() - started
                if found is not None:
                    maps[engine] = found
                    seconds[engine].append(elapsed)
                    memory[engine] = max(memory.get(engine, 0.0), peak.mb)
        forward = statistics.median(base[1:])
        expected = maps["camviewer"] if "scorecam" in task.methods else bench.reference(task)
        for engine, found in maps.items():
            median = statistics.median(seconds[engine][1:])
            change = None if found is expected else difference(found, expected)
            rows.append(Row(name, task.name, engine, median, median / forward, memory[engine], change))
    return rows


def describe() -> dict[str, str]:
    """Return what the figures belong to."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def table(rows: list[Row]) -> str:
    """Return a Markdown table. f is a stock float32 pass of the task's images."""
    lines = [
        "| Network | Task | Engine | Time (ms) | in f | Memory (MB) | Off by |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        off = "" if row.difference is None else f"{row.difference:.1e}"
        figures = f"{row.seconds * 1e3:.1f} | {row.passes:.2f} | {row.extra_mb:.0f} | {off}"
        lines.append(f"| {row.network} | {row.task} | {row.engine} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--tasks", nargs="+", default=[t.name for t in TASKS], help="names or their beginnings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves its choice")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--text", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    tasks = [t for t in TASKS if any(t.name.startswith(wanted) for wanted in arguments.tasks)]
    rows: list[Row] = []
    for name in arguments.networks:
        rows += measure(name, tasks, rounds=arguments.rounds)
        print(table([row for row in rows if row.network == name]), flush=True)
    machine = describe()
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1))
    if arguments.text:
        described = "\n".join(f"* {key}: {value}" for key, value in machine.items())
        arguments.text.write_text(f"{described}\n\n{table(rows)}\n")


if __name__ == "__main__":
    main()
