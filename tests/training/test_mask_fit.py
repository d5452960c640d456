"""Training of masks that learn: it learns, it can be stopped and killed, and it says what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_lesions import lesion

from camviewer.errors import Cancelled, CheckpointError, UsageError
from camviewer.regions.shapes import grown
from camviewer.training.segmentation.fit import (
    Example,
    choose,
    confident_of,
    fit,
    half_way,
    second_look,
    view_size,
)
from camviewer.training.segmentation.predict import Form, predict
from camviewer.training.segmentation.settings import CurvePoint, LearnSettings
from camviewer.training.segmentation.unet import UNet

QUICK = LearnSettings(pixels=64 * 48, base=4, levels=2, steps=20, batch_size=4, average=0.9)


def examples(count: int, *, first: int = 0, reviewed: bool = False, doubt: float = 0.1) -> list[Example]:
    drawn = (lesion(first + seed) for seed in range(count))
    return [Example(pixels, mask.astype(np.uint8), reviewed, doubt) for pixels, mask in drawn]


def test_it_draws_unseen_lesions_better_than_the_masks_it_learnt_from() -> None:
    """Automatic masks that are too wide or shifted at random are wrong differently; the network finds the common."""
    rng = np.random.default_rng(0)
    noisy = []
    for example in examples(24):
        mask = np.roll(example.labels > 0, rng.integers(-5, 6, 2), axis=(0, 1))
        noisy.append(replace(example, labels=mask.astype(np.uint8)))
    network = fit(noisy, replace(QUICK, steps=100, second_look=1.0)).network
    unseen = examples(20, first=1000)
    overlaps, taught = [], []
    for index, outlook in predict(network, [e.pixels for e in unseen], QUICK.pixels):
        true = unseen[index].labels > 0
        drawn = outlook.drawn((64, 48), Form()).get(0, np.zeros_like(true))
        overlaps.append((true & drawn).sum() / (true | drawn).sum())
    for clean, example in zip(examples(24), noisy, strict=True):
        true, given = clean.labels > 0, example.labels > 0
        taught.append((true & given).sum() / (true | given).sum())
    assert np.mean(overlaps) > 0.8
    assert np.mean(overlaps) > np.mean(taught) + 0.05


@pytest.mark.parametrize("stop", [4, 15])
def test_a_killed_training_ends_with_the_same_network(tmp_path: Path, stop: int) -> None:
    """Before and after the second look: labels drawn anew come back too."""
    data = examples(12) + examples(3, first=50, reviewed=True)
    whole = fit(data, QUICK).network.state_dict()
    state = tmp_path / "state.safetensors"
    steps = iter(range(1000))
    with pytest.raises(Cancelled):
        fit(data, QUICK, state_file=state, save_seconds=0, cancelled=lambda: next(steps) >= stop)
    assert state.is_file()
    seen: list[int] = []
    again = fit(data, QUICK, state_file=state, save_seconds=0, on_step=lambda done, total: seen.append(done))
    assert 1 < seen[0] <= stop + 1
    assert [point.step for point in again.points] == list(range(1, 21))
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, whole[name]), name


def test_a_state_of_other_masks_or_a_damaged_one_is_not_gone_on_from(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    settings = replace(QUICK, steps=10)

    def first_step(data: list[Example]) -> int:
        seen: list[int] = []
        fit(data, settings, state_file=state, save_seconds=0, on_step=lambda done, _total: seen.append(done))
        return seen[0] if seen else settings.steps

    assert first_step(examples(4)) == 1
    assert first_step(examples(4)) == 10  # it was done
    changed = [replace(e, labels=e.labels[::-1]) for e in examples(4)]
    assert first_step(changed) == 1
    data = state.read_bytes()
    state.write_bytes(data[: len(data) // 2])
    assert first_step(changed) == 1


def test_a_state_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        fit(examples(4), replace(QUICK, steps=10), state_file=blocked / "state.safetensors", save_seconds=0)


def test_reviewed_masks_count_more_than_their_number() -> None:
    """The same pictures, labelled in two ways: a few reviewed masks against many automatic ones."""

    def half(labels: np.ndarray) -> np.ndarray:
        return (grown(labels > 0, 4)).astype(np.uint8)

    wide = [replace(e, labels=half(e.labels), reviewed=True) for e in examples(6)]
    settings = replace(QUICK, steps=60, second_look=1.0, band=0.0)
    without = fit(examples(12, first=100), settings).network
    taught = fit(wide + examples(12, first=100), settings).network
    pictures = [e.pixels for e in examples(10, first=500)]
    areas = [
        np.mean([(outlook.region >= 0.5).mean() for _, outlook in predict(network, pictures, QUICK.pixels)])
        for network in (without, taught)
    ]
    assert areas[1] > 1.05 * areas[0]


def test_the_surest_share_is_learnt_from_and_some_of_it_is_watched() -> None:
    data = [replace(e, doubt=0.05 * i) for i, e in enumerate(examples(20))] + examples(2, first=80, reviewed=True)
    learnt, watched = choose(data, replace(QUICK, confident=0.6, most_doubtful=0.5))
    assert learnt[:2] == [20, 21]
    assert sorted(learnt[2:] + watched) == list(range(11))  # 12 of 20, of which the last has a doubt above 0.5
    assert len(watched) == 1
    assert confident_of({3: 0.2, 4: 0.1, 5: 0.9}, replace(QUICK, confident=1.0)) == [3, 4]


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(UsageError, match="Review some masks first"):
        fit(examples(5, doubt=0.9), QUICK)
    empty = [replace(e, labels=np.zeros_like(e.labels)) for e in examples(3, reviewed=True)]
    with pytest.raises(UsageError, match="Review some masks first"):
        fit(empty, QUICK)


def test_the_second_look_takes_reviewed_masks_as_they_are_and_draws_the_others() -> None:
    data = examples(10) + examples(2, first=60, reviewed=True)
    network = fit(data, replace(QUICK, steps=60, second_look=1.0)).network
    learnt, watched = choose(data, QUICK)
    taken = second_look(
        data, learnt, watched, network, replace(QUICK, band=0.0, most_doubtful=1.0), torch.device("cpu"), None
    )
    reviewed = [entry for entry in taken if entry.reviewed]
    assert len(reviewed) == 2
    assert all((entry.labels == example.labels).all() for entry, example in zip(reviewed, data[10:], strict=True))
    assert any(not entry.reviewed for entry in taken)


def test_a_later_round_goes_on_from_the_network_of_the_last(tmp_path: Path) -> None:
    data = examples(12)
    first = fit(data, replace(QUICK, steps=60, second_look=1.0))
    short = replace(QUICK, steps=10, second_look=1.0, learning_rate=1e-3)
    assert fit(data, short, start=first.network).points[0].loss < 0.8 * fit(data, short).points[0].loss


def test_several_classes_are_told_apart() -> None:
    """Bright and dark discs in one picture each are two classes."""
    data = []
    for seed in range(30):
        pixels, mask = lesion(seed)
        other = np.zeros_like(mask)
        rng = np.random.default_rng(seed)
        y, x = int(rng.integers(0, 36)), int(rng.integers(0, 52))
        other[y : y + 12, x : x + 12] = True
        other &= ~grown(mask, 2)
        pixels = np.where(other[..., None], np.uint8((40, 90, 240)), pixels)
        data.append(Example(pixels, np.where(other, 2, mask).astype(np.uint8), True))
    network = fit(data[:24], replace(QUICK, steps=100), classes=2).network
    right = total = 0
    for index, outlook in predict(network, [e.pixels for e in data[24:]], QUICK.pixels):
        drawn = outlook.drawn((64, 48), Form(single=False, solid=False))
        for value in (1, 2):
            true = data[24 + index].labels == value
            right += int((drawn.get(value - 1, np.zeros_like(true)) & true).sum())
            total += int(true.sum())
    assert right / total > 0.75


def test_views_have_the_pictures_aspect() -> None:
    assert view_size([(48, 64, 3)] * 3, LearnSettings()) == (128, 96)
    assert view_size([(64, 48, 3)] * 3, LearnSettings()) == (96, 128)
    width, height = view_size([(100, 1000, 3)], LearnSettings())
    assert width <= 2.4 * height


@pytest.mark.parametrize(
    "wrong", [{"steps": 3}, {"levels": 9}, {"confident": 1.5}, {"learning_rate": 0.0}, {"pixels": 20}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        replace(LearnSettings(), **wrong)


def test_points_survive_json() -> None:
    point = CurvePoint(3, 0.5, None, 0.25, 1.5)
    assert CurvePoint.from_json(point.to_json()) == point


def test_the_network_of_a_start_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    start = UNet(1, base=4, levels=2)
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    fit(examples(4), replace(QUICK, steps=10), start=start)
    assert all(torch.equal(before[name], tensor) for name, tensor in start.state_dict().items())


def test_a_later_round_ends_half_way_between_its_start_and_what_it_became() -> None:
    first = fit(examples(6), replace(QUICK, steps=10)).network
    before = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    reached: list[dict[str, torch.Tensor]] = []

    def keep(_point: CurvePoint, network: UNet) -> None:
        reached.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    later = fit(examples(4, first=20), replace(QUICK, steps=10), start=first, on_point=keep).network
    assert not later.training
    for name, tensor in later.state_dict().items():
        if tensor.dtype.is_floating_point:
            torch.testing.assert_close(tensor.double(), (before[name].double() + reached[-1][name].double()) / 2)
    assert any(not torch.equal(before[name], tensor) for name, tensor in reached[-1].items())
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_half_way_between_a_network_and_itself_is_that_network() -> None:
    network = fit(examples(4), replace(QUICK, steps=10)).network
    for ours, own in zip(half_way(network, network).state_dict().values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, own)
