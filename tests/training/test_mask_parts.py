"""The parts of masks that learn: the network, random views, the loss, the network's outlook and its file."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from drawn_lesions import lesion
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import CheckpointError
from camviewer.training.segmentation.losses import mask_loss
from camviewer.training.segmentation.network_file import MaskNetwork
from camviewer.training.segmentation.predict import Form, Outlook, Signs, formed, predict, signs_of
from camviewer.training.segmentation.settings import ViewSettings
from camviewer.training.segmentation.unet import UNet
from camviewer.training.segmentation.views import IGNORED, placement, recoloured, sized, view

STILL = ViewSettings(
    zoom=1, turn=0, shift=0, stretch=1, gain=0, brightness=0, gamma=0, saturation=0, hue=0, light=0, blur=0, noise=0,
    strangers=0,
)  # fmt: skip


def small(classes: int = 1, seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(classes, base=4, levels=2).eval()


# --- network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "outputs"), [(1, 1), (2, 3), (5, 6)])
def test_it_gives_a_region_and_then_the_classes_at_every_pixel(classes: int, outputs: int) -> None:
    assert small(classes)(torch.rand(2, 3, 24, 40)).shape == (2, outputs, 24, 40)


def test_exposure_and_offset_of_a_picture_change_nothing() -> None:
    network, picture = small(), torch.rand(1, 3, 24, 40)
    other = 0.5 * picture + 0.2
    torch.testing.assert_close(network(picture), network(other), atol=1e-4, rtol=1e-4)


# --- views ------------------------------------------------------------------------------------------------------------


def test_without_changes_a_view_is_the_picture_or_one_of_its_mirror_images() -> None:
    pixels, mask = lesion(1)
    shown = {
        view(pixels, mask.view(np.uint8), (64, 48), STILL, np.random.default_rng(seed))[1].tobytes()
        for seed in range(30)
    }
    upright = {mask.tobytes(), mask[::-1].tobytes(), mask[:, ::-1].tobytes(), mask[::-1, ::-1].tobytes()}
    assert upright <= shown
    assert len(shown) == 8  # and the quarter turns


@given(seed=st.integers(0, 10_000))
def test_picture_and_labels_move_together(seed: int) -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 20:70] = 1
    pixels = np.repeat(labels[..., None] * np.uint8(255), 3, axis=2)
    how = ViewSettings(
        gain=0, brightness=0, gamma=0, saturation=0, hue=0, light=0, blur=0, noise=0, strangers=0
    )  # fmt: skip
    values, known = view(pixels, labels, (64, 48), how, np.random.default_rng(seed))
    assert values.shape == (48, 64, 3)
    assert set(np.unique(known)) <= {0, 1}
    assert ((values[..., 0] > 0.5) != (known == 1)).mean() < 0.04  # the outline is interpolated


@given(seed=st.integers(0, 10_000))
def test_the_middle_stays_in_the_middle_without_a_shift(seed: int) -> None:
    matrix = placement((80, 60), (64, 48), ViewSettings(shift=0), np.random.default_rng(seed))
    np.testing.assert_allclose(matrix @ [39.5, 29.5, 1], [31.5, 23.5], atol=1e-9)


def test_another_light_stays_within_what_can_be_seen_and_is_repeatable() -> None:
    pixels, _ = lesion(2)
    first = recoloured(pixels, ViewSettings(), np.random.default_rng(5))
    again = recoloured(pixels, ViewSettings(), np.random.default_rng(5))
    assert (first == again).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.abs(first - pixels / 255).max() > 0.02
    np.testing.assert_allclose(recoloured(pixels, STILL, np.random.default_rng(5)), pixels / 255, atol=2e-6)


def test_strangers_never_become_a_region() -> None:
    pixels, mask = lesion(3)
    how = ViewSettings(strangers=1.0)
    quiet = ViewSettings(strangers=0.0)
    for seed in range(40):
        # The place is drawn before the strangers, so both views lie alike.
        _, with_them = view(pixels, mask.view(np.uint8), (64, 48), how, np.random.default_rng(seed))
        _, without = view(pixels, mask.view(np.uint8), (64, 48), quiet, np.random.default_rng(seed))
        changed = with_them != without
        assert (with_them[changed] == IGNORED).all()
        assert (without[changed] == 1).all()


@given(aspect=st.floats(0.25, 4), multiple=st.sampled_from([4, 8, 16]))
def test_inputs_keep_the_aspect_and_the_number_of_pixels(aspect: float, multiple: int) -> None:
    width, height = sized(aspect, 12_288, multiple)
    assert width % multiple == 0
    assert height % multiple == 0
    assert 0.7 < width * height / 12_288 < 1.4
    assert 0.7 < width / height / aspect < 1.4


# --- loss -------------------------------------------------------------------------------------------------------------


def reference(logits: np.ndarray, labels: np.ndarray, trust: np.ndarray) -> float:
    """The loss written out in float64: soft Dice, bootstrapped cross-entropy, and the class inside regions."""
    total = 0.0
    for n in range(len(labels)):
        counted = labels[n] != IGNORED
        t = (labels[n][counted] > 0).astype(np.float64)
        z = logits[n, 0][counted].astype(np.float64)
        p = 1 / (1 + np.exp(-z))
        target = trust[n] * t + (1 - trust[n]) * p
        total += -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
        total += 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
        if logits.shape[1] > 1:
            inside = counted & (labels[n] > 0)
            rows = logits[n, 1:][:, inside].astype(np.float64)
            said = rows - np.log(np.exp(rows).sum(0))
            wanted = labels[n][inside].astype(int) - 1
            total += -said[wanted, np.arange(len(wanted))].mean()
    return total / len(labels)


@pytest.mark.parametrize("outputs", [1, 4])
def test_the_loss_is_that_of_its_formula(outputs: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, outputs, 10, 12)).astype(np.float32)
    labels = rng.integers(0, max(2, outputs), (3, 10, 12)).astype(np.uint8)
    labels[:, 2:4] = IGNORED
    trust = np.array([1.0, 0.8, 0.3], np.float32)
    found = mask_loss(torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(trust))
    assert float(found) == pytest.approx(reference(logits, labels, trust), rel=1e-5)


def test_ignored_pixels_cost_nothing() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.uint8)
    labels[0, 2:4, 2:4] = 1
    labels[0, 0] = IGNORED
    logits = torch.randn(1, 1, 6, 6, requires_grad=True)
    mask_loss(logits, labels, torch.ones(1)).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0, 0] == 0).all()
    assert (logits.grad[0, 0, 1:] != 0).all()


# --- outlook ----------------------------------------------------------------------------------------------------------


def test_the_outlook_of_a_mirrored_picture_is_the_mirrored_outlook() -> None:
    network = small()
    picture, _ = lesion(4)
    ((_, upright),) = predict(network, [picture], 64 * 48)
    ((_, mirrored),) = predict(network, [picture[:, ::-1].copy()], 64 * 48)
    np.testing.assert_allclose(upright.region[:, ::-1], mirrored.region, atol=0.02)


def test_pictures_of_any_size_are_seen_at_their_own_aspect() -> None:
    pictures = [np.zeros((h, w, 3), np.uint8) for h, w in ((48, 64), (300, 100), (47, 63), (31, 257))]
    found = dict(predict(small(), pictures, 64 * 48))
    assert sorted(found) == [0, 1, 2, 3]
    assert found[0].region.shape == (48, 64)
    assert found[1].region.shape[0] > 2 * found[1].region.shape[1]


def outlook(region: np.ndarray, classes: np.ndarray | None = None) -> Outlook:
    region = region.astype(np.float32)
    return Outlook(region, classes, signs_of(region, region[None]))


def test_one_piece_without_holes_where_masks_are_like_that() -> None:
    soft = np.zeros((20, 30), np.float32)
    soft[2:10, 2:12] = 0.9
    soft[5, 5] = 0.1
    soft[15:18, 20:24] = 0.99
    mask = soft >= 0.5
    assert formed(mask, soft, Form(single=False, solid=False)).sum() == mask.sum()
    one = formed(mask, soft, Form())
    assert one.sum() == 80
    assert not one[15:18].any()


def test_a_dark_corner_is_not_taken_for_the_region() -> None:
    soft = np.zeros((60, 80), np.float32)
    soft[:18, :50] = 0.95  # larger, but along the frame
    soft[30:44, 36:52] = 0.8
    assert formed(soft >= 0.5, soft, Form())[37, 44]


def test_a_region_is_of_the_only_class_that_the_image_may_have() -> None:
    region = np.zeros((16, 16))
    region[4:12, 4:12] = 1
    (only,) = outlook(region).drawn((32, 32), Form(), among=[3])
    assert only == 3
    assert outlook(np.zeros((16, 16))).drawn((32, 32), Form()) == {}


def test_regions_of_several_classes_are_told_apart_among_those_that_the_image_has() -> None:
    region = np.zeros((16, 16))
    region[2:14, 2:6] = region[2:14, 10:14] = 1
    classes = np.full((3, 16, 16), 0.1, np.float32)
    classes[0, :, :8] = 0.5
    classes[2, :, 8:] = 0.5
    classes[1] = 0.4  # second best everywhere
    said = outlook(region, classes)
    both = said.drawn((16, 16), Form(single=False), among=[0, 2])
    assert sorted(both) == [0, 2]
    assert both[0][:, :8].any()
    assert not both[0][:, 8:].any()
    assert sorted(said.drawn((16, 16), Form(single=False), among=[1, 2])) == [1, 2]
    labels = said.labels((16, 16), np.array([[0, 1], [3, 0]], np.uint8))
    assert set(np.unique(labels)) == {0, 1, 3}


def test_doubt_falls_with_every_sign() -> None:
    names = ("sure", "steady")
    for name in names:
        low = Signs(**{**dict.fromkeys(names, 0.8), name: 0.3})
        high = Signs(**{**dict.fromkeys(names, 0.8), name: 1.0})
        assert 0 <= high.doubt < low.doubt <= 1
    assert signs_of(np.zeros((8, 8), np.float32), np.zeros((4, 8, 8), np.float32)).doubt > 0.99


def test_signs_by_hand() -> None:
    region = np.zeros((10, 10), np.float32)
    region[2:6, 0:5] = 0.75  # 20 pixels, on the frame
    region[8, 8] = 0.25
    views = np.stack([region, np.roll(region, 1, axis=1) * (np.arange(10) > 0)])
    signs = signs_of(region, views)
    assert signs.sure == pytest.approx(15 / 20.25)
    assert signs.steady == pytest.approx((1 + 16 / 24) / 2)


# --- file -------------------------------------------------------------------------------------------------------------


def test_a_network_comes_back_from_its_bytes() -> None:
    kept = MaskNetwork(small(2), ("lesion", "ruler"), 3072, Form(single=False), {"reviewed": 3})
    data = kept.to_bytes()
    back = MaskNetwork.from_bytes(data)
    assert (back.classes, back.pixels, back.form, back.record) == (kept.classes, 3072, kept.form, {"reviewed": 3})
    picture = torch.rand(1, 3, 16, 16)
    assert torch.equal(back.network(picture), kept.network(picture))


def test_damaged_networks_are_refused_with_one_sentence() -> None:
    data = MaskNetwork(small(), ("lesion",), 3072, Form(), {}).to_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    for change in ({"network": '{"classes": 1, "base": 200000, "levels": 2}'}, {"schema": "x"}, {"pixels": "many"}):
        header["__metadata__"] |= change
        text = json.dumps(header).encode()
        with pytest.raises(CheckpointError, match="damaged"):
            MaskNetwork.from_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    for cut in (0, 4, 40, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError):
            MaskNetwork.from_bytes(data[:cut])
    with pytest.raises(CheckpointError, match="damaged"):
        MaskNetwork.from_bytes(struct.pack("<Q", 1 << 60) + data[8:])


def test_other_files_and_newer_ones_are_named() -> None:
    from safetensors.torch import save

    with pytest.raises(CheckpointError, match="no network that draws masks"):
        MaskNetwork.from_bytes(save({"a": torch.zeros(1)}))
    newer = save({"a": torch.zeros(1)}, metadata={"format": "camviewer-masks", "schema": "2"})
    with pytest.raises(CheckpointError, match="Update camviewer"):
        MaskNetwork.from_bytes(newer)
