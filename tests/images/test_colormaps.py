"""The colour tables against their published colours, and the mapping of values to them."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.errors import UsageError
from camviewer.images.colormaps import NAMES, colourise, table

# First, quarter, half, three quarters and last colour as published with each map (matplotlib 3.9, MATLAB's jet).
PUBLISHED = {
    "viridis": ["440154", "3b528b", "21918c", "5ec962", "fde725"],
    "cividis": ["00224e", "414d6b", "7d7c78", "bcaf6f", "fee838"],
    "magma": ["000004", "51127c", "b73779", "fc8961", "fcfdbf"],
    "jet": ["000080", "0080ff", "80ff80", "ff8000", "800000"],
}


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE 1976 L* of sRGB colours."""
    c = colours / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


@pytest.mark.parametrize("name", NAMES)
def test_published_colours(name: str) -> None:
    colours = table(name)
    assert colours.shape == (256, 3) and colours.dtype == np.uint8 and not colours.flags.writeable
    for index, text in zip([0, 64, 127.5, 191, 255], PUBLISHED[name], strict=True):
        near = colours[[int(np.floor(index)), int(np.ceil(index))]].astype(int)
        assert np.abs(near - list(bytes.fromhex(text))).max(axis=1).min() <= 4


@pytest.mark.parametrize("name", ["viridis", "cividis", "magma"])
def test_uniform_maps_get_lighter_in_even_steps(name: str) -> None:
    steps = np.diff(lightness(table(name))[::8])
    assert steps.min() > 0
    assert steps[4:].max() < 2 * steps[4:].min()  # L* itself is not even near black


def test_jet_does_not() -> None:
    assert np.diff(lightness(table("jet"))[::8]).min() < 0


def test_values_find_their_colours() -> None:
    colours = table("magma")
    values = np.array([[-9.0, 2.0, 3.0, 4.0, 99.0]], np.float32)
    np.testing.assert_array_equal(colourise(values, 2, 4, "magma")[0], colours[[0, 0, 128, 255, 255]])


def test_nothing_to_show() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32)
    np.testing.assert_array_equal(colourise(values, 0, 1)[0], table("viridis")[[0, 0, 0, 255]])
    np.testing.assert_array_equal(colourise(values, 1, 1)[0], np.repeat(table("viridis")[:1], 4, axis=0))


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="viridis, cividis, magma, jet"):
        table("rainbow")
