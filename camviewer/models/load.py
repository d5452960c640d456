"""From a request to a classifier, without ever running code from a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camviewer.catalogue.architectures import BY_NAME, ArchitectureSpec, architecture
from camviewer.errors import CheckpointError, ModelError
from camviewer.images.geometry import RESIZE_MODES, Size
from camviewer.models import architectures, published, timm_models
from camviewer.models.checkpoint import Checkpoint, ModelInfo, is_weights_file, read_checkpoint
from camviewer.models.classifier import Classifier, choose_device, set_precision
from camviewer.models.labels import read_labels
from camviewer.models.preprocessing import for_channels, from_transforms
from camviewer.models.records import Activation, LoadRequest, ModelIdentity, Preprocessing
from camviewer.models.user_network import build_user_network, merged, read_sidecar

_LARGEST_SIDE = 4096


@dataclass(slots=True, eq=False)
class _Loaded:
    """A network on its way to a classifier.

    Attributes:
        suggested: fields of `Preprocessing` that the weights ask for.
        categories: class names of published weights, used where the number fits.
        outputs: number of logits where known.
    """

    network: nn.Module
    architecture: str
    weights: str
    sha256: str
    info: ModelInfo = field(default_factory=ModelInfo)
    suggested: dict[str, Any] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    channels: int = 3
    size: Size = (224, 224)
    file: Path | None = None
    warnings: list[str] = field(default_factory=list)


def load_classifier(request: LoadRequest) -> Classifier:
    """Return the classifier that `request` describes.

    Raises:
        CheckpointError: when the weights file cannot be read, holds code, or fits no architecture or another one.
        ModelError: when the architecture, the device or an option is not possible.
    """
    request = _sorted_out(request)
    device = choose_device(request.device)
    set_precision(request.precision)
    model = request.model
    if model is not None and model.endswith(".py"):
        loaded = _from_user(Path(model), request)
    elif isinstance(request.weights, str) and request.weights.startswith(published.PREFIX):
        loaded = _from_published(published.resolve(request.weights, model), request)
    elif request.weights is not None:
        loaded = _from_file(read_checkpoint(Path(request.weights)), request)
    elif model is None:
        raise ModelError("There is no model. Name an architecture, or choose a weights file.")
    elif timm_models.wanted(model):
        loaded = _from_timm(timm_models.strip(model), None, request)
    else:
        loaded = _without_file(architecture(model), request)
    return _finish(loaded, request, device)


def _sorted_out(request: LoadRequest) -> LoadRequest:
    """Return the request with a weights file that was given as the model in its place, its values checked."""
    if request.resize_mode not in RESIZE_MODES:
        raise ModelError(f"There is no resize mode {request.resize_mode!r}; there are: {', '.join(RESIZE_MODES)}.")
    if request.input_size is not None and not 1 <= request.input_size <= _LARGEST_SIDE:
        raise ModelError(f"An input of {request.input_size} pixels is not possible. Choose 1 to {_LARGEST_SIDE}.")
    if request.std is not None and any(value == 0 for value in request.std):
        raise ModelError("A standard deviation of 0 is not possible.")
    if request.weights is not None and str(request.weights).startswith(published.PREFIX):
        request = replace(request, weights=str(request.weights))
    model = request.model
    if model and request.weights is None and is_weights_file(Path(model)) and model not in BY_NAME:
        request = replace(request, model=None, weights=Path(model))
    return replace(request, model=request.model or None)


# --- where networks come from -----------------------------------------------------------------------------------------


def _without_file(spec: ArchitectureSpec, request: LoadRequest) -> _Loaded:
    if not spec.own:
        entries = published.of_architecture(spec.name)
        for entry in entries:
            if published.cached(entry):
                return _from_published(entry, request)
        if request.allow_download:
            return _from_published(entries[0], request)
    plan = architectures.Plan()
    warning = (
        f"{spec.title} has random weights (seed {request.seed}): maps show nothing that was learned. "
        "Choose a weights file."
    )
    if not spec.own and any(entry.path.is_file() for entry in entries):
        warning += " The published weights on this machine are damaged."
    network = architectures.build(spec.name, plan, seed=request.seed)
    loaded = _Loaded(network, spec.name, "random", "", size=(spec.input_size, spec.input_size), warnings=[warning])
    if not spec.own:
        loaded.suggested = from_transforms(published.of_architecture(spec.name)[0].transforms)
    return loaded


def _from_published(entry: published.Published, request: LoadRequest) -> _Loaded:
    if not published.cached(entry) and request.allow_download:
        published.fetch(entry)
    state, sha256 = published.read(entry)
    spec = architecture(entry.architecture)
    if request.model not in (None, spec.name):
        raise CheckpointError(f"The weights {entry.name} are for {spec.name}, not for {request.model}.")
    plan = replace(architectures.plan_for(spec, state, file=entry.name), transform_input=True)
    network = architectures.build(spec.name, plan)
    architectures.load_weights(network, state, file=entry.name, title=spec.title)
    return _Loaded(
        network,
        spec.name,
        published.PREFIX + entry.name,
        sha256,
        suggested=from_transforms(entry.transforms),
        categories=entry.classes,
        channels=plan.channels,
        size=architectures.expected_size(spec, plan),
    )


def _from_file(checkpoint: Checkpoint, request: LoadRequest) -> _Loaded:
    name = checkpoint.path.name
    info = merged(checkpoint.info, read_sidecar(checkpoint.path))
    wanted = request.model or info.arch
    if wanted and timm_models.wanted(wanted):
        return _from_timm(timm_models.strip(wanted), checkpoint, request)
    fitting = architectures.candidates(checkpoint.state)
    if request.model is None and (wanted is None or wanted not in BY_NAME):
        wanted = _inferred(fitting, name)
    assert wanted is not None
    spec = architecture(wanted)
    if not spec.own and spec.name not in fitting and len(fitting) == 1:
        raise CheckpointError(f"{name} does not fit {spec.title}: its tensors are those of {fitting[0]}.")
    official = None if spec.own else published.with_sha256(spec.name, checkpoint.sha256)
    plan = _plan(spec, checkpoint, info)
    if official is not None:
        plan = replace(plan, transform_input=True)
    if spec.own:  # its options come from the file, so sizes are compared before memory is taken
        with torch.device("meta"):
            outline = architectures.build(spec.name, plan)
        architectures.compare(outline, checkpoint.state, file=name, title=spec.title)
    network = architectures.build(spec.name, plan)
    architectures.load_weights(network, checkpoint.state, file=name, title=spec.title)
    loaded = _Loaded(
        network,
        spec.name,
        name,
        checkpoint.sha256,
        info=info,
        channels=plan.channels,
        size=architectures.expected_size(spec, plan),
        file=checkpoint.path,
    )
    if not spec.own:
        entry = official or published.of_architecture(spec.name)[0]
        loaded.suggested = from_transforms(entry.transforms)
        loaded.categories = entry.classes
    if spec.name in ("googlenet", "inception_v3") and official is None and info.transform_input is None:
        loaded.warnings.append(
            f"{name} does not say whether it rescales its input, as torchvision's own {spec.title} weights do. "
            'It is taken as not; a key "transform_input": true in the file or in a JSON file beside it changes that.'
        )
    return loaded


def _plan(spec: ArchitectureSpec, checkpoint: Checkpoint, info: ModelInfo) -> architectures.Plan:
    if not spec.own and info.options.get("converted") and "fc.weight" in checkpoint.state:
        finer = _whole(info.options.get("finer"))
        return architectures.Plan(
            checkpoint.state["fc.weight"].shape[0],
            info.channels or 3,
            info.head or "gap",
            transform_input=bool(info.transform_input),
            options=(("converted", True), ("finer", finer)),
        )
    if not spec.own:
        plan = architectures.plan_for(spec, checkpoint.state, file=checkpoint.path.name)
        return replace(plan, head=info.head, transform_input=bool(info.transform_input))
    shapes = architectures.names_and_shapes(checkpoint.state)
    last = next(
        (shape for name, shape in reversed(shapes.items()) if name.endswith("weight") and len(shape) == 2), None
    )
    if last is None:
        raise CheckpointError(f"{checkpoint.path.name} holds no class layer, so it is no trained classifier.")
    # By name: safetensors holds its tensors in alphabetical order.
    stem = (shape for name, shape in shapes.items() if name.startswith("stem.") and len(shape) == 4)
    first = next(stem, (0, info.channels or 3))
    options = {key: value for key, value in info.options.items() if key not in ("num_classes", "head", "in_channels")}
    return architectures.Plan(last[0], first[1], info.head, options=tuple(options.items()))


def _whole(value: Any) -> int:
    return min(value, 8) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _inferred(fitting: list[str], file: str) -> str:
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise CheckpointError(f"{file} fits several architectures: {', '.join(fitting)}. Name the one it is.")
    raise CheckpointError(
        f"{file} fits none of the {len(architectures.fingerprints())} known architectures. Name the model it was "
        "trained with, or describe it in a Python file with build()."
    )


def _from_user(path: Path, request: LoadRequest) -> _Loaded:
    if isinstance(request.weights, str) and request.weights.startswith(published.PREFIX):
        raise ModelError("Published weights belong to torchvision's own architectures, not to a Python file.")
    network = build_user_network(path, trust_code=request.trust_code)
    checkpoint = read_checkpoint(Path(request.weights)) if request.weights is not None else None
    said = read_sidecar(path)
    if checkpoint is None:
        warning = f"{path.name} has the weights that build() gave it: no weights file was named."
        loaded = _Loaded(network, path.name, "random", "", info=said, warnings=[warning])
    else:
        load_matching(network, checkpoint, title=path.name)
        info = merged(merged(said, checkpoint.info), read_sidecar(checkpoint.path))
        loaded = _Loaded(network, path.name, checkpoint.path.name, checkpoint.sha256, info=info, file=checkpoint.path)
    stem = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    channels = loaded.info.channels or (stem.in_channels if stem is not None else 3)
    if channels not in architectures.CHANNELS:
        raise ModelError(f"{path.name} takes images of {channels} channels; 1, 3 and 4 are possible.")
    loaded.channels = channels
    return loaded


def load_matching(network: nn.Module, checkpoint: Checkpoint, *, title: str) -> None:
    """Load a file whose tensors may carry, or lack, a prefix that `network` has."""
    wanted = set(network.state_dict())
    state: Mapping[str, Tensor] = checkpoint.state
    if not wanted & set(state):
        for name in wanted:
            first = next(iter(state))
            if name.endswith(f".{first}"):
                prefix = name[: -len(first)]
                state = {prefix + key: tensor for key, tensor in state.items()}
                break
    architectures.load_weights(network, state, file=checkpoint.path.name, title=title)


def _from_timm(name: str, checkpoint: Checkpoint | None, request: LoadRequest) -> _Loaded:
    network, suggested, channels = timm_models.build(name, checkpoint.state if checkpoint else None, request.seed)
    size = suggested["input_size"]
    if checkpoint is None:
        warning = f"{name} has random weights (seed {request.seed}): maps show nothing that was learned."
        return _Loaded(
            network, f"timm:{name}", "random", "", suggested=suggested, channels=channels, size=size, warnings=[warning]
        )
    load_matching(network, checkpoint, title=name)
    info = merged(checkpoint.info, read_sidecar(checkpoint.path))
    return _Loaded(
        network,
        f"timm:{name}",
        checkpoint.path.name,
        checkpoint.sha256,
        info=info,
        suggested=suggested,
        channels=channels,
        size=size,
        file=checkpoint.path,
    )


# --- what the outputs mean ------------------------------------------------------------------------------------------


def _finish(loaded: _Loaded, request: LoadRequest, device: torch.device) -> Classifier:
    if not all(bool(torch.isfinite(p.detach().sum())) for p in loaded.network.parameters() if p.is_floating_point()):
        loaded.warnings.append(f"{loaded.weights} holds values that are not numbers. Scores and maps will be wrong.")
    loaded.network.float()
    identity = ModelIdentity(
        loaded.architecture, loaded.weights, loaded.sha256, (), loaded.info.activation or "softmax"
    )
    preprocessing = _preprocessing(loaded, request)
    spec = BY_NAME.get(loaded.architecture)
    if spec is not None and spec.fixed_size and preprocessing.input_size != loaded.size:
        raise ModelError(f"{spec.title} takes inputs of {loaded.size[0]} x {loaded.size[1]} pixels only.")
    classifier = Classifier(loaded.network, identity=identity, preprocessing=preprocessing, device=device)
    outputs = len(classifier.identity.classes)
    classes, warnings = class_names(
        outputs, labels=request.labels, file=loaded.file, inside=loaded.info.classes, published=loaded.categories
    )
    activation: Activation = loaded.info.activation or ("sigmoid" if outputs == 1 else "softmax")
    classifier.identity = replace(identity, classes=classes, activation=activation)
    classifier.warnings = (*loaded.warnings, *warnings)
    return classifier


def _preprocessing(loaded: _Loaded, request: LoadRequest) -> Preprocessing:
    """Return the preprocessing: what was asked for, else what the file says, else what published weights use."""
    base = Preprocessing()
    fields = {**loaded.suggested}
    spec = BY_NAME.get(loaded.architecture)
    as_built = loaded.size != (224, 224) or (spec is not None and spec.fixed_size)
    own_size = loaded.info.input_size or (loaded.size if as_built else fields.get("input_size", loaded.size))
    size = (request.input_size, request.input_size) if request.input_size else own_size
    resize_size = fields.get("resize_size")
    if resize_size is not None and size != fields.get("input_size"):
        resize_size = round(resize_size * min(size) / min(fields["input_size"]))
    mean = request.mean or loaded.info.mean or fields.get("mean") or base.mean
    std = request.std or loaded.info.std or fields.get("std") or base.std
    return Preprocessing(
        input_size=size,
        resize_mode=request.resize_mode,
        resize_size=resize_size,
        interpolation=loaded.info.interpolation or fields.get("interpolation") or base.interpolation,
        mean=for_channels(tuple(mean), loaded.channels),
        std=for_channels(tuple(std), loaded.channels),
        channels=loaded.channels,
    )


def class_names(
    outputs: int,
    *,
    labels: Path | None = None,
    file: Path | None = None,
    inside: tuple[str, ...] | None = None,
    published: tuple[str, ...] = (),
) -> tuple[tuple[str, ...], list[str]]:
    """Return a name for each of `outputs` logits, and warnings.

    The first of these that there is: the file `labels`; ``WEIGHTS.labels.txt|csv|json`` beside the weights; names
    inside the weights; the names of published weights where the number is theirs; ``class 0`` and so on. Names that
    are too many or too few are never used, since all might be shifted: classes are numbered, with a warning.

    Raises:
        CheckpointError: when `labels` cannot be read.
    """
    numbered = tuple(f"class {i}" for i in range(outputs))
    found, source = None, ""
    if labels is not None:
        found, source = read_labels(labels), labels.name
    elif file is not None and (beside := _sidecar_labels(file)) is not None:
        found, source = read_labels(beside), beside.name
    elif inside is not None:
        found, source = inside, file.name if file is not None else "The model"
    if found is None:
        return (published, []) if len(published) == outputs else (numbered, [])
    if len(found) == outputs:
        return found, []
    if outputs == 1 and len(found) == 2:
        return (found[1],), [f"The network has one output: its sigmoid is the probability of {found[1]}."]
    warning = (
        f"{source} names {len(found)} classes, but the network has {outputs} outputs. The classes are numbered instead."
    )
    return numbered, [warning]


def _sidecar_labels(file: Path) -> Path | None:
    for suffix in ("txt", "json", "csv"):
        for name in (f"{file.name}.labels.{suffix}", f"{file.stem}.labels.{suffix}"):
            if (path := file.with_name(name)).is_file():
                return path
    return None
