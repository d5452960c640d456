"""The loop learns, reports, stops, and goes on after a kill to the very weights of a training that was not killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import Cancelled, CheckpointError, UsageError
from camviewer.models.camnet import camnet
from camviewer.training.augment import augment, surroundings
from camviewer.training.loop import LabelledPixels, fit, learning_rate, predict, weighted_loss
from camviewer.training.measures import accuracy, balanced_accuracy, confusion_matrix
from camviewer.training.settings import PLAIN, Augmentation, EpochReport, TrainSettings

SIDE = 32


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def squares(count: int, seed: int = 0) -> LabelledPixels:
    """A red or a green square somewhere on grey noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(100, 140, (count, SIDE, SIDE, 3)).astype(np.uint8)
    labels = np.arange(count, dtype=np.int64) % 2
    for row, label in zip(pixels, labels, strict=True):
        y, x = rng.integers(0, SIDE - 10, 2)
        row[y : y + 10, x : x + 10, label] = 250
    return LabelledPixels(pixels, labels)


def network(seed: int = 0, **options: object):
    torch.manual_seed(seed)
    return camnet(2, width=4, features=8, dropout=0.2, **options)


SETTINGS = TrainSettings(epochs=4, batch_size=8, learning_rate=1e-2, input_size=(SIDE, SIDE), seed=3)


def test_it_learns_and_reports() -> None:
    model = network()
    reports = fit(model, squares(96), SETTINGS, classes=2, validation=squares(32, 1))
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert reports[-1].loss < reports[0].loss
    held_out = squares(40, 2)
    logits = predict(model, held_out.pixels, SETTINGS)
    assert np.mean(logits.argmax(1) == held_out.labels) >= 0.9
    assert int(reports[-1].confusion.sum()) == 32
    assert reports[-1].validation_accuracy == accuracy(reports[-1].confusion)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("at", "mosaics"), [(5, 0.0), (24, 0.0), (25, 0.5), (41, 0.5)])
def test_a_killed_training_resumes_to_the_same_weights(tmp_path: Path, at: int, mosaics: float) -> None:
    data, judge = squares(96), squares(16, 1)
    settings = replace(SETTINGS, mosaics=mosaics)
    whole = network()
    expected = fit(whole, data, settings, classes=2, validation=judge)

    def kill(done: int, _total: int) -> None:
        if done == at:
            raise KilledError

    state = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        fit(network(), data, settings, classes=2, validation=judge, state_file=state, on_step=kill)
    torch.rand(7)  # another random state than before
    resumed = network(seed=9)  # other first weights: the state decides, unless it was killed before the first was kept
    if at <= 12:
        resumed = network()
    reports = fit(resumed, data, settings, classes=2, validation=judge, state_file=state)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert [r.loss for r in reports] == [r.loss for r in expected]
    assert not list(tmp_path.glob(".*"))


def test_cancelling_keeps_the_finished_epochs(tmp_path: Path) -> None:
    done: list[int] = []
    state = tmp_path / "state.safetensors"
    with pytest.raises(Cancelled):
        fit(
            network(),
            squares(32),
            SETTINGS,
            classes=2,
            state_file=state,
            on_step=lambda step, _total: done.append(step),
            cancelled=lambda: len(done) > 5,  # in the second epoch of four steps
        )
    seen: list[EpochReport] = []
    fit(network(), squares(32), SETTINGS, classes=2, state_file=state, on_epoch=lambda r, _: seen.append(r))
    assert [report.epoch for report in seen] == [2, 3, 4]


def test_other_settings_or_a_damaged_state_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    short = replace(SETTINGS, epochs=1)
    fit(network(), squares(16), short, classes=2, state_file=state)
    with pytest.raises(CheckpointError, match="other settings"):
        fit(network(), squares(16), replace(short, learning_rate=1e-3), classes=2, state_file=state)
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="cannot be read"):
        fit(network(), squares(16), short, classes=2, state_file=state)


def test_only_the_head_moves() -> None:
    from dataclasses import replace

    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, squares(32), replace(SETTINGS, scope="head", epochs=1), classes=2)
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"fc.weight", "fc.bias"}


def test_it_stops_early() -> None:
    from dataclasses import replace

    settings = replace(SETTINGS, epochs=30, patience=2, learning_rate=1e-6, schedule="constant")
    reports = fit(network(), squares(16), settings, classes=2, validation=squares(8, 1))
    assert len(reports) < 30


def test_balanced_weights_make_the_rare_class_count() -> None:
    from dataclasses import replace

    data = squares(96)
    keep = np.flatnonzero((data.labels == 0) | (np.arange(96) < 16))
    rare = LabelledPixels(data.pixels[keep], data.labels[keep])
    judge = squares(40, 5)
    recalls = {}
    for kind in ("balanced", "none"):
        model = network()
        report = fit(model, rare, replace(SETTINGS, class_weights=kind, epochs=2), classes=2, validation=judge)[-1]
        recalls[kind] = report.confusion[1, 1]
    assert recalls["balanced"] > recalls["none"]


def test_smoothing_does_not_let_a_rare_class_pull_at_every_picture() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(6, 3))
    target = np.array([0, 0, 1, 0, 1, 2])
    weights = np.array([0.5, 1.0, 20.0])
    smoothing = 0.1

    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    spread = np.full((6, 3), smoothing / 3)
    spread[np.arange(6), target] += 1 - smoothing
    expected = (weights[target] * -(spread * log_p).sum(1)).sum() / weights[target].sum()

    got = weighted_loss(torch.tensor(logits), torch.tensor(target), torch.tensor(weights), smoothing)
    assert float(got) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"patience": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        TrainSettings(**wrong)


def test_the_rate_rises_and_falls() -> None:
    rates = [learning_rate(TrainSettings(learning_rate=1.0), step, 100) for step in range(100)]
    assert rates[0] < 0.1
    assert max(rates) == rates[19] == pytest.approx(1.0)
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] < 0.001


def test_reports_survive_json() -> None:
    report = fit(network(), squares(16), SETTINGS, classes=2, validation=squares(8, 1))[0]
    again = EpochReport.from_json(report.to_json())
    assert again.to_json() == report.to_json()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_measures_against_their_definitions(pairs: list[tuple[int, int]]) -> None:
    labels = np.array([a for a, _ in pairs], np.int64)
    predicted = np.array([b for _, b in pairs], np.int64)
    confusion = confusion_matrix(labels, predicted, 4)
    assert all(confusion[i, j] == sum((a, b) == (i, j) for a, b in pairs) for i in range(4) for j in range(4))
    assert accuracy(confusion) == pytest.approx(np.mean(labels == predicted))
    recalls = [np.mean(predicted[labels == c] == c) for c in set(labels.tolist())]
    assert balanced_accuracy(confusion) == pytest.approx(np.mean(recalls))


def test_augmentation_is_drawn_from_its_generator_alone() -> None:
    batch = torch.rand(4, 3, 16, 16)
    one, other = (augment(batch, Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, batch)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1
    assert torch.allclose(augment(batch, PLAIN, torch.Generator()), batch)


def test_surroundings_hold_nothing_but_corners_at_their_own_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    batch = torch.zeros(4, 1, 20, 30)
    batch[:, :, 8:12, 12:18] = 1.0  # an object, 40 % away from every border
    columns = torch.arange(30).float().expand(4, 1, 20, 30)

    made = surroundings(torch.cat([batch, columns], 1), 16, generator)

    assert made.shape == (16, 2, 20, 30)
    assert float(made[:, 0].max()) == 0.0
    steps = made[:, 1].diff(dim=-1).abs()
    assert float(steps.max()) == 1.0  # a stretched corner would have smaller ones, a cut larger


def test_what_surrounds_the_objects_speaks_for_no_class() -> None:
    generator = np.random.default_rng(0)
    pixels = np.full((24, 32, 32, 3), 40, np.uint8) + generator.integers(0, 8, (24, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(24) % 2
    for picture, label in zip(pixels, labels, strict=True):
        picture[13:19, 13:19, label] = 220
    settings = TrainSettings(
        options={"width": 8, "blocks": 0, "features": 8},
        epochs=24,
        batch_size=8,
        learning_rate=1e-2,
        input_size=(32, 32),
        augmentation=PLAIN,
        background=0.25,
    )
    torch.manual_seed(0)
    network = camnet(2, width=8, blocks=0, features=8)
    fit(network, LabelledPixels(pixels, labels.astype(np.int64)), settings, classes=2)

    ground = np.full((8, 32, 32, 3), 40, np.uint8) + generator.integers(0, 8, (8, 32, 32, 3), dtype=np.uint8)
    assert predict(network, ground, settings).max() < 0
    scores = predict(network, pixels, settings)
    assert (scores.argmax(1) == labels).mean() > 0.9
    assert (scores.max(1) > 0).mean() > 0.9
