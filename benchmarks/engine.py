"""Time and check the CAM engine beside the libraries grad-cam and torchcam, on the same weights and images.

    python benchmarks/engine.py --out figures --minutes 8     # again, until it says that everything is measured
    python benchmarks/engine.py --out figures --text docs/benchmarks.md

All engines run in one process, one after the other in every round, so that a change of the machine's load meets all of
them; every engine is warmed up alike, and what takes less than `SHORT` seconds runs three times in its turn, as the
stock passes do, since another engine's turn leaves the caches full of other weights. Each network and task is written
to a JSON file of its own in `--out` and not measured again while that is there. camviewer is timed from pixels to maps
in memory, its preparation of the input included; the libraries get the prepared tensor. A task whose round takes more
than `SLOW` seconds is timed once.
The libraries run Score-CAM anew for each class, so their five classes are five times the measured one where
that alone takes longer than `SLOW`; with ``--part N`` only their first N masked inputs are run and the rest is
reckoned from these, which gives no map to compare. Both are marked ``~``.

Every map is compared with a float64 reference (largest difference of min-max-normalised maps). A ReLU whose input lies
within float32's rounding of 0 may turn there, so the same formulas in stock float32 stand beside it as ``float32``.
Score-CAM is compared with the full float64 run for `FULL_SCORE_CAM`; elsewhere our map of the
`CHECKED_UNITS` strongest units is compared with float64's, and the others' maps with our exact one.
The libraries are optional: `benchmarks/requirements.txt`.
"""

from __future__ import annotations

import argparse
import contextlib
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
from dataclasses import asdict, dataclass, replace
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
SLOW = 20.0
REPEATS = 3
SHORT = 1.0
LONG_WATCH, SHORT_WATCH = 0.05, 0.002
FULL_SCORE_CAM = ("resnet18", "mobilenet_v3_large")
CHECKED_UNITS = 24
TINY = 1e-30
NOTES = """Networks carry calibrated random weights (`tests/probe.py`), inputs are 224 x 224. *in f*: multiples of one
stock float32 forward pass of the task's images. *Off by*: largest difference from float64 of the min-max-normalised
map; the row *float32* is what the same formulas give in stock float32, which is as near as float32 comes. *fast* is
bfloat16 in Score-CAM's masked passes; *Pearson* is its correlation with the exact map. *~*: five times the measured
class, or reckoned from a part of a library's masked inputs. Written by `benchmarks/engine.py`.
"""
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
    Task("CAM, all classes", ("cam",), classes=1000),
    Task("Grad-CAM, all classes", ("gradcam",), classes=1000),
    Task("Grad-CAM++, all classes", ("gradcampp",), classes=1000),
    Task("Grad-CAM, all classes, 32 images", ("gradcam",), classes=1000, images=32),
)
CHECKED_CLASSES = 5

WARM_UP = Task("warm-up", ("gradcam",))


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
    pearson: float | None = None
    extrapolated: bool = False


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
        # One layer: the suggested one, which is what enters the head, as is the libraries' layer.
        names = tuple(self.ours_at[layer] for layer in self.layers[: task.layers]) if task.layers > 1 else ()
        return self.explained(task, self.explainers[engine], names)

    def explained(self, task: Task, explainer: Explainer, names: tuple[str, ...], **parameters: int) -> Maps:
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


class _EnoughError(Exception):
    """Ends a library's Score-CAM after the part that was asked for."""


class Part:
    """Lets a network take some masked inputs and no more, and reckons how long all of them take.

    Args:
        network: that the library runs.
        inputs: how many masked inputs it takes.
        units: how many it would take.
    """

    def __init__(self, network: nn.Module, inputs: int, units: int) -> None:
        self._network, self._inputs, self._units = network, inputs, units
        self._calls = self._done = 0
        self._first = self._now = 0.0

    def seconds(self, run: Callable[[], Any]) -> float | None:
        """Return the seconds that all inputs take; None where the library has no such method for the network."""
        started = time.perf_counter()
        handle = self._network.register_forward_pre_hook(self._count)
        try:
            found = run()
        except _EnoughError:
            return self._first - started + (self._now - self._first) * self._units / self._done
        finally:
            handle.remove()
        assert found is None, f"there were fewer than {self._inputs} masked inputs"
        return None

    def _count(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._calls += 1
        self._now = time.perf_counter()
        if self._calls == 1:  # the image as it is
            return
        self._first = self._first or self._now
        if self._done >= self._inputs:
            raise _EnoughError
        self._done += len(inputs[0])


class Peak:
    """Resident memory above the start, in MB, sampled every so many seconds; Linux only, otherwise 0."""

    def __init__(self, *, every: float) -> None:
        self._every = every

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
        while not self._stop.wait(self._every):
            self.mb = max(self.mb, self._now())

    @staticmethod
    def _now() -> float:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(bench: Bench, task: Task, *, rounds: int, part: int) -> list[Row]:
    """Return the medians over rounds in which all engines take their turn.

    Args:
        part: masked inputs of a library's Score-CAM that are run; 0 for all.
    """
    engines = bench.engines()
    seconds: dict[str, list[float]] = {}
    base: list[float] = []
    memory: dict[str, float] = {}
    maps: dict[str, Maps] = {}
    extrapolated: set[str] = set()
    while len(base) < rounds:
        began = time.perf_counter()
        base.append(statistics.median(bench.forward_seconds(task.images) for _ in range(3)))
        for engine, run in engines.items():
            if base[1:] and engine not in seconds:
                continue
            turn = library_turn if engine in LIBRARY_CLASSES and "scorecam" in task.methods else whole_turn
            with Peak(every=LONG_WATCH) as peak:
                found, elapsed, whole = turn(bench, task, engine, run, part)
            if elapsed is None:
                continue
            if elapsed < SHORT and engine not in seconds:  # looked at more closely, which would disturb the time
                with Peak(every=SHORT_WATCH) as peak:
                    run(task)
            seconds.setdefault(engine, []).append(elapsed)
            memory[engine] = max(memory.get(engine, 0.0), peak.mb)
            if found is not None:
                maps[engine] = found
            if not whole:
                extrapolated.add(engine)
        if time.perf_counter() - began > SLOW:
            break
    if not seconds:  # CAM where no engine has it
        return []
    forward = statistics.median(base)
    expected, off = differences(bench, task, maps)
    rows = []
    for engine, times in seconds.items():
        median = statistics.median(times)
        found = maps.get(engine, {})
        agreement = pearson(found, maps["camviewer"]) if engine == "camviewer fast" else None
        rows.append(
            Row(bench.name, task.name, engine, median, median / forward, memory[engine],
                off.get(engine, difference(found, expected)), agreement, engine in extrapolated)
        )  # fmt: skip
    if "scorecam" not in task.methods and task.classes <= CHECKED_CLASSES:
        plain = bench.reference(task, torch.float32)
        rows.append(Row(bench.name, task.name, "float32", 0, 0, 0, difference(plain, expected)))
    return rows


Run = Callable[[Task], Maps | None]
Turn = tuple[Maps | None, float | None, bool]
"""Maps, seconds (None for what an engine does not have), and whether all of it was run."""


def whole_turn(_bench: Bench, task: Task, _engine: str, run: Run, _part: int) -> Turn:
    """Run a task as it is, a short one three times in a row, as the stock passes: the median is what is kept."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < SHORT:
        started = time.perf_counter()
        found = run(task)
        if found is None:
            return None, None, True
        times.append(time.perf_counter() - started)
    return found, statistics.median(times), True


def library_turn(bench: Bench, task: Task, engine: str, run: Run, part: int) -> Turn:
    """Run a library's Score-CAM, which goes through the network anew for each class: as much of it as there is time."""
    single = replace(task, classes=1)
    if part:
        network = bench.trainable if engine == "grad-cam" else bench.network
        reckoned = Part(network, part, bench.units).seconds(lambda: run(single))
        return None, None if reckoned is None else reckoned * task.classes, False
    found, elapsed, _ = whole_turn(bench, single, engine, run, part)
    if task.classes == 1 or elapsed is None:
        return found, elapsed, True
    if elapsed < SLOW:
        return whole_turn(bench, task, engine, run, part)
    return found, elapsed * task.classes, False


def differences(bench: Bench, task: Task, maps: dict[str, Maps]) -> tuple[Maps, dict[str, float | None]]:
    """Return what maps are compared with, and differences that were found another way."""
    if "scorecam" not in task.methods:
        expected = bench.reference(replace(task, classes=min(task.classes, CHECKED_CLASSES)))
        return expected, {}
    if bench.name in FULL_SCORE_CAM:
        return bench.score_cam_reference(task), {}
    few = bench.explained(task, bench.explainers["camviewer"], (), strongest=CHECKED_UNITS)
    return maps["camviewer"], {"camviewer": difference(few, bench.score_cam_reference(task, strongest=CHECKED_UNITS))}


def pearson(found: Maps, expected: Maps) -> float:
    """Return the lowest correlation of the maps' values."""
    return min(float(np.corrcoef(found[key].ravel(), expected[key].ravel())[0, 1]) for key in expected)


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
        "| Network | Task | Engine | Time (ms) | in f | Memory (MB) | Off by | Pearson |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        off = "" if row.difference is None else f"{row.difference:.1e}"
        about = "~" if row.extrapolated else ""
        figures = f"{about}{row.seconds * 1e3:.1f} | {about}{row.passes:.2f} | {row.extra_mb:.0f}"
        figures = figures if row.seconds else " | | "
        agreement = "" if row.pearson is None else f"{row.pearson:.5f}"
        lines.append(f"| {row.network} | {row.task} | {row.engine} | {figures} | {off} | {agreement} |")
    return "\n".join(lines)


def goals(rows: list[Row]) -> str:
    """Return how many times faster than the better library each task is, as a Markdown table."""
    lines = ["| Network | Task | camviewer | fast | better library |", "|---|---|---:|---:|---|"]
    for network, task in dict.fromkeys((row.network, row.task) for row in rows):
        here = {r.engine: r for r in rows if (r.network, r.task) == (network, task) and r.seconds}
        library = min((here[e] for e in ("torchcam", "grad-cam") if e in here), key=lambda r: r.seconds, default=None)
        if library is None or "camviewer" not in here:
            continue
        fast = f"{library.seconds / here['camviewer fast'].seconds:.1f} x" if "camviewer fast" in here else ""
        ratio = f"{library.seconds / here['camviewer'].seconds:.1f} x"
        lines.append(f"| {network} | {task} | {ratio} | {fast} | {library.engine}, {library.passes:.1f} f |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    parser.add_argument("--tasks", nargs="+", default=[t.name for t in TASKS], help="names or their beginnings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=int, default=0, help="masked inputs of a library's Score-CAM; 0 for all")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves its choice")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures, one file a network and task")
    parser.add_argument("--minutes", type=float, default=0, help="start no further task after so long; 0 for no limit")
    parser.add_argument("--text", type=Path, help="write what is in --out as Markdown, and measure nothing")
    arguments = parser.parse_args()
    if arguments.text:
        arguments.text.write_text(report(arguments.out))
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [t for t in TASKS if any(t.name.startswith(wanted) for wanted in arguments.tasks)]
    started = time.monotonic()
    for name in arguments.networks:
        left = [task for task in tasks if not _file(arguments.out, name, task).exists()]
        if not left:
            continue
        bench = Bench(name, images=max(task.images for task in left))
        bench.warm_up()
        for task in left:
            if arguments.minutes and time.monotonic() - started > arguments.minutes * 60:
                print("Not everything is measured yet: run this again.")
                return
            rows = measure(bench, task, rounds=arguments.rounds, part=arguments.part)
            found = {"machine": describe(), "rows": [asdict(row) for row in rows]}
            _file(arguments.out, name, task).write_text(json.dumps(found, indent=1))
            print(table(rows), flush=True)
    print("Everything is measured.")


def _file(folder: Path, network: str, task: Task) -> Path:
    return folder / f"{network}-{TASKS.index(task)}.json"


def report(folder: Path) -> str:
    """Return the figures in a folder as a Markdown page."""
    order = {f"{name}-{number}": (place, number) for place, name in enumerate(LAYERS) for number in range(len(TASKS))}
    files = sorted((path for path in folder.glob("*.json") if path.stem in order), key=lambda path: order[path.stem])
    found = [json.loads(path.read_text()) for path in files]
    rows = [Row(**row) for one in found for row in one["rows"]]
    machine = "\n".join(f"* {key}: {value}" for key, value in (found[-1]["machine"] if found else {}).items())
    parts = [
        "# The CAM engine in figures",
        machine,
        NOTES.rstrip(),
        "## Against the libraries",
        goals(rows),
        "## Every figure",
        table(rows),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
