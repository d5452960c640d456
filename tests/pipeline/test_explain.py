"""Whole jobs without a command line: groups, failures, the pixels of boxes and overlays."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from probe import draw_pixels

from camviewer.cam.requests import Explanation, MapRequest
from camviewer.errors import Cancelled, MethodError, UsageError
from camviewer.formats.explain_reader import read_explain
from camviewer.images.geometry import Geometry, plan_input
from camviewer.models.records import LoadRequest
from camviewer.pipeline.computation import GROUP, Computation
from camviewer.pipeline.decoder import Decoder
from camviewer.pipeline.explain import (
    Failure,
    complete,
    explain_folder,
    explain_group,
    explain_image,
    failure_of,
    find_images,
    find_in_map,
)
from camviewer.pipeline.overlays import overlay
from camviewer.pipeline.settings import ExplainSettings
from camviewer.project.records import ActivationMap, Run
from camviewer.regions.rules import RegionRule


@pytest.fixture(scope="module")
def computation(checkpoint):
    return Computation(LoadRequest(weights=checkpoint, input_size=64))


class Stub:
    """A computation that fails on bright images, and where several come together."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def explain_group(self, images, request, *, cancelled=None):
        self.groups.append(len(images))
        if any(image.max() == 255 for image in images):
            raise ValueError("too bright")
        if cancelled is not None and cancelled():
            raise Cancelled
        return [Explanation((), (), plan_input((1, 1), mode="squash", input_size=(8, 8))) for _ in images]


@pytest.fixture
def files(tmp_path):
    paths = []
    for index, value in enumerate((10, 255, 30, 40)):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (4, 4), (value, 0, 0)).save(paths[-1])
    paths.insert(1, tmp_path / "gone.png")
    return paths


def test_one_bad_image_of_a_group_spares_the_others(files):
    stub = Stub()
    with Decoder(files, ahead=1) as decoder:
        found = explain_group(stub, decoder, files, 0, 5, MapRequest())
    kinds = [outcome.kind if isinstance(outcome, Failure) else "fine" for _, outcome in found]
    assert kinds == ["fine", "image", "unexpected", "fine", "fine"]
    assert stub.groups == [4, 1, 1, 1, 1]
    assert found[2][1].message == "1.png cannot be computed. The log tells why."


def test_cancelling_is_no_failure(files):
    with Decoder(files, ahead=0) as decoder, pytest.raises(Cancelled):
        explain_group(Stub(), decoder, files, 0, 1, MapRequest(), cancelled=lambda: True)


def test_the_decoder_holds_no_more_than_it_was_asked_for(files):
    with Decoder(files, ahead=1) as decoder:
        for first in range(len(files)):
            decoder.take(first, 1)
            decoder.take(first, 1)  # asked for again, after a batch stepped aside
            assert set(decoder._futures) <= {first, first + 1}


def test_a_request_is_checked_ahead_of_all_images(computation):
    assert computation.check(MapRequest(methods=("cam", "gradcam", "scorecam"))) == ("features",)
    assert computation.check(MapRequest(layers=("features.3", "features.6"))) == ("features.3", "features.6")
    with pytest.raises(UsageError, match="class 4"):
        computation.check(MapRequest(classes=(0, 4)))
    with pytest.raises(MethodError):
        computation.check(MapRequest(methods=("cam",), layers=("features.3",)))


def test_the_group_suits_the_methods(computation):
    assert computation.batch_size(None, MapRequest(methods=("gradcam",))) == GROUP
    assert computation.batch_size(None, MapRequest(methods=("gradcam", "scorecam"))) == 1
    assert computation.batch_size(5, MapRequest(methods=("scorecam",))) == 5


def test_the_run_record_survives_json(computation):
    rule = RegionRule(rule="otsu", components="all")
    request = MapRequest(methods=("scorecam",), parameters={"scorecam": {"variant": "probability"}}, seed=3)
    run = computation.run_record(request, rule)
    assert Run.from_json(run.to_json()) == run
    assert run.method_parameters == request.checked()
    assert run.method_parameters["scorecam"]["variant"] == "probability"
    assert len(run.weights_sha256) == 64


def test_an_image_becomes_maps_with_regions(computation):
    pixels = draw_pixels(4, width=90, height=60)
    result = explain_image(computation, Path("x.png"), pixels, MapRequest(classes="all"), RegionRule())
    assert result.size == (90, 60)
    assert len(result.maps) == 4
    for found in result.maps:
        assert found.mask.shape == (60, 90)
        assert bool(found.boxes) == bool(found.mask.any()) == (found.reason == "")


def a_map(values: np.ndarray, size=(40, 20)) -> ActivationMap:
    plan = plan_input(size, mode="squash", input_size=(32, 32))
    geometry = Geometry(size, plan.input_size, (values.shape[1], values.shape[0]), plan.input_to_image)
    return ActivationMap(0, "cam", "layer", values.astype(np.float32), geometry)


def test_boxes_come_from_the_raw_map():
    values = np.zeros((4, 4))
    values[1, 2] = 5
    found = find_in_map(np.zeros((20, 40, 3), np.uint8), a_map(values), RegionRule(threshold=0.5))
    # The cell's centre lies at x = 2.5 / 4 * 40 = 25; half the maximum is reached half a cell (5 px) to each side.
    (box,) = found.boxes
    assert box.xyxy == (20, 5, 30, 10)
    assert found.level == pytest.approx(0.5 * float(a_map(values).geometry.upsample(values.astype("f4")).max()))


def test_an_overlay_leaves_what_has_no_evidence_untouched():
    pixels = draw_pixels(1, width=40, height=20)
    nothing = np.full((20, 40), -1, np.float32)
    np.testing.assert_array_equal(overlay(pixels, nothing), pixels)
    half = nothing.copy()
    half[:, 20:] = 3
    drawn = overlay(pixels, half)
    np.testing.assert_array_equal(drawn[:, :20], pixels[:, :20])
    assert (drawn[:, 20:] != pixels[:, 20:]).any(axis=2).mean() > 0.9


def test_an_overlay_draws_box_and_outline_over_the_image():
    pixels = np.zeros((50, 60, 3), np.uint8)
    mask = np.zeros((50, 60), bool)
    mask[20:30, 20:40] = True
    drawn = overlay(pixels, np.zeros((50, 60), np.float32), mask=mask, boxes=[(5, 5, 55, 45)])
    assert tuple(drawn[20, 30]) == (255, 255, 255)
    assert tuple(drawn[5, 30]) == tuple(drawn[44, 30]) == (255, 255, 255)
    assert tuple(drawn[25, 30]) == (0, 0, 0)


def test_a_missing_memory_is_said_and_other_errors_go_to_the_log(files, caplog):
    caplog.set_level(logging.ERROR)
    assert failure_of(files[0], MemoryError()) == Failure(
        "memory", "0.png cannot be computed. There is not enough memory for it."
    )
    found = failure_of(files[0], ValueError("secret"))
    assert (found.kind, found.message) == ("unexpected", "0.png cannot be computed. The log tells why.")
    assert "secret" in caplog.text


def test_a_region_that_fails_is_the_failure_of_its_image(computation, tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError

    pixels = draw_pixels(0, width=40, height=30)
    explanation = computation.explain(pixels, MapRequest())
    monkeypatch.setattr("camviewer.pipeline.explain.find_in_map", fail)
    result = complete(tmp_path / "a.png", pixels, explanation, RegionRule())
    assert result.error == Failure("unexpected", "a.png cannot be computed. The log tells why.")
    assert result.size == (40, 30) and result.maps == ()
    settings = ExplainSettings((tmp_path,), tmp_path / "out", computation.request, rule=RegionRule())
    Image.fromarray(pixels).save(tmp_path / "a.png")
    report = explain_folder(settings, find_images([tmp_path]), computation)
    assert (report.images, report.failed) == (1, 1)
    (row,) = read_explain(tmp_path / "out").images
    assert row.error == ("unexpected", "a.png cannot be computed. The log tells why.")


def test_a_method_that_the_layer_does_not_have_is_said_in_the_row(computation, tmp_path):
    Image.fromarray(draw_pixels(0, width=40, height=30)).save(tmp_path / "a.png")
    request = MapRequest(("gradcam", "cam"), layers=("features.3",))
    settings = ExplainSettings((tmp_path,), tmp_path / "out", computation.request, maps=request)
    report = explain_folder(settings, find_images([tmp_path]), computation)
    assert (report.images, report.failed) == (1, 0)
    (row,) = json.loads((tmp_path / "out" / "explain.json").read_text())["images"]
    assert [found["method"] for found in row["maps"]] == ["gradcam"]
    (refused,) = row["refused"]
    assert refused["method"] == "cam" and refused["reason"].startswith("CAM is defined only where")


def test_three_valued_masks_have_room_for_254_classes(tmp_path):
    load = LoadRequest(model="squeezenet1_1", input_size=64)
    settings = ExplainSettings((tmp_path,), tmp_path / "out", load, save=("three-valued",))
    with pytest.raises(UsageError, match="at most 254 classes, and the model has 1000"):
        explain_folder(settings, [], Computation(load))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(UsageError, match="There are no images in"):
        find_images([tmp_path])
    with pytest.raises(UsageError, match="gone"):
        find_images([tmp_path / "gone"])
