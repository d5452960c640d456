"""Weights files, read without ever running code from them, and camviewer's own, written whole or not at all.

Read are ``.safetensors`` and what ``torch.load(weights_only=True)`` accepts. camviewer's own checkpoints are
safetensors whose metadata (all strings) has the keys of `ModelInfo`: ``arch``, ``head``, ``classes`` (JSON list),
``mean``, ``std`` (JSON lists), ``input_size`` (JSON ``[width, height]``), ``interpolation``, ``activation``,
``transform_input`` and ``options`` (JSON object of further arguments of the architecture's builder).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import pathlib
import re
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from camviewer.errors import CheckpointError
from camviewer.images.geometry import Size
from camviewer.models.labels import KEYS, names_of
from camviewer.models.records import Activation, Interpolation

_STATES = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights", "params", "ema")
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "backbone.", "base_model.", "encoder.")
_SUFFIXES = {".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar", ".th"}
# Plain holders of values that people's training scripts put beside the weights. None of them runs anything.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    *(
        (kind, f"{module}.{kind.__name__}")
        for kind in (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)
        for module in ("pathlib", "pathlib._local")
        if os.name != "nt" or kind is not pathlib.PosixPath
    ),
]
_OF_TENSORS = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
_STORAGE = re.compile(r"torch\.\w+Storage")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a file says about its network beside the weights; None where it says nothing.

    Attributes:
        head: ``gap`` or ``gmp``.
        options: further arguments of the architecture's builder.
    """

    arch: str | None = None
    head: str | None = None
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_size: Size | None = None
    interpolation: Interpolation | None = None
    activation: Activation | None = None
    transform_input: bool | None = None
    channels: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Tensors by name, wrappers' prefixes taken off, with what the file says about them."""

    path: Path
    sha256: str
    state: dict[str, Tensor]
    info: ModelInfo


def is_weights_file(path: Path) -> bool:
    """Return whether the name looks like a weights file."""
    return path.suffix.lower() in _SUFFIXES


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the weights in a file.

    Raises:
        CheckpointError: when the file is missing, damaged, holds code, or holds no weights.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise CheckpointError(f"{path.name} is a folder. Choose the weights file in it.")
        if path.stat().st_size == 0:
            raise CheckpointError(f"{path.name} is empty.")
        sha256 = file_sha256(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} was not found.") from None
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or error}.", details=repr(error)) from None
    content: Any
    if _is_safetensors(path):
        content, said = _read_safetensors(path)
    else:
        content = _read_torch(path)
        said = content if isinstance(content, Mapping) else {}
    state = _find_state(content)
    if not state:
        raise CheckpointError(f"{path.name} holds no weights. Save the network's state_dict.")
    for name, tensor in state.items():
        if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError(f"{path.name} holds the tensor {name} in a form that is not plain numbers.")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(f"{path.name} is damaged: the tensor {name} is larger than what is stored for it.")
    return Checkpoint(path, sha256, strip_names(state), parse_info(said))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def strip_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` without the prefixes of wrappers (DataParallel, compile, Lightning, a `model` attribute).

    A prefix goes only when every tensor has it, or all but a few that stand beside the network (a loss's weights).
    """
    result = dict(state)
    while True:
        for prefix in _PREFIXES:
            inside = {name[len(prefix) :]: tensor for name, tensor in result.items() if name.startswith(prefix)}
            if inside and (len(inside) == len(result) or (prefix != "encoder." and _beside(result, prefix))):
                result = inside
                break
        else:
            break
    return {re.sub(r"(^|\.)(?:_orig_mod|module)\.", r"\1", name): tensor for name, tensor in result.items()}


def _beside(state: Mapping[str, Tensor], prefix: str) -> bool:
    """Return whether the tensors without `prefix` are a loss or a metric, not part of the network."""
    others = [name for name in state if not name.startswith(prefix)]
    return all(re.match(r"(criterion|loss|loss_fn|metric|metrics|\w*_metrics|ema_\w+|n_averaged)\b", o) for o in others)


def parse_info(said: Mapping[Any, Any]) -> ModelInfo:
    """Return what metadata say; entries that make no sense count as absent."""
    values = {str(key): _unwrapped(value) for key, value in said.items() if isinstance(key, str)}

    def floats(key: str) -> tuple[float, ...] | None:
        value = values.get(key)
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, (int, float)) for v in value):
            return tuple(float(v) for v in value)
        return None

    arch = next((values[k] for k in ("arch", "architecture", "model_name") if isinstance(values.get(k), str)), None)
    classes = next((found for k in KEYS if k in values and (found := names_of(values[k])) is not None), None)
    activation = values.get("activation")
    if activation not in get_args(Activation):
        activation = "sigmoid" if values.get("multi_label") is True else None
    interpolation = values.get("interpolation")
    transform_input = values.get("transform_input")
    options = values.get("options")
    head, channels = values.get("head"), values.get("channels")
    return ModelInfo(
        arch=arch,
        head=head if head in ("gap", "gmp") else None,
        classes=classes,
        mean=floats("mean"),
        std=floats("std"),
        input_size=_size(values.get("input_size")),
        interpolation=interpolation if interpolation in get_args(Interpolation) else None,
        activation=activation,
        transform_input=transform_input if isinstance(transform_input, bool) else None,
        channels=channels if isinstance(channels, int) and channels in (1, 3, 4) else None,
        options=dict(options) if isinstance(options, Mapping) else {},
    )


def save_checkpoint(
    path: Path,
    network: nn.Module,
    *,
    info: ModelInfo,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write the weights of `network` as safetensors with `info` as metadata; the file appears whole or not at all.

    Args:
        extra: further metadata, for example ``epoch``.

    Raises:
        CheckpointError: when the file cannot be written.
    """
    metadata = {"format": "pt", **(extra or {})}
    for key in ("arch", "head", "interpolation", "activation"):
        if (value := getattr(info, key)) is not None:
            metadata[key] = value
    for key in ("classes", "mean", "std", "input_size", "transform_input", "channels"):
        if (value := getattr(info, key)) is not None:
            metadata[key] = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    if info.options:
        metadata["options"] = json.dumps(info.options)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        save_file(tensors, temporary, metadata=metadata)
        with open(temporary, "rb+") as file:  # noqa: PTH123 - a descriptor to sync
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} cannot be written: {reason(error)}.", details=repr(error)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """Return why a file could not be written, as the system says it, for example ``No space left on device``."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    found = re.search(r"os error (\d+)", str(error))  # safetensors wraps what its writer met
    return os.strerror(int(found[1])) if found else str(error)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _is_safetensors(path: Path) -> bool:
    if path.suffix.lower() == ".safetensors":
        return True
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:
        raise CheckpointError(
            f"{path.name} cannot be read as weights. The file is cut short or damaged.", details=repr(error)
        ) from None


def _read_torch(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _refuse_programs(path)
    try:
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on pickle's protocol, which say nothing to a user
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:
        text = _ANSI.sub("", str(error))
        unsafe = _unsafe_globals(path)
        if unsafe:
            raise CheckpointError(
                f"{path.name} holds code besides weights, which is not run. Save the network's state_dict alone.",
                details=f"refused: {', '.join(unsafe)}\n{text}",
            ) from None
        raise CheckpointError(
            f"{path.name} cannot be read as weights. The file is cut short, damaged, or of another kind.",
            details=text,
        ) from None


def _refuse_programs(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:
        raise CheckpointError(
            f"{path.name} cannot be read as weights. The file is cut short or damaged.", details=repr(error)
        ) from None
    parts = {name.partition("/")[2] for name in names}
    if "constants.pkl" in parts or any(part.startswith("code/") for part in parts):
        raise CheckpointError(
            f"{path.name} is a TorchScript program, not weights. Save the network's state_dict and load that."
        )
    if "archive_format" in parts | set(names) or any(name.endswith("models/model.json") for name in names):
        raise CheckpointError(
            f"{path.name} is an exported program, not weights. Save the network's state_dict and load that."
        )


def _unsafe_globals(path: Path) -> list[str]:
    try:
        found = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:
        return _named_globals(path)
    allowed = {"argparse.Namespace"} | {entry[1] for entry in _HARMLESS if isinstance(entry, tuple)}
    return sorted(found - allowed)


def _named_globals(path: Path) -> list[str]:
    """Return the globals beside tensors that plain pickles name, by reading their opcodes without running them.

    torch's files of before 2020 hold several pickles, one after the other, and numbers after those.
    """
    import pickletools

    found: set[str] = set()
    strings: list[str] = []
    try:
        with path.open("rb") as file:
            for _pickle in range(5):
                for opcode, argument, _place in pickletools.genops(file):
                    if opcode.name == "GLOBAL":
                        found.add(str(argument).replace(" ", "."))
                    elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                        found.add(".".join(strings[-2:]))
                    elif isinstance(argument, str):
                        strings.append(argument)
    except Exception as error:
        log.debug("opcodes of %s end: %r", path.name, error)
    return sorted(name for name in found if name not in _OF_TENSORS and not _STORAGE.fullmatch(name))


def _find_state(content: Any, depth: int = 0) -> dict[str, Tensor]:
    """Return the tensors of the network in whatever a training script saved."""
    if not isinstance(content, Mapping) or depth > 3:
        return {}
    own = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    named = [key for key in _STATES if isinstance(content.get(key), Mapping)]
    for key in named:
        if found := _find_state(content[key], depth + 1):
            return found
    if own:
        return own
    others = [_find_state(value, depth + 1) for key, value in content.items() if "optim" not in str(key).lower()]
    return max(others, key=len, default={})


def _unwrapped(value: Any) -> Any:
    """Return a JSON text's value, anything else as it is."""
    if isinstance(value, str) and value[:1] in '[{"tf0123456789-':
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _size(value: Any) -> Size | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 3:  # timm: channels, height, width
        value = (value[2], value[1])
    if (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(v, int) and 0 < v < 2**14 for v in value)
    ):
        return int(value[0]), int(value[1])
    return None
