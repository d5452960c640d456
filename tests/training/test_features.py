"""Features are those of the pooling, kept by content, bounded in bytes, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from probe import draw_pixels

from camviewer.errors import Cancelled
from camviewer.models.camnet import camnet
from camviewer.models.checkpoint import ModelInfo, save_checkpoint
from camviewer.models.records import LoadRequest
from camviewer.models.rehead import OpenNetwork
from camviewer.training.feature_cache import FeatureCache, PictureFeatures
from camviewer.training.features import FeatureReader, border_ring


@pytest.fixture
def network(tmp_path: Path) -> OpenNetwork:
    torch.manual_seed(0)
    info = ModelInfo(
        arch="camnet", head="gap", classes=("a", "b"), input_size=(96, 72), options={"width": 8, "features": 16}
    )
    save_checkpoint(tmp_path / "net.safetensors", camnet(2, width=8, features=16), info=info)
    return OpenNetwork(LoadRequest(weights=tmp_path / "net.safetensors", device="cpu"))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "pictures").mkdir()
    paths = []
    for seed in range(11):
        paths.append(tmp_path / "pictures" / f"{seed}.png")
        Image.fromarray(draw_pixels(seed)).save(paths[-1])
    return paths


def test_features_are_what_the_class_layer_receives(network: OpenNetwork, files: list[Path]) -> None:
    found = FeatureReader(network).read(files)
    assert found.paths == tuple(files)
    assert found.computed == 11
    classifier = network.classifier
    head = classifier.head
    for path, row, ring in zip(found.paths, found.whole, found.border, strict=True):
        X, _ = classifier.prepare(np.asarray(Image.open(path)))
        with torch.no_grad():
            logits = classifier.logits(X)[0]
            assert torch.allclose(torch.from_numpy(row) @ head.weight.T + head.bias, logits, atol=1e-4)
            seen = []
            handle = classifier.network.last.register_forward_hook(lambda _m, _i, out, kept=seen: kept.append(out))
            classifier.network(X)
            handle.remove()
        grid = seen[0][0].numpy()
        rows, columns = grid.shape[1:]
        outer = [
            grid[:, y, x] for y in range(rows) for x in range(columns) if min(y, x, rows - 1 - y, columns - 1 - x) < 1
        ]
        assert ring == pytest.approx(np.mean(outer, axis=0), abs=1e-4)


def test_a_click_takes_the_cell_under_it(network: OpenNetwork, files: list[Path]) -> None:
    reader = FeatureReader(network)
    grid, geometry = reader._grid(np.asarray(Image.open(files[0])))
    for row, column in ((0, 0), (4, 7), (8, 11)):
        x, y = geometry.to_image(column, row)
        assert reader.cell(files[0], x, y) == pytest.approx(grid[:, row, column].numpy(), rel=1e-2, abs=1e-2)
    assert reader.cell(files[0], -50, 1e6) == pytest.approx(grid[:, -1, 0].numpy(), rel=1e-2, abs=1e-2)


def test_the_ring() -> None:
    assert border_ring(7, 7).sum() == 24
    assert border_ring(1, 1).all()
    assert border_ring(28, 28).sum() == 28 * 28 - 22 * 22


def test_a_gallery_is_read_once(network: OpenNetwork, files: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    first = FeatureReader(network, cache).read(files)
    moved = files[0].rename(files[0].with_name("moved.png"))  # the content counts, not the name
    second = FeatureReader(network, cache).read([moved, *files[1:]])
    assert second.computed == 0
    assert np.array_equal(first.whole, second.whole)
    assert np.array_equal(first.border, second.border)
    Image.fromarray(draw_pixels(77)).save(moved)
    assert FeatureReader(network, cache).read([moved]).computed == 1


def test_what_cannot_be_read_is_named(network: OpenNetwork, files: list[Path], tmp_path: Path) -> None:
    files[3].write_bytes(b"\x89PNG nothing")
    files[5].unlink()
    found = FeatureReader(network, FeatureCache(tmp_path / "cache.sqlite")).read(files)
    assert {path for path, _ in found.failed} == {files[3], files[5]}
    assert len(found.paths) == len(found.whole) == len(found.border) == 9


def test_cancelling_keeps_what_was_read(network: OpenNetwork, files: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache.sqlite")
    done = []
    with pytest.raises(Cancelled):
        FeatureReader(network, cache).read(files, on_image=lambda n, _: done.append(n), cancelled=lambda: bool(done))
    assert FeatureReader(network, cache).read(files).computed == 11 - done[-1]


def entry(value: float) -> PictureFeatures:
    return PictureFeatures(np.full(100, value, np.float32), np.full(100, -value, np.float32))


def test_the_bound_drops_what_was_used_longest_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100, 10_000))
    monkeypatch.setattr("camviewer.training.feature_cache.time.time", lambda: float(next(clock)))
    cache = FeatureCache(tmp_path / "cache.sqlite", limit=8000)
    for number in range(10):
        cache.put("s", {str(number): entry(number)})
    assert cache.size() == 8000
    assert cache.get("s", ["0"])["0"].whole[0] == 0  # used now
    cache.put("s", {"10": entry(10)})
    assert cache.size() <= 0.8 * 8000
    assert set(cache.get("s", [str(n) for n in range(11)])) == {"0", *map(str, range(4, 11))}


def test_a_damaged_or_impossible_cache_only_forgets(tmp_path: Path) -> None:
    damaged = tmp_path / "cache.sqlite"
    damaged.write_bytes(b"no database at all" * 100)
    cache = FeatureCache(damaged)
    assert cache.get("s", ["a"]) == {}
    cache.put("s", {"a": entry(1)})
    assert set(cache.get("s", ["a"])) == {"a"}
    (tmp_path / "file").write_text("")
    impossible = FeatureCache(tmp_path / "file" / "cache.sqlite")
    impossible.put("s", {"a": entry(1)})
    assert impossible.get("s", ["a"]) == {}
