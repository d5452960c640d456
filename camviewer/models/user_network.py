"""A network described by the user's own Python file, which is code and runs only with consent."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

from torch import nn

from camviewer.errors import ModelError
from camviewer.models.checkpoint import ModelInfo, file_sha256, parse_info


def build_user_network(path: Path, *, trust_code: bool) -> nn.Module:
    """Run ``build()`` of a Python file and return its network.

    Args:
        trust_code: the user's consent to run this file.

    Raises:
        ModelError: without consent, the file naming path and SHA-256; or when the file fails.
    """
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.", details=repr(error)) from None
    if not trust_code:
        raise ModelError(
            f"{path} is a program that would run with your rights (SHA-256 {sha256}). "
            "Read it first, and load it with --trust-code only if you trust its source."
        )
    name = f"camviewer_user_network_{sha256[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path.name} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        spec.loader.exec_module(module)
        build = getattr(module, "build", None)
        network = build() if callable(build) else None
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{path.name} failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0] or 'no reason'}.",
            details=repr(error),
        ) from error
    finally:
        sys.modules.pop(name, None)
    if build is None:
        raise ModelError(f"{path.name} has no function build() that returns the network.")
    if not isinstance(network, nn.Module):
        raise ModelError(f"build() in {path.name} returned {type(network).__name__}, not a torch.nn.Module.")
    return network


def read_sidecar(*paths: Path) -> ModelInfo:
    """Return what the JSON file beside the first of `paths` that has one says; see `ModelInfo` for its keys.

    Raises:
        ModelError: when the file is no JSON object.
    """
    for path in paths:
        file = path.with_suffix(".json")
        if file == path or not file.is_file() or file.stat().st_size > 4 * 2**20:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{file.name} is no valid JSON.", details=repr(error)) from None
        if isinstance(content, dict):
            return parse_info(content)
        raise ModelError(f"{file.name} must be an object with keys such as classes, mean, std and input_size.")
    return ModelInfo()


def merged(first: ModelInfo, second: ModelInfo) -> ModelInfo:
    """Return `first` with its gaps filled from `second`."""
    names = (
        "arch", "head", "classes", "mean", "std", "input_size", "interpolation",
        "activation", "transform_input", "channels",
    )  # fmt: skip
    gaps = {name: getattr(second, name) for name in names if getattr(first, name) is None}
    return replace(first, options={**second.options, **first.options}, **gaps)
