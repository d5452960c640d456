"""Shared fixtures: an isolated home, the offscreen platform, the real material where it is present."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from offline import Offline

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_OFFLINE = Offline()


def pytest_configure() -> None:
    """Under coverage, follow Qt's threads too."""
    if threading.gettrace() is not None:
        import traced_threads

        traced_threads.install()


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest) -> Iterator[Offline]:
    """No test, and nothing that it calls, reaches for the network; those with `cluster` talk to themselves."""
    _OFFLINE.forbids = request.node.get_closest_marker("cluster") is None
    yield _OFFLINE
    _OFFLINE.forbids = False
    assert not _OFFLINE.refused, f"the network was asked for: {_OFFLINE.take()}"


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings, caches and data of a test never touch the user's own."""
    home = tmp_path_factory.mktemp("home")
    for name, folder in {
        "HOME": "",
        "XDG_CONFIG_HOME": ".config",
        "XDG_CACHE_HOME": ".cache",
        "XDG_DATA_HOME": ".local/share",
        "TORCH_HOME": ".cache/torch",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    yield home


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images and checkpoints; the test is skipped where it is absent."""
    given = os.environ.get("CAMVIEWER_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip("the real material is absent: set CAMVIEWER_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``state_dict`` file of squeezenet1_1 with four classes, whose random weights behave like trained ones."""
    import torch
    from probe import probe_network

    file = tmp_path_factory.mktemp("weights") / "squeezenet1_1_4.pth"
    torch.save(probe_network("squeezenet1_1", classes=4).state_dict(), file)
    return file


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three pictures: ``a.png``, ``b.jpg`` and ``sub/ä 10.png``."""
    from PIL import Image
    from probe import draw_pixels

    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.jpg", "sub/ä 10.png")):
        Image.fromarray(draw_pixels(seed, width=100 + 20 * seed, height=80)).save(folder / name)
    return folder
