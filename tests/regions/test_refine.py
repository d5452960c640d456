"""The registry of refinements: rows, functions, parameters, empty masks."""

from __future__ import annotations

import numpy as np
import pytest

from camviewer.catalogue import refinements as catalogue
from camviewer.catalogue.refinements import refinement
from camviewer.errors import UsageError
from camviewer.regions.find import NO_EVIDENCE, find_regions
from camviewer.regions.refine import REFINEMENTS, refine, refine_mask
from camviewer.regions.rules import RegionRule

PIXELS = np.full((40, 60, 3), 200, np.uint8)
VALUES = np.zeros((40, 60), np.float32)
VALUES[10:20, 15:35] = 1


def test_every_row_has_its_function() -> None:
    assert ["auto", *REFINEMENTS] == [spec.name for spec in catalogue.REFINEMENTS]
    for spec in catalogue.REFINEMENTS:
        assert spec.title and spec.help.endswith(".")
        for parameter in spec.parameters:
            assert parameter.parse(parameter.default) == parameter.default


def test_none_is_the_threshold() -> None:
    for rule in (RegionRule(), RegionRule("otsu", components="all"), RegionRule("percentile", 0.01)):
        refined = refine_mask(PIXELS, VALUES, rule)
        np.testing.assert_array_equal(refined.pixels, find_regions(VALUES, rule).mask)
        assert (refined.refine, refined.reason) == ("none", "")
        np.testing.assert_array_equal(refine(PIXELS, VALUES, rule), refined.pixels)


@pytest.mark.parametrize("name", list(catalogue.BY_NAME))
def test_no_evidence_is_an_empty_mask_with_a_reason(name: str) -> None:
    refined = refine_mask(PIXELS, -VALUES, RegionRule(refine=name))
    assert not refined.pixels.any() and refined.pixels.shape == (40, 60)
    assert refined.reason == NO_EVIDENCE


@pytest.mark.parametrize("name", list(catalogue.BY_NAME))
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 2), (31, 47)])
def test_any_size(name: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    values = rng.random(shape).astype(np.float32)
    before = pixels.copy(), values.copy()
    refined = refine_mask(pixels, values, RegionRule(refine=name))
    assert refined.pixels.shape == shape and refined.pixels.dtype == np.bool_
    assert refined.pixels.any() or refined.reason
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(values, before[1])


def test_wrong_names_and_values() -> None:
    with pytest.raises(UsageError, match="There is no refinement 'magic'; there are: auto, outlines, none, colour"):
        refine_mask(PIXELS, VALUES, RegionRule(refine="magic"))
    with pytest.raises(UsageError, match="has no parameter 'x'"):
        refine_mask(PIXELS, VALUES, RegionRule(refine_parameters={"x": 1}))
    with pytest.raises(UsageError):
        refinement("")


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="map of"):
        refine_mask(PIXELS, VALUES[:-1], RegionRule())
