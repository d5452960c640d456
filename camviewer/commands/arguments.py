"""Argument types and option groups that commands share, built from the catalogue."""

from __future__ import annotations

import argparse
import math
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from camviewer.cam.requests import FUSE, TTA, MapRequest, contrast_class
from camviewer.catalogue.architectures import ARCHITECTURES
from camviewer.catalogue.methods import BY_NAME, METHODS, method
from camviewer.catalogue.parameters import Value, complete
from camviewer.catalogue.refinements import REFINEMENTS, refinement
from camviewer.errors import UsageError
from camviewer.images.geometry import RESIZE_MODES
from camviewer.models.records import LoadRequest

PRECISIONS = ("exact", "fast")
DEVICE_HELP = "auto (default, the best there is), cpu, cuda, cuda:N or mps"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, by `UsageError`, instead of printing its usage and leaving."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:].rstrip(".")
        raise UsageError(f"{sentence}. See {self.prog} --help.")


class Several(argparse.Action):
    """Collects an option that may be repeated and comma-separated into one tuple, without doubles."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        name = f"_given_{self.dest}"
        given: list[str] = getattr(namespace, name, [])
        given += [part.strip() for part in str(values).split(",") if part.strip()]
        if not given:
            parser.error(f"argument {option_string}: expected a name")
        allowed: tuple[str, ...] = self.const or ()
        for part in given:
            if allowed and part not in allowed:
                parser.error(f"argument {option_string}: there is no {part!r}; there are: {', '.join(allowed)}")
        setattr(namespace, name, given)
        setattr(namespace, self.dest, tuple(dict.fromkeys(given)))


def whole(text: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 1, not {text!r}")
    return number


def device(text: str) -> str:
    """Parse ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?|mps", text):
        raise argparse.ArgumentTypeError(f"needs auto, cpu, cuda, cuda:N or mps, not {text!r}")
    return text


def weights(text: str) -> Path | str:
    """Parse a path, or ``torchvision:NAME``."""
    return text if text.startswith("torchvision:") else Path(text)


def seed(text: str) -> int:
    """Parse a whole number from 0 to 2**63 - 1."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 63:
        raise argparse.ArgumentTypeError(f"needs a whole number of at least 0, not {text!r}")
    return number


def fraction(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"needs a number from 0 to 1, not {text!r}")
    return number


def numbers(text: str) -> tuple[float, ...]:
    """Parse comma-separated finite numbers."""
    try:
        parsed = tuple(float(part) for part in text.split(","))
    except ValueError:
        parsed = ()
    if not parsed or not all(math.isfinite(number) for number in parsed):
        raise argparse.ArgumentTypeError(f"needs numbers with commas between, as 0.5,0.5,0.5, not {text!r}")
    return parsed


def deviations(text: str) -> tuple[float, ...]:
    """Parse comma-separated numbers above 0."""
    parsed = numbers(text)
    if min(parsed) <= 0:
        raise argparse.ArgumentTypeError(f"needs numbers above 0, not {text!r}")
    return parsed


def classes(text: str) -> str | tuple[int, ...]:
    """Parse ``predicted``, ``topN``, ``all`` or indices with commas between."""
    words = text.strip()
    if words in {"predicted", "all"} or (words[:3] == "top" and words[3:].isdecimal() and int(words[3:]) > 0):
        return words
    try:
        indices = tuple(int(part) for part in words.split(","))
    except ValueError:
        indices = (-1,)
    if min(indices) < 0:
        raise argparse.ArgumentTypeError(f"needs predicted, top5, all or class indices as 0,3, not {text!r}")
    return tuple(dict.fromkeys(indices))


def target(text: str) -> str:
    """Parse ``score``, ``negative`` or ``contrast:J``."""
    try:
        contrast_class(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.message.rstrip(".")) from None
    return text


def split(text: str) -> tuple[float, ...]:
    """Parse the shares of training, validation and test set."""
    shares = numbers(text)
    if not 2 <= len(shares) <= 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise argparse.ArgumentTypeError(f"needs two or three shares that add up to 1, as 0.8,0.1,0.1, not {text!r}")
    return shares


def name_map(given: list[str]) -> dict[str, str]:
    """Return new names by old ones, from texts of the form ``OLD=NEW``.

    Raises:
        UsageError: when one has another form.
    """
    names = {}
    for text in given:
        old, equals, new = text.partition("=")
        if not equals or not old:
            raise UsageError(f"--map needs OLD=NEW, not {text!r}.")
        names[old] = new
    return names


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add how a CSV file of labelled pictures is read."""
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="where the pictures of a CSV file lie (default: beside it)"
    )
    parser.add_argument("--column", metavar="NAME", help="column of a CSV file that holds the class")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what `load_request` reads."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="ARCH|FILE",
        help="torchvision's name of the architecture, or a Python file with build(); may be left out where the "
        "weights tell it",
    )
    group.add_argument(
        "--weights",
        type=weights,
        metavar="FILE",
        help="checkpoint (.pth, .pt, .safetensors), or torchvision:NAME for published weights",
    )
    group.add_argument("--labels", type=Path, metavar="FILE", help="class names: text, CSV or JSON")
    group.add_argument(
        "--device",
        type=device,
        default="auto",
        metavar="NAME",
        help=DEVICE_HELP,
    )
    group.add_argument("--precision", choices=PRECISIONS, default="exact", help="exact is float32 (default)")
    group.add_argument("--input-size", type=whole, metavar="N", help="side of the network's input in pixels")
    group.add_argument(
        "--resize-mode",
        choices=RESIZE_MODES,
        default="squash",
        help="squash (default): the whole image; model: the weights' own transform, which crops the centre; "
        "letterbox: the whole image, aspect kept; native: no resizing",
    )
    group.add_argument("--mean", type=numbers, metavar="R,G,B", help="per channel, on values from 0 to 1")
    group.add_argument("--std", type=deviations, metavar="R,G,B", help="per channel, on values from 0 to 1")
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="of random weights and noise (default: 0)")
    group.add_argument(
        "--trust-code", action="store_true", help="run the code of a Python file, or of a checkpoint that holds code"
    )
    group.add_argument("--download", action="store_true", help="fetch torchvision's weights where they are not cached")


def load_request(given: argparse.Namespace) -> LoadRequest:
    """Return which network the options ask for.

    Raises:
        UsageError: when neither a model nor weights are given.
    """
    model: str | None = given.model
    source: Path | str | None = given.weights
    if model is not None and source is None:
        file = Path(model)
        if file.is_file() and file.suffix.lower() != ".py":
            model, source = None, file  # a checkpoint is a model too
    if model is None and source is None:
        raise UsageError("Name a model: --model ARCH, --weights FILE, or both.")
    return LoadRequest(
        model=model,
        weights=source,
        labels=given.labels,
        device=given.device,
        precision=given.precision,
        input_size=given.input_size,
        resize_mode=given.resize_mode,
        mean=given.mean,
        std=given.std,
        trust_code=given.trust_code,
        seed=given.seed,
        allow_download=given.download,
    )


def add_map_options(parser: argparse.ArgumentParser) -> None:
    """Add what `map_request` reads."""
    group = parser.add_argument_group("maps")
    group.add_argument(
        "--method",
        action=Several,
        const=tuple(BY_NAME),
        default=("gradcam",),
        metavar="NAME",
        help=f"{', '.join(BY_NAME)} (default: gradcam); may be repeated",
    )
    group.add_argument(
        "--layer", action=Several, default=(), metavar="NAME", help="default: the suggested one; may be repeated"
    )
    group.add_argument(
        "--classes",
        type=classes,
        default="predicted",
        metavar="WHICH",
        help="predicted (default), topN such as top5, all, or indices such as 0,3",
    )
    group.add_argument(
        "--target", type=target, default="score", help="score (default), negative, or contrast:J (J a class index)"
    )
    group.add_argument("--param", action="append", default=[], metavar="METHOD.NAME=V", help="see the list below")
    group.add_argument("--offset", choices=("on", "off"), default="on", help="measured cell positions (default: on)")
    group.add_argument("--tta", choices=TTA, default="none", help="average over flipped or scaled inputs")
    group.add_argument("--fuse", choices=FUSE, default="none", help="one map of several layers")


def map_request(given: argparse.Namespace) -> MapRequest:
    """Return which maps the options ask for, checked.

    Raises:
        UsageError: for an unknown method or parameter, or a value outside its range.
    """
    parameters: dict[str, dict[str, Value]] = {}
    for text in given.param:
        path, equals, value = text.partition("=")
        name, dot, parameter = path.strip().partition(".")
        if not equals or not dot or not parameter:
            raise UsageError(f"--param needs METHOD.NAME=VALUE, not {text!r}.")
        parameters.setdefault(name, {})[parameter] = value.strip()
    for name, values in parameters.items():
        spec = method(name)
        if name not in given.method:
            raise UsageError(f"--param sets {name}, which --method does not name.")
        complete(spec.parameters, values, owner=spec.title)
        parameters[name] = {p.name: p.parse(values[p.name]) for p in spec.parameters if p.name in values}
    request = MapRequest(
        methods=given.method,
        classes=given.classes,
        layers=given.layer,
        parameters=parameters,
        target=given.target,
        offset=given.offset == "on",
        tta=given.tta,
        fuse=given.fuse,
        seed=given.seed,
    )
    request.checked()
    return request


def refinement_parameters(name: str, given: Sequence[str]) -> dict[str, Value]:
    """Return the parameters of refinement `name` from texts of the form ``NAME=VALUE``, checked.

    Raises:
        UsageError: for an unknown parameter, or a value outside its range.
    """
    spec = refinement(name)
    values: dict[str, Value] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--refine-param needs NAME=VALUE, not {text!r}.")
        values[key.strip().removeprefix(f"{name}.")] = value.strip()
    checked = complete(spec.parameters, values, owner=spec.title)
    return {key: checked[key] for key in values}


def refinement_help() -> str:
    """Return the refinements and their parameters, for the end of ``--help``."""
    lines = ["refinements:"]
    for spec in REFINEMENTS:
        lines.append(f"  {spec.name:<10} {spec.title}: {spec.help}")
        for p in spec.parameters:
            lines.append(f"    --refine-param {p.name}={p.kind} (default: {p.default}) {p.help}")
    return "\n".join(lines)


def architecture_help() -> str:
    """Return the architectures by family, for the end of ``--help``."""
    families: dict[str, list[str]] = {}
    for spec in ARCHITECTURES:
        families.setdefault(spec.family, []).append(spec.name)
    lines = ["architectures:"]
    for names in families.values():
        lines += textwrap.wrap(", ".join(names), 100, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def method_help() -> str:
    """Return the methods and their parameters, for the end of ``--help``."""
    lines = ["methods:"]
    for spec in METHODS:
        lines.append(f"  {spec.name:<16} {spec.title}: {spec.shows}")
        for p in spec.parameters:
            values = "|".join(p.choices) if p.choices else p.kind
            lines.append(f"    --param {spec.name}.{p.name}={values} (default: {p.default})")
    return "\n".join(lines)
