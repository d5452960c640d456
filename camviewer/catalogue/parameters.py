"""Typed parameters, from which forms, ``--param`` and documentation are built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from camviewer.errors import UsageError

Value = float | int | bool | str
Kind = Literal["float", "int", "bool", "choice"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method, a refinement or a format.

    Attributes:
        name: identifier, as in ``--param METHOD.NAME=VALUE``.
        title: label in forms, sentence case.
        kind: type of the value.
        default: value used when none is given.
        minimum, maximum: inclusive range of numbers; None is open.
        choices: allowed values of a ``choice``.
        choice_titles: their words in forms, in the same order; the values themselves in sentence case when empty.
        help: one sentence for tooltip and documentation.
        unit: unit shown behind the number, for example ``px``.
        zero: what 0 means, in words that stand in a form instead of the number; empty where 0 is a number like others.
    """

    name: str
    title: str
    kind: Kind
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    unit: str = ""
    zero: str = ""
    choice_titles: tuple[str, ...] = ()

    def title_of(self, choice: str) -> str:
        """Return the words for one of `choices`."""
        if self.choice_titles:
            return self.choice_titles[self.choices.index(choice)]
        return (choice[:1].upper() + choice[1:]).replace("_", " ")

    def parse(self, text: Value) -> Value:
        """Return `text` converted to the parameter's type.

        Raises:
            UsageError: when the value has the wrong type or lies outside the range.
        """
        try:
            value = self._convert(text)
        except ValueError:
            raise UsageError(f"{self.title} needs {self._expected()}, not {text!r}.") from None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low = self.minimum is not None and value < self.minimum
            high = self.maximum is not None and value > self.maximum
            if low or high:
                raise UsageError(f"{self.title} needs {self._expected()}, not {text}.")
        return value

    def _convert(self, text: Value) -> Value:
        if self.kind == "bool":
            if isinstance(text, bool):
                return text
            lowered = str(text).strip().lower()
            if lowered in {"1", "true", "yes", "on"}:
                return True
            if lowered in {"0", "false", "no", "off"}:
                return False
            raise ValueError(text)
        if self.kind in {"int", "float"}:
            number = float(text)
            if not math.isfinite(number) or (self.kind == "int" and number != int(number)):
                raise ValueError(text)
            return int(number) if self.kind == "int" else number
        if str(text) not in self.choices:
            raise ValueError(text)
        return str(text)

    def _expected(self) -> str:
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "bool":
            return "yes or no"
        noun = "a whole number" if self.kind == "int" else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} between {self.minimum:g} and {self.maximum:g}"
        if self.minimum is not None:
            return f"{noun} of at least {self.minimum:g}"
        if self.maximum is not None:
            return f"{noun} of at most {self.maximum:g}"
        return noun


def complete(parameters: tuple[Parameter, ...], given: dict[str, Value], *, owner: str) -> dict[str, Value]:
    """Return every parameter's value: the given one, checked, or the default.

    Raises:
        UsageError: for a name that `owner` does not have, or a value outside its range.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise UsageError(f"{owner} has no parameter {name!r}; it has: {names}.")
    return {name: p.parse(given[name]) if name in given else p.default for name, p in known.items()}
