"""Building networks by name, and telling from a file's names and shapes which architecture it belongs to."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from camviewer.catalogue.architectures import ArchitectureSpec, architecture
from camviewer.errors import CheckpointError, ModelError
from camviewer.images.geometry import Size
from camviewer.models.camnet import camnet
from camviewer.models.converted import convert

OWN: dict[str, Callable[..., nn.Module]] = {"camnet": camnet}
"""camviewer's own architectures: name to ``builder(num_classes, head=..., **options)``."""

CHANNELS = (1, 3, 4)
FINGERPRINTS = Path(__file__).with_name("fingerprints.json")

_AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")
_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells an architecture from others, whatever its classes and its input channels are.

    Attributes:
        digest: of names and shapes without the head and without the batches that batch norms have seen.
        head: first part of the names of the tensors behind the features (``fc``, ``classifier``).
        outputs: name of the last layer's weight.
        stem: name of the first convolution's weight.
        tensors: how many names the digest covers.
    """

    digest: str
    head: str
    outputs: str
    stem: str
    tensors: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is built so that a file's weights fit into it.

    Attributes:
        outputs: number of logits.
        channels: of the input.
        head: ``gap`` or ``gmp``; None leaves the architecture's own pooling.
        replaced: dotted path of a layer that the file replaces by one linear layer, and that layer's path below it.
        image_size: side that a ViT's position table is for.
        options: of camviewer's own builders; for the others ``converted`` (see `camviewer.models.converted`) and
            ``finer``.
    """

    outputs: int = 1000
    channels: int = 3
    head: str | None = None
    replaced: tuple[str, str] | None = None
    image_size: int | None = None
    transform_input: bool = False
    options: tuple[tuple[str, Any], ...] = ()


def names_and_shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the tensors that count, under today's names: no auxiliary heads, no counters of batch norms."""
    result = {}
    for name, tensor in state.items():
        if _AUXILIARY.match(name) or name.endswith("num_batches_tracked"):
            continue
        result[current_name(name)] = tuple(tensor.shape)
    return result


def current_name(name: str) -> str:
    """Return a tensor's name today: old DenseNet files have ``norm.1`` for ``norm1``."""
    match = _OLD_DENSENET.match(name)
    return match[1] + match[2] if match else name


def fingerprint(shapes: Mapping[str, tuple[int, ...]], *, head: str, stem: str) -> str:
    """Return the digest of `Fingerprint` of names and shapes."""
    lines = []
    for name, shape in shapes.items():
        if name.partition(".")[0] == head:
            continue
        if name == stem:
            shape = (shape[0], 0, *shape[2:])
        if name.endswith("pos_embedding"):  # as long as the image it was trained for
            shape = (shape[0], 0, *shape[2:])
        lines.append(f"{name} {'x'.join(map(str, shape))}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


@cache
def fingerprints() -> dict[str, Fingerprint]:
    """Return the fingerprints that ``scripts/build_fingerprints.py`` wrote."""
    rows = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    return {name: Fingerprint(**row) for name, row in rows.items()}


def candidates(state: Mapping[str, Tensor]) -> list[str]:
    """Return the architectures whose names and shapes `state` has, the final layers aside."""
    shapes = names_and_shapes(state)
    digests: dict[tuple[str, str], str] = {}
    found = []
    for name, known in fingerprints().items():
        key = (known.head, known.stem)
        if key not in digests:
            digests[key] = fingerprint(shapes, head=known.head, stem=known.stem)
        if digests[key] == known.digest:
            found.append(name)
    return found


def plan_for(spec: ArchitectureSpec, state: Mapping[str, Tensor], *, file: str) -> Plan:
    """Return how to build `spec` for the weights in `state`.

    Args:
        file: name in messages.

    Raises:
        CheckpointError: when the file's final layers are not one linear layer in a known place.
    """
    shapes = names_and_shapes(state)
    known = fingerprints()[spec.name]
    channels = shapes[known.stem][1] if len(shapes.get(known.stem, ())) == 4 else 3
    if channels not in CHANNELS:
        raise CheckpointError(f"{file} is for images of {channels} channels; 1, 3 and 4 are possible.")
    image_size = _vit_side(shapes, known.stem)
    if known.outputs in shapes:
        return Plan(shapes[known.outputs][0], channels, image_size=image_size)
    # A replaced head: `fc = Sequential(Dropout, Linear)` and the like, deepest place first.
    place = known.outputs.removesuffix(".weight")
    for path in dict.fromkeys((place, known.head)):
        inside = {name[len(path) + 1 :]: shape for name, shape in shapes.items() if name.startswith(f"{path}.")}
        weights = [name for name, shape in inside.items() if name.endswith("weight")]
        if len(weights) == 1 and len(inside[weights[0]]) == 2 and set(inside) <= {weights[0], weights[0][:-6] + "bias"}:
            below = weights[0].removesuffix("weight").removesuffix(".")
            return Plan(inside[weights[0]][0], channels, replaced=(path, below), image_size=image_size)
    extra = [name.removesuffix(".weight") for name in shapes if name.startswith(f"{known.head}.") and "weight" in name]
    if not extra:
        raise CheckpointError(f"{file} holds no class layer ({place}), so it is no trained classifier.")
    raise CheckpointError(
        f"{file} ends in layers that {spec.title} does not have ({', '.join(extra[:4])}), and a weights file does not "
        "say what lies between them. Describe the network in a Python file with build() and name that as the model."
    )


def build(name: str, plan: Plan | None = None, *, seed: int | None = None) -> nn.Module:
    """Return the architecture `name`.

    Args:
        plan: sizes; the published ones when None.
        seed: of the random weights; None makes them zero, to be loaded. The program's random state is not touched.

    Raises:
        ModelError: when the name or an option is unknown, or the head cannot be had.
    """
    plan = plan or Plan()
    spec = architecture(name)
    with torch.random.fork_rng(devices=[]), _initialised(seed):
        if spec.own:
            options = dict(plan.options)
            if plan.channels != 3:
                options["in_channels"] = plan.channels
            try:
                return OWN[name](plan.outputs, head=plan.head or "gap", **options)
            except TypeError as error:
                raise ModelError(f"{spec.title} has no such option: {error}.", details=repr(error)) from error
        network = torchvision.models.get_model(name, weights=None, num_classes=plan.outputs, **_arguments(spec, plan))
        if plan.channels != 3:
            _change_stem(network, fingerprints()[name].stem, plan.channels)
        if plan.replaced is not None:
            _replace_head(network, *plan.replaced, outputs=plan.outputs)
        options = dict(plan.options)
        if options.get("converted"):
            return convert(
                network,
                plan.outputs,
                head="gmp" if plan.head == "gmp" else "gap",
                finer=int(options.get("finer", 0)),
                input_size=(spec.input_size, spec.input_size),
                channels=plan.channels,
            )
    if plan.head is not None:
        set_pooling(network, plan.head)
    return cast(nn.Module, network)


def set_pooling(network: nn.Module, head: str) -> None:
    """Make the global pooling ``avgpool`` of `network` an average (``gap``) or a maximum (``gmp``).

    Raises:
        ModelError: when it has no such layer.
    """
    wanted = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.AdaptiveMaxPool2d(1)
    for name in ("avgpool", "pool"):
        module = getattr(network, name, None)
        if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)) and module.output_size in (1, (1, 1)):
            if type(module) is not type(wanted):
                setattr(network, name, wanted)
            return
    if head == "gmp":
        raise ModelError(f"{type(network).__name__} has no global pooling layer that could take the maximum.")


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, file: str, title: str) -> None:
    """Copy `state` into `network`, whatever floating type it has, after every name and shape was compared.

    Raises:
        CheckpointError: names what is missing, unexpected or of another shape.
    """
    network.load_state_dict(compare(network, state, file=file, title=title), strict=False)


def compare(network: nn.Module, state: Mapping[str, Tensor], *, file: str, title: str) -> dict[str, Tensor]:
    """Return what of `state` belongs to `network`, under its names; arguments and errors as of `load_weights`."""
    wanted = network.state_dict()
    given = {current_name(name) if name not in wanted else name: tensor for name, tensor in state.items()}
    given = {name: t for name, t in given.items() if name in wanted or not _ignorable(name)}
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    differing = [
        f"{name} is {_shape(given[name])}, not {_shape(tensor)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems = []
    if missing:
        problems.append(f"missing: {_few(missing)}")
    if unexpected:
        problems.append(f"unexpected: {_few(unexpected)}")
    if differing:
        problems.append(f"of another shape: {_few(differing)}")
    if problems:
        raise CheckpointError(
            f"{file} does not fit {title}. Tensors {'; '.join(problems)}.",
            details="\n".join([*missing, *unexpected, *differing]),
        )
    for name, tensor in given.items():
        if tensor.is_complex():
            raise CheckpointError(f"{file} does not fit {title}. {name} holds complex numbers.")
    return given


def expected_size(spec: ArchitectureSpec, plan: Plan) -> Size:
    """Return the input size that the network is for."""
    side = plan.image_size or spec.input_size
    return side, side


def _ignorable(name: str) -> bool:
    return name.endswith("num_batches_tracked") or _AUXILIARY.match(name) is not None


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one value"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _arguments(spec: ArchitectureSpec, plan: Plan) -> dict[str, Any]:
    if spec.name in ("googlenet", "inception_v3"):
        # Auxiliary heads serve training alone; evaluation never runs them.
        transform = plan.transform_input and plan.channels == 3
        return {"aux_logits": False, "init_weights": True, "transform_input": transform}
    if (
        spec.family == "Vision Transformer"
    ):  # its position table is for one size; the builders' own default is 224 for all of them
        return {"image_size": plan.image_size or spec.input_size}
    return {}


def _vit_side(shapes: Mapping[str, tuple[int, ...]], stem: str) -> int | None:
    table = shapes.get("encoder.pos_embedding")
    if table is None or len(table) != 3 or len(shapes.get(stem, ())) != 4:
        return None
    grid = math.isqrt(max(table[1] - 1, 0))
    return grid * shapes[stem][-1] if grid * grid == table[1] - 1 and 0 < grid < 512 else None


def _change_stem(network: nn.Module, stem: str, channels: int) -> None:
    path = stem.removesuffix(".weight")
    old = network.get_submodule(path)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(
        channels,
        old.out_channels,
        cast(Any, old.kernel_size),
        stride=cast(Any, old.stride),
        padding=cast(Any, old.padding),
        dilation=cast(Any, old.dilation),
        bias=old.bias is not None,
    )
    _put(network, path, new)


def _replace_head(network: nn.Module, path: str, below: str, *, outputs: int) -> None:
    old = network.get_submodule(path)
    inputs = next((m.in_features for m in old.modules() if isinstance(m, nn.Linear)), None)
    if inputs is None:
        raise ModelError(f"{type(network).__name__} has no linear layer at {path}.")
    new: nn.Module = nn.Linear(inputs, outputs)
    for part in reversed(below.split(".") if below else []):
        new = nn.Sequential(OrderedDict({part: new}))
    _put(network, path, new)


def _put(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)


@contextmanager
def _initialised(seed: int | None) -> Iterator[None]:
    if seed is None:
        with _Unset():
            yield
    else:
        torch.manual_seed(seed)
        yield


class _Unset(TorchFunctionMode):
    """Puts zeros where random numbers would be drawn, since the weights are loaded anyway.

    Zeros, since truncated draws repeat until every value lies in their range.
    """

    _DRAWING = frozenset({"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in self._DRAWING:
            with torch.no_grad():
                return (args[0] if args else (kwargs or {})["tensor"]).zero_()
        return func(*args, **(kwargs or {}))
