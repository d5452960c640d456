"""Typed parameters: what is taken, and what is refused in a sentence that says what is wanted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.catalogue import formats, methods, refinements
from camviewer.catalogue.diagnoses import code_of
from camviewer.catalogue.parameters import Parameter, Value, complete
from camviewer.errors import UsageError

SHARE = Parameter("share", "Share", "float", 0.2, 0.0, 1.0)
COUNT = Parameter("count", "Count", "int", 4, 1)
COLD = Parameter("cold", "Cold", "int", -3, maximum=0)
FREE = Parameter("free", "Free", "float", 0.0)
FLAG = Parameter("flag", "Flag", "bool", False)
HOW = Parameter("how", "How", "choice", "one_by_one", choices=("one_by_one", "all"))


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (SHARE, "0.5", 0.5),
        (SHARE, 1, 1.0),
        (COUNT, "7", 7),
        (COUNT, "1e3", 1000),
        (COLD, "0", 0),
        (FREE, "-2.5", -2.5),
        (FLAG, True, True),
        (FLAG, " Yes ", True),
        (FLAG, "off", False),
        (HOW, "all", "all"),
    ],
)
def test_a_value_gets_its_type(parameter: Parameter, text: Value, value: Value) -> None:
    found = parameter.parse(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("parameter", "text", "wanted"),
    [
        (SHARE, "1.01", "a number between 0 and 1, not 1.01"),
        (SHARE, "nan", "a number between 0 and 1"),
        (SHARE, "half", "a number between 0 and 1, not 'half'"),
        (COUNT, "0", "a whole number of at least 1"),
        (COUNT, "2.5", "a whole number of at least 1"),
        (COLD, "1", "a whole number of at most 0"),
        (COUNT, "inf", "a whole number of at least 1"),
        (COUNT, "-1e400", "a whole number of at least 1"),
        (FREE, float("inf"), "a number, not inf"),
        (FREE, "warm", "a number, not 'warm'"),
        (FLAG, "maybe", "yes or no"),
        (HOW, "none", "one of one_by_one, all"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_wanted(parameter: Parameter, text: Value, wanted: str) -> None:
    with pytest.raises(UsageError) as refused:
        parameter.parse(text)
    assert wanted in refused.value.message and refused.value.message.startswith(f"{parameter.title} needs ")


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.text(max_size=8))
def test_whatever_is_taken_lies_in_the_range(text: Value) -> None:
    for parameter in (SHARE, COUNT):
        try:
            value = parameter.parse(text)
        except UsageError:
            continue
        assert isinstance(value, float | int) and math.isfinite(value)
        assert parameter.minimum is not None and value >= parameter.minimum


def test_choices_have_words() -> None:
    assert HOW.title_of("one_by_one") == "One by one"
    named = Parameter("how", "How", "choice", "a", choices=("a", "b"), choice_titles=("Alpha", "Beta"))
    assert named.title_of("b") == "Beta"


def test_what_is_not_given_has_its_default_and_what_is_not_known_is_named() -> None:
    assert complete((SHARE, COUNT), {"count": "2"}, owner="It") == {"share": 0.2, "count": 2}
    with pytest.raises(UsageError, match="It has no parameter 'size'; it has: share, count"):
        complete((SHARE, COUNT), {"size": 1}, owner="It")
    with pytest.raises(UsageError, match="it has: none"):
        complete((), {"size": 1}, owner="It")


@pytest.mark.parametrize("find", [formats.format_spec, refinements.refinement, methods.method])
def test_an_unknown_name_is_answered_with_those_there_are(find) -> None:
    with pytest.raises(UsageError, match=r"There is no .*'no such'; there are: "):
        find("no such")


@pytest.mark.parametrize(("name", "code"), [("Melanoma", "mel"), ("melanocytic  NEVI", "nv"), ("mel", "mel")])
def test_diagnoses_are_known_by_code_and_name(name: str, code: str) -> None:
    assert code_of(name) == code
